"""An interrupt and a pause hold on every replica, whichever of them heard it."""

import asyncio
import time

import pytest

from core.history import Happened
from core.resolution import State
from tests.faults.replica import is_alive
from tests.faults.world import World

INTERRUPT_SECONDS = 2.0
"""Promised (DESIGN 4.5): the agent and its children are gone by then."""


@pytest.mark.timeout(240)
async def test_an_interrupt_heard_by_another_replica_ends_the_owners_agent_and_kubectl_in_two_seconds(world: World):
    world.settings |= {"lease_seconds": 30.0}
    both = await world.start_two()
    held = world.hold("GET", "/namespaces/shop/pods", agent="kubectl")
    await world.ask("crashloop")
    await world.approve()
    await world.reached(held)
    (owner,) = [one for one in both if one.has_agent()]
    (other,) = [one for one in both if one is not owner]
    left = owner.children()
    assert any("kubectl" in one.name() for one in left)
    one = await world.the_only()

    async with asyncio.TaskGroup() as group:
        began = time.monotonic()
        answer = group.create_task(other.post(f"/interrupt/{one.resolution.id}", {}))
        while any(is_alive(process) for process in left):
            await asyncio.sleep(0.01)
        took = time.monotonic() - began

    assert took < INTERRUPT_SECONDS
    assert answer.result()[0] == 200
    ended = await world.until_state(State.INTERRUPTED)
    assert "kubectl get pods -n shop (stopped)" in ended.resolution.summary
    assert world.changes() == []
    assert owner.is_alive
    await world.slack_tells_all()


@pytest.mark.timeout(240)
async def test_what_was_approved_during_a_pause_starts_on_no_replica_until_resumed_and_then_once(world: World):
    both = await world.start_two()
    assert (await world.slack.command(world.ada, "/incident", "pause the network is moved")).is_acked
    await world.ask("crashloop")
    await world.approve()
    waiting = await world.until_state(State.APPROVED)
    while (await world.the_only()).resolution.epoch < waiting.resolution.epoch + 2:  # looked at again and again
        await asyncio.sleep(0.1)

    assert (await world.the_only()).resolution.state is State.APPROVED
    assert world.model.bodies == []
    assert not any(one.has_agent() for one in both)
    assert (await world.slack.command(world.ada, "/incident", "resume")).is_acked

    done = await world.until_state(State.COMPLETED)
    assert (await world.happened(done.resolution.id)).count(Happened.EXECUTION_STARTED) == 1
    assert len(world.changes("DELETE")) == 1
    await world.slack_tells_all()
