"""Modals: Slack takes them whatever the rows hold, and what comes back is read with care."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.demo.slack.blocks import check_view
from bot.slack import buttons, cards, modals
from core.approval import ApprovalState
from core.errors import InvalidInputError
from core.resolution import State
from core.snapshot import UndoReport, UndoStep
from tests.unit.bot.slack.marks import acted_upon, mrkdwn_of
from tests.unit.bot.slack.overviews import APPROVAL, HOSTILE, SIGNER, SNAPSHOT, overview, undo_report, with_question
from tests.unit.bot.slack.test_cards import WORST

PLACE = ("C0INCIDENTS", "1.000001")
DIGEST = "d" * 64


def told(view):
    return "\n".join(mrkdwn_of(view["blocks"]))


@pytest.mark.parametrize("state", list(State), ids=lambda one: one.value)
@pytest.mark.parametrize("kind", WORST)
def test_slack_takes_the_details_of_every_state(state, kind):
    text, many = WORST[kind]

    view = modals.details_modal(overview(state, text=text, many=many))

    assert check_view(view) == []
    assert acted_upon(told(view)) == []


@pytest.mark.parametrize("kind", WORST)
@pytest.mark.parametrize("many", [0, 1, 100])
def test_slack_takes_the_preview_of_every_undo(kind, many):
    view = modals.rollback_modal(undo_report(WORST[kind][0], many), signer=SIGNER, snapshot_id=SNAPSHOT, place=PLACE)

    assert check_view(view) == []
    assert acted_upon(told(view)) == []
    assert ("submit" in view) is (many > 0)


@pytest.mark.parametrize("kind", WORST)
def test_slack_takes_every_notice_and_every_question_why(kind):
    text = WORST[kind][0]

    assert check_view(modals.notice(f"No: {text}")) == []
    value, row = SIGNER.value(buttons.REJECT_FORM, APPROVAL, DIGEST), overview(State.AWAITING_APPROVAL, text=text)
    view = modals.reject_modal(value, place=PLACE, overview=row, question=row.approval)
    assert check_view(view) == []
    assert acted_upon(told(view)) == []


def test_the_details_show_the_permit_the_evidence_the_gaps_and_the_digest():
    row = overview(State.AWAITING_APPROVAL, text="evidence", many=40)

    shown = told(modals.details_modal(row))

    assert row.approval.permit.digest in shown
    assert "At most 100,000 tokens" in shown
    assert "Pod shop/web-20" in shown
    assert "… and 28 more findings." in shown
    assert "*Not known*" in shown


def test_the_details_of_an_investigation_that_still_gathers_say_so():
    assert "still being assessed" in told(modals.details_modal(overview(State.GATHERING)))


def test_what_is_switched_off_is_told_in_the_details():
    row = overview(State.AWAITING_APPROVAL)
    off = dataclasses.replace(row, gaps=tuple(dataclasses.replace(one, is_off=True) for one in row.gaps))

    assert "(switched off)" in told(modals.details_modal(off))


def test_the_question_why_names_the_card_as_the_card_does():
    row = overview(State.AWAITING_APPROVAL, text="a&b")

    view = modals.reject_modal("v", place=PLACE, overview=row, question=row.approval)

    assert "· web-0-a&amp;b." in cards.card_sentence(row)
    assert cards.card_sentence(row) in told(view)


def test_the_question_why_of_one_line_names_the_line_and_that_the_agent_goes_on():
    row = with_question(ApprovalState.PENDING)

    view = modals.reject_modal("v", place=PLACE, overview=row, question=row.question)

    assert "kubectl scale deploy/web --replicas=5" in told(view)
    assert "goes on without it" in told(view)


@pytest.mark.parametrize("worst", WORST)
def test_the_details_of_a_question_leave_nothing_out_that_an_approval_binds(worst):
    row = with_question(ApprovalState.PENDING, text=WORST[worst][0], many=50)
    view = modals.question_modal(row.question)

    assert check_view(view) == []
    assert acted_upon(told(view)) == []
    line = row.question.permit.lines[0]
    assert told(view).count("• uid ") == len(line.targets)
    assert row.question.permit.digest in told(view)


def test_a_form_carries_the_signed_question_and_where_the_card_stands():
    value = SIGNER.value(buttons.REJECT_FORM, APPROVAL, DIGEST)

    row = overview(State.AWAITING_APPROVAL)
    view = modals.reject_modal(value, place=PLACE, overview=row, question=row.approval)

    assert modals.read_private(view) == (value, PLACE)
    assert len(view["private_metadata"]) <= 3_000


@given(private=st.one_of(st.text(), st.builds(json.dumps, st.recursive(st.none() | st.text(), st.lists))))
def test_private_metadata_that_is_not_ours_is_refused(private):
    with pytest.raises(InvalidInputError, match="not one of ours"):
        modals.read_private({"private_metadata": private})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, ""),
        ({"reason": {"reason": {"value": None}}}, ""),
        ({"reason": {"reason": {"value": "  not now \n"}}}, "not now"),
        ({"reason": {"reason": {"value": "x" * 3_000}}}, "x" * 2_000),
    ],
)
def test_the_reason_is_what_was_typed(values, reason):
    assert modals.reason_of({"state": {"values": values}}) == reason


@pytest.mark.parametrize(
    ("many", "lead"),
    [(0, "nothing that can be put back"), (1, "nothing has been changed yet"), (4, "Not everything can be put back")],
)
def test_the_preview_says_first_whether_it_can_be_put_back(many, lead):
    view = modals.rollback_modal(undo_report("put back", many), signer=SIGNER, snapshot_id=SNAPSHOT, place=PLACE)

    assert lead in next(mrkdwn_of(view["blocks"]))
    value, _ = modals.read_private(view)
    assert SIGNER.read(buttons.ROLLBACK_FORM, value) == (SNAPSHOT, "")


def test_what_goes_beyond_can_be_asked_for_where_nothing_else_is_left_to_do():
    step = UndoStep(1, "kubectl create -f x", "conflict", "Somebody deleted it since.", is_beyond=True)
    report = UndoReport(SNAPSHOT, True, (step,))

    view = modals.rollback_modal(report, signer=SIGNER, snapshot_id=SNAPSHOT, place=PLACE)

    assert "asked on the card before anything is done" in next(mrkdwn_of(view["blocks"]))
    assert view["submit"]["text"] == "Ask"


def test_hostile_text_in_a_notice_is_text():
    assert acted_upon(told(modals.notice(HOSTILE))) == []
