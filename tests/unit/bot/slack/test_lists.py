"""Lists of resolutions: status, pending, history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack import lists
from core.approval import ApprovalState
from core.resolution import State
from tests.unit.bot.slack.marks import acted_upon
from tests.unit.bot.slack.overviews import HOSTILE, RESOLUTION, overview, with_question

EVERY = [overview(state) for state in State]
MESSAGE_LIMIT = 40_000


def test_a_list_has_a_title_and_one_line_for_each_resolution_in_the_order_given():
    text = lists.list_text("The latest", EVERY, empty="Nothing.")

    title, *lines = text.split("\n")
    assert title == "*The latest*"
    assert len(lines) == len(State)
    assert all(f"`{RESOLUTION[:8]}`" in line and "pod_restart in shop" in line for line in lines)


def test_an_empty_list_says_so():
    assert lists.list_text("The latest", [], empty="Nothing waits for an answer.") == "Nothing waits for an answer."


@given(text=st.text(max_size=300), state=st.sampled_from(State))
def test_no_text_of_a_row_mentions_anything_or_starts_a_line_of_its_own(text, state):
    row = overview(state, text=text + HOSTILE, many=3)

    listed = lists.list_text("The latest", [row, row], empty="")

    assert acted_upon(listed) == []
    assert acted_upon(lists.status_text(row)) == []
    assert len(listed.split("\n")) == 3


@pytest.mark.parametrize("state", list(State), ids=lambda one: one.value)
def test_the_status_of_one_says_who_asked_and_what_it_cost(state):
    told = lists.status_text(overview(state, many=2))

    assert "Asked by one pod crashes." in told
    assert "of 100,000 tokens" in told
    assert "⏸️ Paused by" in told


def test_twenty_of_the_longest_fit_one_message():
    rows = [overview(State.COMPLETED, text="x" * 4_000, many=100)] * 20

    assert len(lists.list_text("The latest", rows, empty="")) < MESSAGE_LIMIT


def test_a_run_that_waits_for_an_answer_says_so():
    waiting = lists.list_text("Waiting for an answer", [with_question(ApprovalState.PENDING)], empty="")
    running = lists.list_text("The latest", [with_question(ApprovalState.APPROVED)], empty="")

    assert "waits for an answer in its thread" in waiting
    assert "waits for an answer" not in running
