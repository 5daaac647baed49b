"""An owner that stood still for longer than its lease finds out before it changes anything."""

import asyncio

from core.history import Happened
from core.resolution import State
from tests.faults.world import LEASE_SECONDS, World


async def test_an_owner_frozen_before_its_change_makes_none_after_it_has_lost_the_lease(world: World):
    owner = await world.start()
    await world.ask("crashloop")
    await world.approve()
    await world.until_state(State.EXECUTING)
    held = world.hold("GET", "/pods/checkout-", agent="incident-resolver")
    await world.reached(held)
    owner.freeze()

    await world.start()
    ended = await world.until_state(State.INTERRUPTED)
    assert "kubectl logs" in ended.resolution.summary
    owner.thaw()
    held.released.set()
    await world.until(lambda: not owner.has_agent(), "without its agent")
    await asyncio.sleep(LEASE_SECONDS)

    assert world.changes() == []
    assert (await world.the_only()).resolution.state is State.INTERRUPTED
    assert (await world.happened(ended.resolution.id)).count(Happened.INTERRUPTED) == 1
    assert (await world.happened(ended.resolution.id))[-1] is Happened.INTERRUPTED
    assert (await owner.get("/healthz"))[0] == 200


async def test_an_owner_frozen_after_its_change_does_not_move_what_another_has_ended(world: World):
    owner = await world.start()
    held = world.hold("DELETE", "/pods/checkout-", agent="kubectl", is_after_effect=True)
    await world.ask("crashloop")
    await world.approve()
    await world.reached(held)
    owner.freeze()

    await world.start()
    ended = await world.until_state(State.INTERRUPTED)
    assert "1 change can be rolled back" in ended.resolution.summary
    held.released.set()
    owner.thaw()
    await world.until(lambda: not owner.has_agent(), "without its agent")
    await asyncio.sleep(LEASE_SECONDS)

    assert len(world.changes()) == 1
    assert (await world.the_only()).resolution.state is State.INTERRUPTED
    happened = await world.happened(ended.resolution.id)
    assert Happened.EXECUTION_ENDED not in happened
    assert happened.count(Happened.EXECUTION_STARTED) == 1


async def test_a_lone_owner_frozen_for_three_leases_changes_at_most_once_and_tells_how_it_ended(world: World):
    owner = await world.start()
    await world.ask("crashloop")
    await world.approve()
    await world.until_state(State.EXECUTING)
    await world.until(lambda: len(world.model.bodies) >= 2, "at work")
    owner.freeze()
    await asyncio.sleep(3 * LEASE_SECONDS)
    owner.thaw()

    async with asyncio.timeout(40):
        while (one := await world.the_only()).resolution.state not in {State.COMPLETED, State.INTERRUPTED}:
            await asyncio.sleep(0.1)
    assert len(world.changes()) == (1 if one.resolution.state is State.COMPLETED else one.changes)
    assert (await world.happened(one.resolution.id)).count(Happened.EXECUTION_STARTED) == 1
    await world.forget_senders()
    await world.slack_tells_all()
