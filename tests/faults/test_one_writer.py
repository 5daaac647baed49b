"""Two replicas and two resolutions that may write one object: one is at work, the other waits and looks again."""

import asyncio
from collections.abc import Iterator

from bot.demo.model.server import Turn
from core.history import Happened
from core.resolution import ResolutionId, State
from tests.faults.replica import Replica
from tests.faults.world import World, header_of

LOOKS = 2
BASH = "mcp__resolver__bash"
RESTART_SHOP = "kubectl rollout restart deployment/checkout -n shop"
RESTART_ORDERS = "kubectl rollout restart deployment/orders-api -n orders"
SCALE_ORDERS = "kubectl scale deployment/orders-api --replicas=4 -n orders"


def body(action: str, namespace: str, description: str) -> dict[str, str]:
    return {
        "client_id": "loc-01",
        "namespace": namespace,
        "action_type": action,
        "action_description": description,
    }


RESTART = body("pod_restart", "shop", "checkout: 1 of 2 pods is in CrashLoopBackOff")
SCALE = body("resource_scale", "orders", "orders-api: queue is full, readiness probes fail under load")
RESTART_OF_ORDERS = body("pod_restart", "orders", "orders-api: restart it, readiness probes fail")


async def asked(world: World, replica: Replica, request: dict[str, str]) -> ResolutionId:
    status, answer, _ = await replica.post("/resolve", request)
    assert status in {200, 202}, answer
    id_ = ResolutionId(answer["resolution_id"])
    await world.until_state(State.AWAITING_APPROVAL, of=id_)
    return id_


async def approve(world: World, replica: Replica, id_: ResolutionId) -> None:
    answer = {"approved_by": "demo", "decision": "approve"}
    approval = (await world.one(id_)).resolution.approval_id
    assert (await replica.post(f"/approve/{approval}", answer))[0] == 200


async def waits(world: World, id_: ResolutionId) -> None:
    """It is looked at again and again and does not start."""
    before = (await world.one(id_)).resolution.epoch
    async with asyncio.timeout(30):
        while (seen := await world.one(id_)).resolution.epoch < before + LOOKS:
            assert seen.resolution.state is State.APPROVED
            await asyncio.sleep(0.1)
    assert Happened.EXECUTION_STARTED not in await world.happened(id_)


async def span(world: World, id_: ResolutionId) -> tuple[int, int]:
    """From its start to its end, in the numbers of history."""
    entries = await world.entries(id_)
    (start,) = [one.seq for one in entries if one.entry.what is Happened.EXECUTION_STARTED]
    return start, entries[-1].seq


async def left_out_of(world: World, id_: ResolutionId) -> list[str]:
    """What its permit had allowed and was not there any more when it started."""
    entries = [one.entry for one in await world.entries(id_)]
    (facts,) = [one.facts for one in entries if one.what is Happened.EXECUTION_STARTED]
    return list(facts["left_out"])


def once(line: str) -> Iterator[Turn]:
    yield Turn("I do as asked.", ((BASH, {"command": line}),))
    yield Turn("Done.")


async def test_two_that_were_approved_at_once_are_at_work_one_after_the_other(world: World):
    both = await world.start_two()
    world.model.script = lambda seen: list(once(RESTART_SHOP))[len(seen["messages"]) > 1]
    ids = [await asked(world, one, RESTART) for one in both]
    held = world.hold("PATCH", "/deployments/checkout", agent="kubectl")
    async with asyncio.TaskGroup() as group:
        for replica, id_ in zip(both, ids, strict=True):
            group.create_task(approve(world, replica, id_))
    await world.reached(held)
    (first,) = [id_ for id_ in ids if (await world.one(id_)).resolution.state is State.EXECUTING]
    (second,) = [id_ for id_ in ids if id_ != first]

    await waits(world, second)
    assert world.changes() == []
    held.released.set()

    for id_ in (first, second):
        await world.until_state(State.COMPLETED, of=id_)
    assert len(world.changes("PATCH")) == 2
    assert (await span(world, first))[1] < (await span(world, second))[0]
    (left_out,) = await left_out_of(world, second)  # the pod that crashed, which went with the first restart
    assert "does not exist any more" in left_out
    assert await left_out_of(world, first) == []


async def test_what_waited_says_why_it_does_not_run_where_the_first_left_the_object_otherwise(world: World):
    both = await world.start_two()
    first, second = [await asked(world, one, SCALE) for one in both]
    held = world.hold("PATCH", "/deployments/orders-api", agent="kubectl")
    await approve(world, both[0], first)
    await world.reached(held)
    await approve(world, both[1], second)

    await waits(world, second)
    held.released.set()

    await world.until_state(State.COMPLETED, of=first)
    failed = await world.until_state(State.FAILED, of=second)
    assert "spec.replicas of Deployment orders/orders-api was 2 and is 4 now" in failed.resolution.summary
    assert len(world.changes("PATCH")) == 1
    assert failed.changes == 0
    assert (await span(world, first))[1] < (await span(world, second))[0]


async def test_a_line_approved_mid_run_holds_back_a_resolution_that_may_write_its_target(world: World):
    world.settings |= {"verify_seconds": 2.0}  # the first one heals nothing
    both = await world.start_two()

    def script(seen: dict) -> Turn:
        line = RESTART_ORDERS if "orders-api" in str(seen["messages"][0]) else SCALE_ORDERS
        return list(once(line))[len(seen["messages"]) > 1]

    world.model.script = script
    second = await asked(world, both[1], RESTART_OF_ORDERS)
    first = await asked(world, both[0], RESTART)
    held = world.hold("PATCH", "/deployments/orders-api", agent="kubectl")
    await approve(world, both[0], first)
    question = await world.slack.until(lambda: answer_needed(world), seconds=30)
    assert (await world.slack.click(world.ada, question["ts"], "approve")).is_acked
    await world.reached(held)
    await approve(world, both[1], second)

    await waits(world, second)
    assert world.changes() == []
    held.released.set()

    await world.until_state(State.FAILED, of=first)
    await world.until_state(State.COMPLETED, of=second)
    assert len(world.changes("PATCH")) == 2
    assert (await span(world, first))[1] < (await span(world, second))[0]


def answer_needed(world: World) -> dict | None:
    cards = [one["ts"] for one in world.slack.messages()]
    replies = [reply for ts in cards for reply in world.slack.thread(ts)]
    return next((one for one in replies if "Answer needed" in header_of(one)), None)
