"""kill -9 while a plan is made and while it is run: made again, and never run again."""

import copy
from dataclasses import replace

from bot.demo.model.scripts import demo_script, follows_a_stop
from bot.demo.model.server import Turn
from core.approval import ApprovalState
from core.history import Happened
from core.resolution import State
from tests.faults.world import World

PROPOSE = "mcp__resolver__propose"
IMAGE = "kubectl set image deployment/orders-api orders-api=registry.example/orders/api:5.0.3 -n orders"
SCALE = "kubectl scale deployment/orders-api --replicas=4 -n orders"


def two_steps(body):
    """Proposes at once: an image first, more replicas second."""
    if follows_a_stop(body) or not any(one["name"] == PROPOSE for one in body.get("tools", [])):
        return demo_script(body)
    steps = [{"command": line, "check": "not_worse", "undo": "It is put back."} for line in (IMAGE, SCALE)]
    return Turn("My plan.", ((PROPOSE, {"why": "it is at its limit", "steps": steps}),))


async def test_killed_while_planning_it_is_planned_again_and_asked_once(world: World):
    replica = await world.start()
    world.model.script = lambda body: replace(demo_script(body), delay_seconds=60)
    await world.ask("at-limit")
    await world.until(lambda: world.model.bodies, "a question to the model")
    assert replica.has_agent()
    await world.card("Planning")
    await world.die()
    assert (await world.the_only()).resolution.state is State.GATHERING
    world.model.script = demo_script

    await world.start()
    await world.approve()

    done = await world.until_state(State.COMPLETED)
    happened = await world.happened(done.resolution.id)
    assert (happened.count(Happened.PLANNING_STARTED), happened.count(Happened.ASKED)) == (2, 1)
    assert len(world.changes("PATCH")) == 1
    await world.slack_tells_all()


async def test_killed_during_a_step_it_is_not_run_again_and_says_which_steps_ran(world: World):
    await world.start()
    world.model.script = two_steps
    held = world.hold("PATCH", "/deployments/orders-api/scale", agent="kubectl", is_after_effect=True)
    await world.ask("at-limit")
    await world.approve()
    await world.reached(held)
    await world.die()

    await world.start()

    ended = await world.until_state(State.INTERRUPTED)
    assert ended.resolution.summary.startswith("The service stopped while the approved plan was run.")
    assert f"step 1 ({IMAGE}) ran" in ended.resolution.summary
    assert f"step 2 ({SCALE}) was started and is not known to have ended" in ended.resolution.summary
    assert "2 changes can be rolled back." in ended.resolution.summary
    assert len(world.changes("PATCH")) == 2
    happened = await world.happened(ended.resolution.id)
    assert happened.count(Happened.STEP_STARTED) == 2
    await world.slack_tells_all()


async def test_killed_between_two_steps_the_second_is_not_run(world: World):
    await world.start()
    world.model.script = two_steps
    await world.ask("at-limit")
    await world.card("Approval needed", seconds=30)
    changed = world.hold("PATCH", "/deployments/orders-api", agent="kubectl", is_after_effect=True)
    await world.approve()
    await world.reached(changed)
    await world.die()

    await world.start()

    ended = await world.until_state(State.INTERRUPTED)
    assert f"step 2 ({SCALE}) did not run" in ended.resolution.summary
    assert len(world.changes("PATCH")) == 1
    await world.slack_tells_all()


async def test_killed_while_a_further_plan_waits_its_question_is_closed_and_nothing_of_it_runs(world: World):
    further = "kubectl scale deployment/orders-api --replicas=6 -n orders"

    def script(body):
        if not follows_a_stop(body):
            return two_steps(body)
        steps = [{"command": further, "check": "healthy", "undo": "It is put back."}]
        return Turn("What is left.", ((PROPOSE, {"why": "it was scaled meanwhile", "steps": steps}),))

    await world.start()
    world.model.script = script
    await world.ask("at-limit")
    await world.card("Approval needed", seconds=30)
    changed = copy.deepcopy(next(iter(world.simulator.objects.of("Deployment", "orders"))))
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/orders/api:5.0.9"
    world.simulator.objects.put(changed)
    await world.approve()
    card = await world.card("Answer needed in the thread", seconds=30)
    waiting = await world.the_only()
    assert waiting.question.permit.revision == 2
    await world.die()

    await world.start()

    ended = await world.until_state(State.INTERRUPTED)
    (_, closed) = ended.approvals
    assert (closed.state, closed.reason) == (ApprovalState.CANCELLED, "the run was interrupted, ask again")
    assert f"Of the further plan (revision 2) step 1 ({further}) did not run" in ended.resolution.summary
    assert world.changes() == []
    assert "The question about the further plan (revision 2) is closed" in " ".join(await world.slack_tells_all())
    assert card["ts"] == (await world.card("Interrupted"))["ts"]
