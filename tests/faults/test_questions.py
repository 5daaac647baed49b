"""kill -9 while an agent waits for an answer: the question is closed, nothing runs, and the run is interrupted."""

from datetime import UTC, datetime

from bot.demo.model.server import Turn
from core.actor import Actor, Right
from core.approval import Answer, ApprovalState
from core.approvals import ApprovalEngine
from core.history import Happened
from core.intake import Intake
from core.resolution import Person, State
from tests.faults.world import World, header_of

SCALE = "kubectl scale deployment/checkout --replicas=5 -n shop"


def asks(_body):
    return Turn("I try this.", (("mcp__resolver__bash", {"command": SCALE}),))


async def waiting(world: World):
    """A replica whose agent waits, and the question's card in the thread."""
    replica = await world.start()
    world.model.script = asks
    await world.ask("crashloop")
    card = await world.card("Approval needed")
    await world.approve()

    def asked():
        return next((one for one in world.slack.thread(card["ts"]) if "Answer needed" in header_of(one)), None)

    await world.until(asked, "asked about the line")
    return replica, asked()


async def test_killed_while_it_waits_for_an_answer_the_question_is_closed_and_nothing_runs(world: World):
    replica, question = await waiting(world)
    one = await world.the_only()
    assert (one.resolution.state, one.resolution.waiting_for) == (State.EXECUTING, "approval")
    assert replica.has_agent()
    await world.die()
    assert (await world.the_only()).question is not None

    await world.start()

    ended = await world.until_state(State.INTERRUPTED)
    (closed,) = [one for one in ended.approvals if one.permit.lines]
    assert (closed.state, closed.reason) == (ApprovalState.CANCELLED, "the run was interrupted, ask again")
    assert (ended.question, ended.resolution.waiting_for) == (None, None)
    assert "No command had run. Nothing was changed." in ended.resolution.summary
    assert world.changes() == []
    lines = await world.slack_tells_all()
    assert "is closed, it does not run" in " ".join(lines)
    message = world.slack.message(question["ts"])
    assert "Closed" in header_of(message)
    assert not [one for one in message["blocks"] if one["type"] == "actions"]
    assert (await world.happened(ended.resolution.id)).count(Happened.QUESTION_ENDED) == 1


async def test_answered_while_the_service_was_dead_the_line_does_not_run(world: World):
    """Another replica's clerk takes the click before the dead one's lease has run out: recorded, and nothing runs."""
    await waiting(world)
    one = await world.the_only()
    await world.die(leases_end=False)

    clerk = Intake(
        store=world.store, engine=ApprovalEngine(), rollback=None, clock=lambda: datetime.now(UTC), new_id=str
    )
    ada = Actor(Person("key:ada", "ada"), frozenset({Right.APPROVE}), is_approver=True)
    answer = Answer(one.question.id, ada.person, is_approval=True, reason="", digest=one.question.permit.digest)
    await clerk.decide(answer, actor=ada)

    await world.start()

    ended = await world.until_state(State.INTERRUPTED)
    assert world.changes() == []
    assert f"Approved, but it did not run: {SCALE}. Nothing was changed." in ended.resolution.summary
    assert ended.resolution.waiting_for is None
    await world.slack_tells_all()
