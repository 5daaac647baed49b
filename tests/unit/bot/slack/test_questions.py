"""The card of one line mid-run: whatever it holds Slack takes, and nothing in it acts."""

from dataclasses import replace

import pytest

from bot.demo.slack.blocks import check_blocks
from bot.slack import buttons, cards, thread
from bot.slack.questions import question_card, question_details
from bot.slack.sizes import MESSAGE_LIMIT, size_of
from core.approval import ApprovalState
from core.execution import CommandRecord
from core.history import Entry, Happened, RecordedEntry
from core.resolution import ActionType, Person, State
from tests.unit.bot.slack.marks import acted_upon, mrkdwn_of
from tests.unit.bot.slack.overviews import HOSTILE, NOW, RENDERING, RESOLUTION, SIGNER, overview, with_question

every_state = pytest.mark.parametrize("state", ApprovalState)
LINE = "kubectl scale deploy/web --replicas=5"


def card_of(row, **given):
    return question_card(row, row.approvals[-1], given.pop("rendering", RENDERING), **given)


def actions_of(card):
    return [one["action_id"] for block in card.blocks if block["type"] == "actions" for one in block["elements"]]


@every_state
@pytest.mark.parametrize("text", ["", HOSTILE, "x" * 3_000, HOSTILE * 20])
@pytest.mark.parametrize("many", [1, 50])
def test_slack_takes_the_card_whatever_it_holds(state, text, many):
    card = card_of(with_question(state, text=text, many=many), why=text)

    assert check_blocks(card.blocks) == []
    assert size_of(card.blocks) <= MESSAGE_LIMIT
    assert [mark for one in mrkdwn_of(card.blocks) for mark in acted_upon(one.replace("<@U0ADA>", ""))] == []
    assert acted_upon(card.text) == []
    assert "may" in card.text or "line" in card.text


def test_a_question_shows_the_line_its_risk_targets_values_and_end_and_has_three_buttons():
    card = card_of(with_question(ApprovalState.PENDING))
    text = str(card.blocks)

    for words in (LINE, "HIGH", "Pod shop/web-0", "spec.replicas of Pod shop/web-0", "Expires", "a-0"):
        assert words in text
    assert "without an answer it does not run" in text
    assert actions_of(card) == ["approve", "reject", "question"]
    assert LINE in card.text


@pytest.mark.parametrize("state", [one for one in ApprovalState if one is not ApprovalState.PENDING])
def test_an_ended_question_keeps_its_facts_and_has_no_buttons(state):
    card = card_of(with_question(state))

    assert actions_of(card) == []
    assert LINE in str(card.blocks)
    assert ("undo of exactly this change is approved" in str(card.blocks)) is (state is ApprovalState.APPROVED)
    assert cards.decision_words(with_question(state).approvals[-1]) in str(card.blocks)


def test_the_buttons_carry_this_question_and_the_digest_of_this_line():
    row = with_question(ApprovalState.PENDING)
    (block,) = [one for one in card_of(row).blocks if one["type"] == "actions"]
    approve = block["elements"][0]

    assert SIGNER.read(buttons.APPROVE, approve["value"]) == (row.question.id, row.question.permit.digest)
    assert LINE in approve["confirm"]["text"]["text"]


def test_what_cannot_be_undone_is_said_before_what_can():
    told = str(card_of(with_question(ApprovalState.PENDING, many_words="Memory is lost. Volumes are emptied")).blocks)

    assert told.index("Cannot be undone") < told.index("Memory is lost") < told.index("Volumes are emptied")
    assert "Cannot be undone" not in str(card_of(with_question(ApprovalState.PENDING)).blocks)


def test_a_question_put_again_says_what_changed():
    told = str(card_of(with_question(ApprovalState.PENDING), why="spec.replicas was 3 and is 4 now.").blocks)

    assert "Asked again" in told
    assert "was 3 and is 4 now" in told


def test_without_approvers_the_card_says_how_to_set_them():
    told = str(card_of(with_question(ApprovalState.PENDING), rendering=replace(RENDERING, why_nobody="Set it.")).blocks)

    assert "Set it." in told


def test_a_secret_in_the_line_stands_on_no_card():
    row = with_question(ApprovalState.PENDING)
    first, asked = row.approvals
    secret = "kubectl create secret generic db --from-literal=password=hunter2hunter2"
    line = replace(asked.permit.lines[0], line=secret, stages=(tuple(secret.split()),))
    row = replace(row, approvals=(first, replace(asked, permit=replace(asked.permit, lines=(line,)))))

    assert "hunter2hunter2" not in str(question_details(row.question))
    assert "hunter2hunter2" not in str(card_of(row).blocks)
    assert "hunter2hunter2" not in str(cards.resolution_card(row, RENDERING).blocks)


def test_the_card_of_the_resolution_says_that_an_answer_is_waited_for():
    waiting = cards.resolution_card(with_question(ApprovalState.PENDING), RENDERING)

    assert "Answer needed in the thread" in waiting.blocks[0]["text"]["text"]
    assert LINE in str(waiting.blocks)
    assert "Answer needed" not in str(cards.resolution_card(with_question(ApprovalState.APPROVED), RENDERING).blocks)


def entry(what, **facts):
    return RecordedEntry(1, NOW, Entry(what, RESOLUTION, Person("slack:T1/U1", "Ada"), facts))


def test_a_question_is_a_message_of_its_own_in_the_thread():
    row = with_question(ApprovalState.PENDING)
    asked = entry(Happened.QUESTION_ASKED, approval_id=row.question.id, line=LINE, why="It grew.")

    before, question, after = thread.replies(
        [entry(Happened.AGENT_SAID, text="I try."), asked, entry(Happened.AGENT_SAID, text="Waiting.")], row, RENDERING
    )

    assert (before.question, after.question) == (None, None)
    assert question.question == row.question.id
    assert "It grew." in str(question.blocks)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("approved", "Ada approved this line for one run"),
        ("rejected", "Ada rejected this line"),
        ("expired", "Nobody answered about this line"),
        ("cancelled", "closed, it does not run"),
    ],
)
def test_the_thread_tells_how_a_question_ended(state, words):
    told = thread.line(entry(Happened.QUESTION_ENDED, state=state, line=LINE, reason="it is late"))

    assert words in told
    assert LINE in told


def refused(line, verdict):
    return CommandRecord(1, line, verdict, "R7", "An investigation changes nothing.", is_executed=False, asked_at=NOW)


@pytest.mark.parametrize(
    ("verdict", "action", "offers"),
    [
        ("HIGH", ActionType.INVESTIGATION, 1),
        ("DENY", ActionType.INVESTIGATION, 0),
        ("HIGH", ActionType.POD_RESTART, 0),
    ],
)
def test_an_investigation_that_was_refused_a_change_offers_it_at_its_end(verdict, action, offers):
    row = replace(overview(State.COMPLETED, action=action), commands=(refused(LINE, verdict),))

    (end,) = thread.replies([entry(Happened.COMPLETED, summary="Too few.")], row, RENDERING)

    assert actions_of(end).count("offer") == offers
    assert check_blocks(end.blocks) == []
    assert ("/incident resolve resource_scale shop" in str(end.blocks)) is bool(offers)
