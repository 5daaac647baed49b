"""What people see of a plan: on the card in each state, in the thread, in the details."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.demo.slack.blocks import check_blocks
from bot.slack import modals, thread
from bot.slack.cards import resolution_card
from bot.slack.questions import question_card
from bot.slack.sizes import MESSAGE_LIMIT, size_of
from core.approval import ApprovalState, Subject
from core.execution import CommandRecord
from core.history import Entry, Happened, RecordedEntry
from core.permit import PermittedLine
from core.resolution import ApprovalId, State
from core.resources import Resource
from core.risk_levels import RiskLevel
from tests.unit.bot.slack.marks import acted_upon, mrkdwn_of
from tests.unit.bot.slack.overviews import HOSTILE, NOW, RENDERING, RESOLUTION, overview

TARGET = Resource("Deployment", "web", "shop", "apps/v1", "uid-web")
FIRST = PermittedLine(
    "kubectl set image deployment/web web=a:2 -n shop",
    (("kubectl",),),
    RiskLevel.MEDIUM,
    "R6",
    "shop",
    (TARGET,),
    diff='Deployment shop/web\n  spec.template.spec.containers[web].image: "a:3" → "a:2"',
    check="not_worse",
    undo="The image of today is set again.",
)
SECOND = replace(
    FIRST,
    line="kubectl scale deployment/web --replicas=4 -n shop",
    verdict=RiskLevel.HIGH,
    diff="Deployment shop/web\n  spec.replicas: 2 → 4",
    check="healthy",
)


def planned(state, *lines, revision=1, decided=ApprovalState.APPROVED, commands=(), **given):
    found = overview(state)
    approval = found.approvals[-1]
    permit = replace(approval.permit, rules=(), lines=lines or (FIRST, SECOND), revision=revision)
    is_pending = state is State.AWAITING_APPROVAL
    approval = replace(approval, permit=permit, state=ApprovalState.PENDING if is_pending else decided)
    resolution = replace(found.resolution, **{"summary": "1.3 leaks; 1.2 ran well."} | given)
    return replace(found, resolution=resolution, approvals=(approval,), commands=commands)


def text_of(card):
    return json.dumps(card.blocks, ensure_ascii=False)


def command(line, **given):
    values = {"seq": 1, "line": line, "verdict": "HIGH", "rule": "R7", "reason": "", "is_executed": True}
    return CommandRecord(**values | {"asked_at": NOW, "ended_at": NOW, "exit_code": 0} | given)


def entry(what, **facts):
    return RecordedEntry(3, NOW, Entry(what, RESOLUTION, None, facts))


def test_while_planning_there_is_nothing_to_approve():
    waiting = overview(State.AWAITING_APPROVAL)
    at = overview(State.GATHERING)
    card = resolution_card(replace(at, assessment=waiting.assessment, approvals=()), RENDERING)

    assert "Planning" in card.text
    assert "Nothing is changed" in text_of(card)
    assert '"approve"' not in text_of(card)


def test_the_question_shows_each_line_with_its_difference_check_and_undo():
    shown = text_of(resolution_card(planned(State.AWAITING_APPROVAL), RENDERING))

    for word in (FIRST.line, SECOND.line, "spec.replicas: 2 → 4", "a:3", "a:2", "The image of today is set again."):
        assert word.replace('"', '\\"') in shown
    assert "no worse than before the step" in shown
    assert "every wanted replica ready" in shown
    assert "1.3 leaks; 1.2 ran well." in shown
    assert "look again" not in shown
    assert "The service runs the plan's 2 lines at once" in shown


def test_a_revised_question_says_so_above_everything_that_was_read_before():
    card = resolution_card(planned(State.AWAITING_APPROVAL, revision=2), RENDERING)

    texts = [json.dumps(one, ensure_ascii=False) for one in card.blocks]
    assert "The plan has changed, look again* (revision 2)" in texts[1]


def test_a_plan_at_work_shows_how_far_each_step_got():
    running = [command(FIRST.line), command(SECOND.line, ended_at=None, exit_code=None)]
    shown = text_of(resolution_card(planned(State.EXECUTING, commands=tuple(running)), RENDERING))

    assert f"✅ 1. `{FIRST.line}` — done" in shown
    assert f"⏳ 2. `{SECOND.line}` — running" in shown


def test_a_plan_that_stopped_shows_what_was_not_run():
    shown = text_of(resolution_card(planned(State.FAILED, commands=(command(FIRST.line, exit_code=1),)), RENDERING))

    assert f"❌ 1. `{FIRST.line}` — failed" in shown
    assert f"⏭️ 2. `{SECOND.line}` — not run" in shown


@pytest.mark.parametrize("state", [State.AWAITING_APPROVAL, State.EXECUTING, State.FAILED])
def test_nothing_in_a_plan_can_mention_or_break_out(state):
    hostile = replace(FIRST, line=HOSTILE, diff=HOSTILE, undo=HOSTILE, check=HOSTILE)
    shown = text_of(resolution_card(planned(state, hostile, summary=HOSTILE), RENDERING))

    assert "<!channel>" not in shown
    assert "<!subteam^S0ONCALL>" not in shown


def test_a_plan_of_many_long_steps_still_fits_and_says_that_more_is_in_the_details():
    long = replace(
        FIRST, line=FIRST.line + " " + "x" * 1_500, diff="\n".join(["  spec.a: 1 → 2"] * 300), undo="u" * 900
    )
    card = resolution_card(planned(State.AWAITING_APPROVAL, *[long] * 10), RENDERING)

    assert len(card.blocks) <= 50
    assert len(text_of(card)) < 13_500
    assert "4 more step(s): see Details" in text_of(card)
    view = modals.details_modal(planned(State.AWAITING_APPROVAL, *[long] * 10))
    assert len(view["blocks"]) <= 100
    assert all(len(one["text"]["text"]) <= 3_000 for one in view["blocks"] if one["type"] == "section")


def test_the_details_name_the_objects_with_their_uid():
    view = json.dumps(modals.details_modal(planned(State.AWAITING_APPROVAL)), ensure_ascii=False)

    assert "Deployment shop/web (uid-web)" in view
    assert "MEDIUM (R6)" in view


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (entry(Happened.PLANNING_STARTED), "A read-only agent plans the exact lines"),
        (
            entry(Happened.PLAN_PROPOSED, why="it leaks", steps=[{"line": "kubectl scale x", "risk": "HIGH"}]),
            "*Plan*: it leaks\n1. 🟠 `kubectl scale x`",
        ),
        (entry(Happened.PLAN_REFUSED, reason="Step 1: no", is_final=False), "Step 1: no The planning agent may mend"),
        (entry(Happened.PLAN_REFUSED, reason="Step 1: no", is_final=True), "It was the last try"),
        (entry(Happened.PLAN_REVISED, revision=2, changes=["3 → 4"]), "look again* (revision 2).\n• 3 → 4"),
        (entry(Happened.STEP_STARTED, step=1, of=2), "Step 1 of 2: everything is still as it was approved"),
        (entry(Happened.STEP_ENDED, step=1, of=2, is_run=True, is_success=True), "✅ Step 1 of 2 is done."),
        (entry(Happened.STEP_ENDED, step=1, of=2, is_run=True, is_success=False), "❌ Step 1 of 2 failed."),
        (entry(Happened.STEP_ENDED, step=2, of=2, is_run=False, sentence="it moved"), "2 was not run: it moved"),
        (entry(Happened.STEP_CHECKED, step=1, of=2, is_healthy=False, sentences=["0 of 2"]), "does not hold: 0 of 2"),
        (entry(Happened.EXECUTION_STARTED, is_plan=True), "run, line by line, without an agent"),
        (entry(Happened.EXECUTION_ENDED, is_plan=True, ending="success"), "run to its end"),
        (entry(Happened.EXECUTION_ENDED, is_plan=True, ending="failed"), "The plan stopped"),
        (entry(Happened.PLAN_REFUSED, reason="<!channel>"), "&lt;!channel&gt;"),
    ],
)
def test_the_thread_tells_every_turn_of_a_plan(recorded, words):
    assert words in thread.line(recorded)


# --- a further plan, asked about mid-run ----------------------------------------------------------------------------


def with_further_plan(asked_state, *, state=State.EXECUTING, commands=(), **changed):
    """The first plan stopped before its second step; SECOND is what the further one holds."""
    found = planned(state, commands=commands)
    first = found.approvals[0]
    further = replace(
        first,
        id=ApprovalId("77777777-7777-4888-8999-000000000000"),
        subject=Subject.COMMAND,
        state=asked_state,
        asked_at=NOW + timedelta(minutes=2),
        permit=replace(first.permit, lines=(replace(SECOND, **changed),), revision=2),
    )
    return replace(found, approvals=(first, further))


@pytest.mark.parametrize("state", ApprovalState)
@pytest.mark.parametrize("text", ["", HOSTILE, HOSTILE * 20])
def test_slack_takes_the_card_of_a_further_plan_whatever_it_holds(state, text):
    row = with_further_plan(state, line=SECOND.line + text, diff=SECOND.diff + text, undo=text)
    card = question_card(row, row.approvals[-1], RENDERING, why=text)

    assert check_blocks(card.blocks) == []
    assert size_of(card.blocks) <= MESSAGE_LIMIT
    assert [mark for one in mrkdwn_of(card.blocks) for mark in acted_upon(one.replace("<@U0ADA>", ""))] == []
    assert "further plan" in card.text


def test_a_further_plan_shows_its_steps_its_reason_and_that_the_rest_of_the_first_is_not_run():
    row = with_further_plan(ApprovalState.PENDING)
    card = question_card(row, row.approvals[-1], RENDERING, why="somebody scaled it")
    shown = text_of(card)

    for words in (SECOND.line, "spec.replicas: 2 → 4", "revision 2", "somebody scaled it", "the run ends"):
        assert words in shown
    assert "The approved plan stopped; the rest of it is not run." in shown
    assert "a further one waits for an answer" in text_of(resolution_card(row, RENDERING))
    details = json.dumps(modals.question_modal(row.approvals[-1]), ensure_ascii=False)
    assert "Deployment shop/web (uid-web)" in details
    rejecting = modals.reject_modal("v", place=("C", "1"), overview=row, question=row.approvals[-1])
    assert "the run ends here" in json.dumps(rejecting)


def test_each_plan_of_a_run_shows_how_far_its_own_steps_got():
    later = NOW + timedelta(minutes=5)
    ran = (command(FIRST.line), command(SECOND.line, asked_at=later, ended_at=later, exit_code=1))
    shown = text_of(resolution_card(with_further_plan(ApprovalState.APPROVED, commands=ran), RENDERING))

    assert f"✅ 1. `{FIRST.line}` — done" in shown
    assert f"⏭️ 2. `{SECOND.line}` — not run" in shown
    assert "*The further plan* (revision 2)" in shown
    assert f"❌ 1. `{SECOND.line}` — failed" in shown


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("approved", "approved the further plan (revision 2)."),
        ("rejected", "rejected the further plan (revision 2)."),
        ("expired", "Nobody answered about the further plan (revision 2); it does not run."),
        ("cancelled", "The question about the further plan (revision 2) is closed"),
    ],
)
def test_the_thread_tells_how_the_question_about_a_further_plan_ended(state, words):
    told = thread.line(entry(Happened.QUESTION_ENDED, state=state, line=SECOND.line, revision=2))

    assert words in told


def test_a_step_of_a_further_plan_names_its_revision():
    told = thread.line(entry(Happened.STEP_ENDED, step=1, of=2, is_run=True, is_success=True, revision=3))

    assert told == "✅ Step 1 of 2 (revision 3) is done."
