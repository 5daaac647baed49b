"""kill -9 when kubectl has changed the cluster and that is not recorded yet: told as not known, and undone on order."""

from bot.demo.model.server import Turn
from core.history import Happened
from core.overview import Overview
from core.resolution import State
from tests.faults.moments import Moment
from tests.faults.replica import Replica
from tests.faults.world import World, header_of

PLANNED = "kubectl scale deployment/orders-api"
ASKED = "kubectl scale deployment/checkout --replicas=5 -n shop"
UNKNOWN = "not known to have ended"


async def killed_at(moment: Moment, world: World, replica: Replica) -> None:
    """kubectl is gone by then, and what it changed stands."""
    await world.until(lambda: moment.is_reached, "at the moment")
    assert not any("kubectl" in one.name() for one in replica.children())
    assert [one.method for one in world.changes()] == ["PATCH"]
    assert (await world.the_only()).resolution.state is State.EXECUTING
    await world.die()


async def interrupted_once(world: World, *, line: str) -> Overview:
    """By the next replica, to which the model is not a word more."""
    asked = len(world.model.bodies)
    await world.start()
    ended = await world.until_state(State.INTERRUPTED)
    happened = await world.happened(ended.resolution.id)
    assert (happened.count(Happened.EXECUTION_STARTED), happened.count(Happened.INTERRUPTED)) == (1, 1)
    assert len([one for one in ended.commands if one.line.startswith(line)]) == 1
    assert len(world.changes("PATCH")) == 1
    assert len(world.model.bodies) == asked
    assert "1 change can be rolled back." in ended.resolution.summary
    return ended


async def killed_in_a_plan(world: World, call: str) -> Overview:
    """Right before this call of the store, the step's change made."""
    moment = world.moment(call, line=PLANNED)
    replica = await world.start(moment)
    await world.ask("at-limit")
    await world.approve()
    await killed_at(moment, world, replica)
    return await interrupted_once(world, line=PLANNED)


async def undone(world: World, *, namespace: str, before: int, after: int) -> None:
    """By the button of the card."""
    assert replicas(world, namespace) == after
    card = await world.card("Interrupted")
    await world.roll_back(card)
    await world.until_state(State.ROLLED_BACK)
    assert replicas(world, namespace) == before
    assert [one.method for one in world.changes()] == ["PATCH", "PUT"]
    assert "Rolled back" in (await world.slack_tells_all())[-1]


async def test_a_step_that_changed_the_cluster_and_whose_end_was_never_recorded_is_told_so_and_undone(world: World):
    ended = await killed_in_a_plan(world, "end_command")

    assert f"was started and is {UNKNOWN}" in ended.resolution.summary
    assert await recorded_ends(world, ended) == []
    assert UNKNOWN in (await world.slack_tells_all())[-1]
    await undone(world, namespace="orders", before=2, after=4)


async def test_a_line_asked_mid_run_whose_end_was_never_recorded_is_told_so_and_undone(world: World):
    moment = world.moment("end_command", line=ASKED)
    replica = await world.start(moment)
    world.model.script = lambda _: Turn("I try this.", (("mcp__resolver__bash", {"command": ASKED}),))
    await world.ask("crashloop")
    card = await world.card("Approval needed")
    await world.approve()
    question = await world.slack.until(lambda: answer_needed(world, card["ts"]), seconds=30)
    assert (await world.slack.click(world.ada, question["ts"], "approve")).is_acked
    await killed_at(moment, world, replica)

    ended = await interrupted_once(world, line=ASKED)

    assert f"What ran: {ASKED} ({UNKNOWN})." in ended.resolution.summary
    assert await recorded_ends(world, ended) == []
    assert UNKNOWN in (await world.slack_tells_all())[-1]
    await undone(world, namespace="shop", before=2, after=5)


async def test_a_step_that_was_recorded_but_not_what_it_left_is_told_as_run_and_undone(world: World):
    ended = await killed_in_a_plan(world, "update_snapshot_entries")

    assert await recorded_ends(world, ended) == [0]
    assert UNKNOWN not in ended.resolution.summary
    assert "step 1 " in ended.resolution.summary
    assert " ran." in ended.resolution.summary
    await undone(world, namespace="orders", before=2, after=4)


async def recorded_ends(world: World, one: Overview) -> list[object]:
    """The exit codes that history has of the one change."""
    entries = [recorded.entry for recorded in await world.entries(one.resolution.id)]
    ended = [entry.facts for entry in entries if entry.what is Happened.COMMAND_ENDED]
    return [facts["exit_code"] for facts in ended if str(facts["line"]).startswith((PLANNED, ASKED))]


def answer_needed(world: World, card: str) -> dict | None:
    return next((one for one in world.slack.thread(card) if "Answer needed" in header_of(one)), None)


def replicas(world: World, namespace: str) -> int:
    (deployment,) = world.simulator.objects.of("Deployment", namespace)
    return deployment["spec"]["replicas"]
