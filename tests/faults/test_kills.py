"""kill -9 in each phase: the next replica goes on where the dead one's last committed word stands.

Every death also shows that the agent's CLI and kubectl die with the service: `World.die` looks for them.
"""

from dataclasses import replace

import pytest

from bot.demo.model.scripts import demo_script
from core.history import Happened
from core.overview import Overview
from core.resolution import State
from tests.faults.world import World, open_world


@pytest.fixture
async def undoing(database_url, tmp_path, maker):
    """A world whose replicas roll back by themselves and do not wait long for healing."""
    async with open_world(database_url, tmp_path, maker=maker, auto_rollback=True, verify_seconds=2.0) as opened:
        yield opened


async def count(world: World, one: Overview, what: Happened) -> int:
    return (await world.happened(one.resolution.id)).count(what)


async def test_killed_while_gathering_it_is_gathered_again_and_asked_once(world: World):
    held = world.hold("GET", "/namespaces/shop/pods")
    await world.start()
    await world.ask("crashloop")
    await world.reached(held)
    await world.die()
    assert (await world.the_only()).resolution.state is State.GATHERING

    await world.start()
    await world.approve()

    done = await world.until_state(State.COMPLETED)
    assert len(world.changes("DELETE")) == 1
    assert await count(world, done, Happened.ASKED) == 1
    assert len(await world.slack_tells_all()) > 10


async def test_killed_while_it_waits_the_same_card_can_still_be_answered(world: World):
    await world.start()
    await world.ask("crashloop")
    card = await world.card("Approval needed")
    await world.die()
    lost = await world.slack.click(world.ada, card["ts"], "approve")
    assert not lost.is_acked
    assert (await world.the_only()).resolution.state is State.AWAITING_APPROVAL

    await world.start()
    await world.approve()

    done = await world.until_state(State.COMPLETED)
    assert len(world.changes("DELETE")) == 1
    assert await count(world, done, Happened.APPROVED) == 1
    await world.slack_tells_all()


async def test_killed_after_the_approval_it_is_executed_exactly_once(world: World):
    await world.start()
    await world.ask("crashloop")
    await world.card("Approval needed")
    held = world.hold("GET", "/pods/checkout-")
    await world.approve()
    await world.reached(held)
    assert (await world.the_only()).resolution.state is State.APPROVED
    await world.die()

    await world.start()

    done = await world.until_state(State.COMPLETED)
    assert len(world.changes("DELETE")) == 1
    assert await count(world, done, Happened.EXECUTION_STARTED) == 1
    await world.slack_tells_all()


async def test_killed_while_the_model_thinks_nothing_had_run(world: World):
    replica = await world.start()
    world.model.script = lambda body: replace(demo_script(body), delay_seconds=60)
    await world.ask("crashloop")
    await world.approve()
    await world.until(lambda: world.model.bodies, "a question to the model")
    assert replica.has_agent()
    await world.die()

    await world.start()

    ended = await world.until_state(State.INTERRUPTED)
    assert "No command had run. Nothing was changed." in ended.resolution.summary
    assert len(world.model.bodies) == 1
    assert world.changes() == []
    lines = await world.slack_tells_all()
    assert "No command had run" in lines[-1]


async def test_killed_while_a_command_reads_it_says_which_one_and_that_nothing_was_changed(world: World):
    replica = await world.start()
    held = world.hold("GET", "/namespaces/shop/pods", agent="kubectl")
    await world.ask("crashloop")
    await world.approve()
    await world.reached(held)
    assert any("kubectl" in one.name() for one in replica.children())
    await world.die()
    asked = len(world.model.bodies)

    await world.start()

    ended = await world.until_state(State.INTERRUPTED)
    told = "What ran: kubectl get pods -n shop (not known to have ended). Nothing was changed."
    assert told in ended.resolution.summary
    assert world.changes() == []
    assert len(world.model.bodies) == asked
    lines = await world.slack_tells_all()
    assert "kubectl get pods -n shop" in lines[-1]


async def test_killed_between_snapshot_and_change_it_is_interrupted_and_the_change_never_made(world: World):
    await world.start()
    held = world.hold("DELETE", "/pods/checkout-", agent="kubectl")
    await world.ask("crashloop")
    await world.approve()
    await world.reached(held)
    await world.die()

    await world.start()

    ended = await world.until_state(State.INTERRUPTED)
    assert world.changes() == []
    assert ended.changes == 1
    assert "kubectl get pods -n shop (exit code 0)" in ended.resolution.summary
    assert "(not known to have ended). 1 change can be rolled back." in ended.resolution.summary
    await world.slack_tells_all()


async def test_killed_during_the_change_it_is_not_made_a_second_time(world: World):
    await world.start()
    held = world.hold("DELETE", "/pods/checkout-", agent="kubectl", is_after_effect=True)
    await world.ask("crashloop")
    await world.approve()
    await world.reached(held)
    await world.die()

    replica = await world.start()

    ended = await world.until_state(State.INTERRUPTED)
    assert "(not known to have ended). 1 change can be rolled back." in ended.resolution.summary
    status, answer, _ = await replica.post("/rollback", {"snapshot_id": ended.resolution.snapshot_id})
    assert status == 200, answer
    assert len(world.changes()) == 1
    await world.until_state(State.ROLLED_BACK)
    await world.slack_tells_all()


async def test_killed_during_a_change_that_rolls_back_by_itself_the_next_replica_puts_it_back(undoing: World):
    world = undoing
    await world.start()
    held = world.hold("PATCH", "/deployments/orders-api", agent="kubectl", is_after_effect=True)
    await world.ask("at-limit")
    await world.approve()
    await world.reached(held)
    assert replicas(world) == 4
    await world.die()

    await world.start()

    await world.until_state(State.ROLLED_BACK)
    assert replicas(world) == 2
    assert [one.method for one in world.changes()] == ["PATCH", "PUT"]
    lines = await world.slack_tells_all()
    assert "Rolled back" in lines[-1]


async def test_killed_while_verifying_it_is_verified_again_and_not_executed_again(world: World):
    await world.start()
    await world.ask("crashloop")
    await world.approve()
    await world.until_state(State.VERIFYING)
    asked = len(world.model.bodies)
    await world.die()
    assert (await world.the_only()).resolution.state is State.VERIFYING

    await world.start()

    done = await world.until_state(State.COMPLETED)
    assert len(world.changes()) == 1
    assert len(world.model.bodies) == asked
    assert await count(world, done, Happened.EXECUTION_STARTED) == 1
    assert await count(world, done, Happened.VERIFIED) == 1
    await world.slack_tells_all()


@pytest.mark.parametrize("is_after_effect", [False, True], ids=["before the write", "after the write"])
async def test_killed_while_rolling_back_it_is_put_back_exactly_once(undoing: World, is_after_effect):
    world = undoing
    await world.start()
    held = world.hold("PUT", "/deployments/search-api", is_after_effect=is_after_effect)
    await world.ask("failing-fix")
    await world.approve()
    await world.reached(held, seconds=40)
    assert (await world.the_only()).resolution.state is State.ROLLING_BACK
    await world.die()

    await world.start()

    await world.until_state(State.ROLLED_BACK)
    (deployment,) = world.simulator.objects.of("Deployment", "search")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2.1.0")
    assert len(world.changes("PUT")) == 1
    lines = await world.slack_tells_all()
    assert "Rolled back" in lines[-1]


async def test_killed_between_slacks_answer_and_our_note_of_it_nothing_is_posted_twice(world: World):
    await world.start()
    world.slack.fault("chat.postMessage", "delay", 60, after_effect=True)
    await world.ask("crashloop")
    await world.card()
    await world.die()
    world.slack.clear_faults()

    replica = await world.start()
    card = await world.card("Approval needed")
    await world.slack_tells_all()
    before = len(world.slack.thread(card["ts"]))
    world.slack.fault("chat.postMessage", "delay", 60, after_effect=True)
    await replica.post(f"/interrupt/{(await world.the_only()).resolution.id}", {})
    await world.until(lambda: len(world.slack.thread(card["ts"])) > before, "a reply")
    await world.die()
    world.slack.clear_faults()

    await world.start()
    lines = await world.slack_tells_all()
    assert (await world.the_only()).resolution.state is State.CANCELLED
    assert "Cancelled" in lines[-1]


def replicas(world: World) -> int:
    (deployment,) = world.simulator.objects.of("Deployment", "orders")
    return deployment["spec"]["replicas"]
