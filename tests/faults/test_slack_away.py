"""Slack is away from the request to the end of a run: nothing waits for it, and once back it is told all, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.history import Happened
from core.resolution import State
from tests.faults.world import World

SCALE = {
    "client_id": "loc-01",
    "namespace": "orders",
    "action_type": "resource_scale",
    "action_description": "orders-api: queue is full, readiness probes fail under load",
}


@asynccontextmanager
async def refusing(world: World) -> AsyncIterator[None]:
    async with world.slack.away():
        yield


@asynccontextmanager
async def answering_503_then_429(world: World) -> AsyncIterator[None]:
    world.slack.fault("*", "503", times=4)
    world.slack.fault("*", "429", 1, times=100_000)
    await world.slack.drop_sockets()
    yield
    world.slack.clear_faults()
    for _ in range(2):  # the card and the first reply: posted, but who posted them does not hear it
        world.slack.fault("chat.postMessage", "503", after_effect=True)


@pytest.mark.parametrize("away", [refusing, answering_503_then_429])
async def test_slack_away_from_request_to_end_is_told_all_of_it_once_and_takes_clicks_again(world: World, away):
    replica = await world.start()
    async with away(world):
        assert (await replica.post("/resolve", SCALE))[0] in {200, 202}
        waiting = await world.until_state(State.AWAITING_APPROVAL)
        answer = {"approved_by": "demo", "decision": "approve"}
        assert (await replica.post(f"/approve/{waiting.resolution.approval_id}", answer))[0] == 200
        done = await world.until_state(State.COMPLETED)
        status, ready, _ = await replica.get("/readyz")
        assert (status, ready["checks"]["slack"]["ok"]) == (503, False)
        assert world.slack.messages() == []

    lines = await world.slack_tells_all(seconds=40)
    card = await world.card("Resolved")
    told = "\n".join(lines)
    order = [
        "asked for it",
        "what I propose",
        "Asked for approval",
        "*Approved* by demo",
        "Step 1 of 1 is",
        "Resolved: ",
    ]
    assert sorted(order, key=told.index) == order
    assert (await world.happened(done.resolution.id)).count(Happened.EXECUTION_STARTED) == 1

    await world.slack.connected(seconds=30)
    await world.roll_back(card)
    await world.until_state(State.ROLLED_BACK)
    assert [one.method for one in world.changes()] == ["PATCH", "PUT"]
    assert "Rolled back" in (await world.slack_tells_all())[-1]
    assert (await replica.get("/readyz"))[0] == 200
