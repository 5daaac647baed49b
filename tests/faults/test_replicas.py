"""Two replicas at work on one database: everything is done once, by one of them."""

import asyncio
from collections import Counter

import pytest
from sqlalchemy import text

from bot.demo.model.server import Turn
from bot.demo.slack.refusal import SlackRefusal
from core.approval import ApprovalState
from core.history import Happened
from core.ports import HistoryFilter
from core.resolution import State
from storage.database import connected
from tests.faults.world import World

AT_ONCE = 3
MANY = 8


@pytest.mark.timeout(300)
async def test_many_resolutions_are_each_executed_by_exactly_one_of_two_replicas(world: World):
    world.settings |= {"agents_at_once": AT_ONCE, "lease_seconds": 60.0}
    world.model.script = look_once
    both = await world.start_two()
    async with asyncio.TaskGroup() as group:
        for number in range(MANY):
            body = {
                "client_id": f"client-{number}",
                "namespace": "payments",
                "action_type": "investigation",
                "action_description": "payments-api is slow",
            }
            group.create_task(both[number % 2].post("/resolve", body))

    workers: Counter[str] = Counter()
    async with asyncio.timeout(240):
        while await in_state(world, State.COMPLETED) < MANY:
            at_work = await owners_at_work(world)
            assert len(at_work) <= AT_ONCE
            workers.update(at_work)
            await asyncio.sleep(0.1)

    assert len(workers) == 2, workers
    found = await world.store.history(HistoryFilter(limit=100))
    assert len(found) == MANY
    for one in found:
        happened = await world.happened(one.resolution.id)
        assert happened.count(Happened.EXECUTION_STARTED) == 1
        assert happened.count(Happened.EXECUTION_ENDED) == 1
        assert [command.line for command in one.commands] == ["kubectl get pods -n payments"]
    assert len(world.model.bodies) == 2 * MANY
    assert (await world.store.verify_history()).broken_at is None


@pytest.mark.timeout(240)
async def test_forty_approvals_at_once_over_two_replicas_and_two_doors_are_one_decision(world: World):
    both = await world.start_two()
    await world.ask("crashloop")
    card = await world.card("Approval needed")
    one = await world.the_only()

    async def by_rest(number: int) -> int:
        body = {"approved_by": "demo", "decision": "approve"}
        status, _, _ = await both[number % 2].post(f"/approve/{one.resolution.approval_id}", body)
        return status

    async def by_click(number: int) -> bool:
        person = list(world.slack.people.values())[number % 3]
        try:
            return (await world.slack.click(person, card["ts"], "approve")).is_acked
        except SlackRefusal:
            return False  # the card was faster: it has no such button any more

    async with asyncio.TaskGroup() as group:
        clicks = [group.create_task(by_click(number)) for number in range(20)]
        calls = [group.create_task(by_rest(number)) for number in range(20)]

    statuses = Counter(call.result() for call in calls)
    decided = (await world.the_only()).approval
    assert decided.state is ApprovalState.APPROVED
    assert statuses[200] == (1 if decided.decided_by.id == "demo" else 0)
    assert statuses[200] + statuses[409] == 20, statuses
    assert any(click.result() for click in clicks)
    await world.until_state(State.COMPLETED)
    assert (await world.happened(one.resolution.id)).count(Happened.APPROVED) == 1
    assert len(world.changes("DELETE")) == 1
    await world.slack_tells_all()


async def test_a_command_that_reaches_both_replicas_at_once_is_one_resolution(world: World):
    await world.start_two()
    await world.slack.command(world.ada, "/incident", "help")
    (typed,) = world.slack.journal.deliveries("slash_commands")
    again = typed.sent["payload"] | {
        "text": "resolve investigation payments it is slow",
        "trigger_id": "one.and.the.same",
    }

    async with asyncio.TaskGroup() as group:
        delivered = [group.create_task(world.slack.sockets.deliver("slash_commands", again)) for _ in range(6)]

    told = {one.result().payload["text"] for one in delivered}
    one = await world.the_only()
    (answer,) = told
    assert one.resolution.id[:8] in answer
    assert (await world.happened(one.resolution.id)).count(Happened.REQUESTED) == 1


def look_once(body: dict) -> Turn:
    if len(body["messages"]) > 1:
        return Turn("Nothing to be seen.")
    return Turn("I look.", (("mcp__resolver__bash", {"command": "kubectl get pods -n payments"}),))


async def in_state(world: World, state: State) -> int:
    async with connected(world.store.engine) as connection:
        sql = text("SELECT count(*) FROM resolution WHERE state = :state")
        return await connection.scalar(sql, {"state": state.value})


async def owners_at_work(world: World) -> list[str]:
    sql = text("SELECT coalesce(lease_owner, 'nobody') FROM resolution WHERE state = 'executing'")
    async with connected(world.store.engine) as connection:
        return list(await connection.scalars(sql))
