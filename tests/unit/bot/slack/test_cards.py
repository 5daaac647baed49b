"""The card of a resolution: in every state, whatever the rows hold."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from bot.demo.slack.blocks import PAYLOAD_LIMIT, check_blocks, payload_size, walk
from bot.slack import buttons, cards, words
from bot.slack.cards import Rendering
from core.approval import POLICY, ApprovalState
from core.overview import Pause
from core.resolution import ActionType, State
from core.resources import Resource
from core.risk_levels import RiskLevel
from tests.unit.bot.slack.marks import acted_upon, mrkdwn_of, plain_of
from tests.unit.bot.slack.overviews import (
    ADA,
    APPROVAL,
    HOSTILE,
    NOW,
    RENDERING,
    RESOLUTION,
    SIGNER,
    SNAPSHOT,
    approval,
    overview,
)

LONG = "word" * 1_000
WORST = {
    "short": ("one pod crashes", 1),
    "empty": ("", 1),
    "a word of 3,000 characters": ("x" * 3_000, 60),
    "descriptions of 4,000 characters": (LONG, 100),
    "hostile": (HOSTILE * 20, 60),
    "quotes": ('"\\' * 2_000, 100),
    "line breaks": ("\n" * 4_000, 100),
    "ampersands": ("&" * 4_000, 100),
    "backticks": ("`" * 4_000, 100),
    "control characters": ("\x00\u202e" * 2_000, 100),
    "emoji": ("\U0001f525" * 4_000, 100),
}
every_state = pytest.mark.parametrize("state", list(State), ids=lambda one: one.value)


def actions_of(card):
    return {one["action_id"]: one for _, one in walk(card.blocks) if one.get("type") == "button"}


def text_of(card):
    return "\n".join([*mrkdwn_of(card.blocks), *plain_of(card.blocks)])


@every_state
@pytest.mark.parametrize("kind", WORST)
@pytest.mark.parametrize("nobody", [None, HOSTILE * 10], ids=["approvers", "no approvers"])
def test_slack_takes_the_card_of_every_state_whatever_its_rows_hold(state, kind, nobody):
    text, many = WORST[kind]
    rendering = Rendering(SIGNER, ("U0ADA", "S0ONCALL", "channel", HOSTILE), nobody)

    card = cards.resolution_card(overview(state, text=text, many=many), rendering)

    assert check_blocks(card.blocks) == []
    assert len(card.blocks) <= 50
    assert payload_size(card.blocks) <= PAYLOAD_LIMIT
    for block in card.blocks:
        Block.parse(block).validate_json()


@every_state
def test_the_text_of_a_card_is_one_sentence_that_names_state_action_and_target(state):
    text = cards.resolution_card(overview(state), RENDERING).text

    sign, told = words.STATES[state]
    assert text.startswith(f"{sign} {told}: Restart pods · ")
    assert text.endswith(".")
    assert "\n" not in text
    assert state is State.GATHERING or "web-0" in text


@every_state
@pytest.mark.parametrize("kind", WORST)
def test_the_text_of_a_card_fits_a_notification_and_says_something(state, kind):
    text, many = WORST[kind]

    told = cards.resolution_card(overview(state, text=text, many=many), RENDERING).text

    assert words.STATES[state][1] in told
    assert len(told) <= 300
    assert acted_upon(told) == []


@given(state=st.sampled_from(State), text=st.text(max_size=300), many=st.integers(1, 12))
def test_no_text_of_a_row_mentions_or_links_anything(state, text, many):
    row = overview(state, text=text + HOSTILE, many=many)

    card = cards.resolution_card(row, Rendering(SIGNER, why_nobody=text + HOSTILE))

    assert [mark for one in mrkdwn_of(card.blocks) for mark in acted_upon(one)] == []
    assert acted_upon(card.text) == []


@given(text=st.text(min_size=1, max_size=300))
def test_no_text_of_a_row_closes_the_code_it_stands_in(text):
    (command,) = overview(State.EXECUTING, text=f"{text}`{HOSTILE}").commands

    line = cards.command_line(dataclasses.replace(command, is_executed=True))

    assert line.count("`") == 2
    assert "\n" not in line


@every_state
def test_approve_and_reject_stand_on_the_card_while_it_waits_and_never_else(state):
    card = cards.resolution_card(overview(state), RENDERING)

    found = set(actions_of(card))
    assert buttons.DETAILS in found
    assert ({buttons.APPROVE, buttons.REJECT} <= found) is (state is State.AWAITING_APPROVAL)
    assert (buttons.APPROVE in found) is (buttons.REJECT in found)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (State.GATHERING, ["details"]),
        (State.AWAITING_APPROVAL, ["approve", "reject", "details"]),
        (State.APPROVED, ["details"]),
        (State.REJECTED, ["ask_again", "details"]),
        (State.EXPIRED, ["ask_again", "details"]),
        (State.CANCELLED, ["ask_again", "details"]),
        (State.EXECUTING, ["interrupt", "details"]),
        (State.VERIFYING, ["interrupt", "details"]),
        (State.COMPLETED, ["rollback", "details"]),
        (State.FAILED, ["rollback", "ask_again", "details"]),
        (State.INTERRUPTED, ["rollback", "ask_again", "details"]),
        (State.ROLLING_BACK, ["details"]),
        (State.ROLLED_BACK, ["details"]),
        (State.ROLLBACK_FAILED, ["rollback", "details"]),
    ],
    ids=lambda one: one.value if isinstance(one, State) else "",
)
def test_each_state_offers_what_can_be_done_in_it(state, wanted):
    assert list(actions_of(cards.resolution_card(overview(state), RENDERING))) == wanted


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.INTERRUPTED, State.ROLLBACK_FAILED])
def test_what_changed_nothing_cannot_be_rolled_back(state):
    row = dataclasses.replace(overview(state), changes=0)

    assert buttons.ROLLBACK not in actions_of(cards.resolution_card(row, RENDERING))


@every_state
def test_buttons_carry_signed_ids_and_little_else(state):
    row = overview(state, text=LONG, many=100)

    for action, button in actions_of(cards.resolution_card(row, RENDERING)).items():
        id_, digest = SIGNER.read(action, button["value"])
        assert id_ in {RESOLUTION, APPROVAL, SNAPSHOT}
        assert digest == (row.approval.permit.digest if action in {buttons.APPROVE, buttons.REJECT} else "")
        assert len(button["value"]) <= 2_000


def test_approving_and_interrupting_are_asked_back_first():
    pending = actions_of(cards.resolution_card(overview(State.AWAITING_APPROVAL), RENDERING))
    running = actions_of(cards.resolution_card(overview(State.EXECUTING), RENDERING))

    assert "shop" in pending[buttons.APPROVE]["confirm"]["text"]["text"]
    assert running[buttons.INTERRUPT]["confirm"]["deny"]["text"] == "Back"
    assert "confirm" not in pending[buttons.DETAILS]


def test_one_button_of_a_card_is_primary():
    card = cards.resolution_card(overview(State.AWAITING_APPROVAL), RENDERING)

    assert [name for name, one in actions_of(card).items() if one.get("style") == "primary"] == [buttons.APPROVE]


def test_block_ids_are_new_with_each_entry_of_history():
    row = overview(State.AWAITING_APPROVAL)
    before = cards.resolution_card(row, RENDERING)
    after = cards.resolution_card(dataclasses.replace(row, history_seq=8), RENDERING)

    assert {one["block_id"] for one in before.blocks}.isdisjoint(one["block_id"] for one in after.blocks)
    assert before == cards.resolution_card(row, RENDERING)


def test_a_pending_card_says_what_the_agent_may_do_until_when_and_who_may_approve():
    told = text_of(cards.resolution_card(overview(State.AWAITING_APPROVAL), Rendering(SIGNER, ("U0ADA", "channel"))))

    assert "*If approved, the agent may*" in told
    assert "set the image of Pod shop/web-0" in told
    assert "The undo of exactly this change is approved along with it." in told
    assert "*Expires*" in told
    assert "may approve: <@U0ADA>, full members of this channel" in told


def test_a_card_that_nobody_may_approve_says_how_that_is_set():
    told = text_of(cards.resolution_card(overview(State.AWAITING_APPROVAL), Rendering(SIGNER, (), "Set X to approve.")))

    assert "⚠️ Set X to approve." in told
    assert "may approve:" not in told


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (ApprovalState.APPROVED, "👍 Approved by Ada"),
        (ApprovalState.REJECTED, "🚫 Rejected by Ada"),
        (ApprovalState.CANCELLED, "🚫 Cancelled by Ada"),
        (ApprovalState.EXPIRED, "⌛ Expired"),
    ],
)
def test_a_decided_question_names_who_and_why(state, wanted):
    question = dataclasses.replace(approval(state, text="not now"), decided_by=ADA)

    told = cards.decision_words(question)

    assert told.startswith(wanted)
    assert "<!date^" in told
    assert ("nobody answered" in told) is (state is ApprovalState.EXPIRED)


def test_an_approval_by_the_policy_names_nobody():
    question = dataclasses.replace(approval(ApprovalState.APPROVED), decided_by=POLICY)

    assert "Approved by the policy" in cards.decision_words(question)


def test_a_finished_investigation_is_not_called_resolved():
    card = cards.resolution_card(overview(State.COMPLETED, action=ActionType.INVESTIGATION), RENDERING)

    assert card.text.startswith("✅ Investigated: Investigate · ")


def test_what_is_left_out_is_counted():
    row = overview(State.AWAITING_APPROVAL, many=100)

    told = text_of(cards.resolution_card(row, RENDERING))

    assert told.count("more (see Details)") >= 4
    assert "and 92 more (see Details)" in told


def test_a_long_description_says_that_it_is_cut():
    told = text_of(cards.resolution_card(overview(State.AWAITING_APPROVAL, text=LONG), RENDERING))

    assert "… (truncated)" in told


def test_only_the_newest_commands_stand_on_the_card():
    row = overview(State.EXECUTING, many=9)

    told = text_of(cards.resolution_card(row, RENDERING))

    assert "_4 earlier lines: see the thread_" in told
    assert told.count("— refused") == 2
    assert told.count("— done") == 3


@pytest.mark.parametrize(
    ("changed", "ending"),
    [
        ({"ended_at": None}, "— running"),
        ({"exit_code": None}, "— stopped"),
        ({"exit_code": 0}, "— done"),
        ({"exit_code": 2}, "— exit code 2"),
        ({"is_executed": False}, "— refused"),
    ],
)
def test_a_command_says_how_it_ended(changed, ending):
    (command,) = overview(State.EXECUTING).commands

    assert cards.command_line(dataclasses.replace(command, **changed)).endswith(ending)


def test_a_source_that_is_switched_off_is_no_gap_of_the_card():
    row = overview(State.AWAITING_APPROVAL)
    off = dataclasses.replace(row, gaps=tuple(dataclasses.replace(one, is_off=True) for one in row.gaps))

    assert "Not known" in text_of(cards.resolution_card(row, RENDERING))
    assert "Not known" not in text_of(cards.resolution_card(off, RENDERING))


@every_state
def test_a_pause_stands_on_every_card_with_who_and_why(state):
    row = dataclasses.replace(overview(state), pause=None)
    paused = dataclasses.replace(row, pause=Pause(ADA, "the database is being moved", NOW))

    assert "The service is paused" not in text_of(cards.resolution_card(row, RENDERING))
    told = text_of(cards.resolution_card(paused, RENDERING))
    assert f"The service is paused* by {ADA.name}" in told
    assert "the database is being moved" in told


def test_the_card_names_the_controller_where_pods_of_one_are_affected():
    row = overview(State.AWAITING_APPROVAL, many=3)
    one = (Resource("Deployment", "web", "shop"), *row.assessment.affected)
    row = dataclasses.replace(row, assessment=dataclasses.replace(row.assessment, affected=one))

    assert " · web." in cards.card_sentence(row)


def test_every_state_action_and_level_has_its_words():
    assert set(words.STATES) == set(State)
    assert set(words.ACTIONS) == set(ActionType)
    assert set(words.LEVELS) == set(RiskLevel)
    assert set(words.VERDICTS) == {one.value for one in RiskLevel} | {"DENY"}
    assert words.time_token(NOW) == "<!date^1772366400^{date_short_pretty} {time_secs}|2026-03-01 12:00:00 UTC>"


def test_an_expired_card_grants_nothing():
    told = text_of(cards.resolution_card(overview(State.EXPIRED), RENDERING))
    assert "would have been allowed" in told
    assert "approved along with it" not in told
    assert "The agent may" not in told


def test_the_card_says_at_most_how_much_it_may_use_and_until_when_and_not_which_digest():
    waiting = overview(State.AWAITING_APPROVAL)
    told = text_of(cards.resolution_card(waiting, RENDERING))
    assert "at most 100,000 tokens" in told
    assert "5 minutes after it was asked" in told
    assert waiting.approval.permit.digest[:12] not in told
    assert f"id `{RESOLUTION[:8]}`" in told


def test_the_card_says_where_who_asked_may_not_approve():
    strict = dataclasses.replace(RENDERING, may_requesters_approve=False)
    assert "but not who asked" in text_of(cards.resolution_card(overview(State.AWAITING_APPROVAL), strict))
