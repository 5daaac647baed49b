"""The thread of a card: what happened, in order, and a message of its own for the end."""

import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.demo.slack.blocks import check_blocks
from bot.slack import thread, words
from bot.slack.thread import ENDS, LINES_PER_MESSAGE
from core.history import Happened
from core.resolution import ActionType, State
from tests.unit.bot.slack.marks import acted_upon, mrkdwn_of
from tests.unit.bot.slack.overviews import HOSTILE, NOW, RENDERING, entry, overview

DONE = overview(State.COMPLETED)
every_kind = pytest.mark.parametrize("what", list(Happened), ids=lambda one: one.value)
WORST = {"long": "x" * 4_000, "quotes": '"' * 4_000, "lines": "\n" * 4_000, "hostile": HOSTILE * 20, "none": ""}


def entries(*kinds, text="because"):
    return [entry(what, text=text, seq=number) for number, what in enumerate(kinds, start=1)]


@every_kind
@pytest.mark.parametrize("worst", WORST)
def test_slack_takes_every_kind_of_entry_however_often_and_whatever_it_holds(what, worst):
    found = thread.replies(
        entries(*[what] * 20, text=WORST[worst]), overview(State.COMPLETED, text=WORST[worst]), RENDERING
    )

    for reply in found:
        assert check_blocks(reply.blocks) == []
        assert reply.text.strip()
        assert len(reply.text) <= 3_000
    assert found[-1].seq == 20


@every_kind
def test_every_kind_of_entry_has_words_for_people(what):
    (reply,) = thread.replies(entries(what, text="It was time."), DONE, RENDERING)

    assert what.value not in reply.text or "_" not in what.value
    assert reply.text[-1] in ".`)"


@given(text=st.text(max_size=200), what=st.sampled_from(Happened))
def test_no_fact_of_an_entry_mentions_or_links_anything(text, what):
    for reply in thread.replies(
        entries(what, text=text + HOSTILE), overview(State.FAILED, text=text + HOSTILE), RENDERING
    ):
        assert [mark for one in mrkdwn_of(reply.blocks) for mark in acted_upon(one)] == []
        assert acted_upon(reply.text) == []


@pytest.mark.parametrize("worst", sorted(set(WORST) - {"none"}))
def test_the_output_of_a_command_closes_its_code_nowhere_but_at_its_end(worst):
    told = thread.line(entry(Happened.COMMAND_ENDED, text=f"x{WORST[worst]}x"))

    assert told.startswith("↳ exit code 1\n```x")
    assert told.endswith("```")
    assert told.count("`") == 6


@given(kinds=st.lists(st.sampled_from(Happened), max_size=40))
def test_every_entry_is_told_once_and_in_order(kinds):
    given_entries = entries(*kinds)

    found = thread.replies(given_entries, DONE, RENDERING)

    assert [reply.seq for reply in found] == sorted({reply.seq for reply in found})
    assert sum(1 if _is_end(reply, given_entries) else len(reply.blocks) for reply in found) == len(kinds)
    assert not kinds or found[-1].seq == len(kinds)


def _is_end(reply, given_entries):
    return given_entries[reply.seq - 1].entry.what in ENDS


@given(kinds=st.lists(st.sampled_from(Happened), max_size=30), after=st.integers(0, 30))
def test_what_follows_a_reply_does_not_depend_on_what_was_posted_before_it(kinds, after):
    """After a restart the rest is posted from the last reply's number on."""
    given_entries = entries(*kinds)
    found = thread.replies(given_entries, DONE, RENDERING)
    posted = found[:after]
    rest = [one for one in given_entries if not posted or one.seq > posted[-1].seq]

    assert thread.replies(rest, DONE, RENDERING) == found[len(posted) :]


def test_what_happened_close_together_shares_one_message_and_an_end_has_its_own():
    kinds = (Happened.REQUESTED, Happened.ASSESSED, Happened.COMPLETED, Happened.ROLLBACK_STARTED)

    found = thread.replies(entries(*kinds), DONE, RENDERING)

    assert [(one.seq, len(one.blocks)) for one in found] == [(2, 2), (3, 3), (4, 1)]


def test_a_message_holds_so_many_lines_and_no_more():
    found = thread.replies(entries(*[Happened.EXECUTION_STARTED] * (LINES_PER_MESSAGE + 1)), DONE, RENDERING)

    assert [len(one.blocks) for one in found] == [LINES_PER_MESSAGE, 1]


def test_nothing_happened_is_no_message():
    assert thread.replies([], DONE, RENDERING) == []


@pytest.mark.parametrize("what", sorted(ENDS, key=lambda one: one.value), ids=lambda one: one.value)
def test_an_end_says_what_came_of_it_and_what_it_cost(what):
    (reply,) = thread.replies(entries(what), DONE, RENDERING)

    told = "\n".join(mrkdwn_of(reply.blocks))
    assert "because" in told
    assert "1 command ran, 0 refused · 1 change · 81,000 of 100,000 tokens (81 %) · $1.23" in told


def test_an_end_without_words_of_its_own_says_the_resolutions():
    ended = entry(Happened.FAILED)
    bare = dataclasses.replace(ended, entry=dataclasses.replace(ended.entry, facts={}, by=None))

    (reply,) = thread.replies([bare], overview(State.FAILED, text="The API server went away."), RENDERING)

    assert reply.text == "❌ Failed: The API server went away."


@pytest.mark.parametrize(
    ("what", "facts", "told"),
    [
        (Happened.REQUESTED, {}, "📣 Ada asked for it"),
        (Happened.ASSESSED, {"level": "HIGH", "factors": ["a", "b"]}, "⚖️ Assessed as *HIGH*: a; b."),
        (Happened.APPROVED, {"reason": "go"}, "*Approved* by Ada"),
        (
            Happened.COMMAND_JUDGED,
            {"verdict": "LOW", "line": "ls", "rule": "R1", "is_executed": True},
            "LOW, runs.",
        ),
        (
            Happened.COMMAND_JUDGED,
            {"verdict": "DENY", "line": "rm", "rule": "R1", "reason": "no"},
            "DENY, *refused* (R1): no",
        ),
        (Happened.COMMAND_ENDED, {"exit_code": 0, "output": "ok"}, "↳ done\n```ok```"),
        (Happened.COMMAND_ENDED, {"exit_code": None}, "↳ stopped, no output"),
        (Happened.VERIFIED, {"is_healthy": True, "sentences": ["3 of 3."]}, "🩺 Healthy: 3 of 3."),
        (Happened.VERIFIED, {"is_healthy": False, "sentences": ["1 of 3."]}, "🩺 Not healthy: 1 of 3."),
        (Happened.BUDGET_WARNED, {}, "80 % of the token limit is used."),
        (Happened.INTERRUPT_ASKED, {"reason": "wrong one"}, "🛑 Ada asked to stop. Reason: wrong one"),
        (Happened.EXECUTION_ENDED, {"ending": "success"}, "🏁 The agent is done."),
        (Happened.PAUSED, {"reason": "moving"}, "Paused by Ada. Reason: moving"),
        (
            Happened.EVIDENCE_KEPT,
            {"findings": [{}]},
            "🗂️ Kept 1 piece of evidence of how it stands, before anything is put back.",
        ),
    ],
)
def test_a_line_says_who_what_and_why(what, facts, told):
    recorded = entry(what, text="Ada")
    recorded = dataclasses.replace(recorded, at=NOW, entry=dataclasses.replace(recorded.entry, facts=facts))

    assert told in thread.line(recorded)


def test_an_end_says_what_can_still_be_done():
    def last(what, changes):
        (reply,) = thread.replies(entries(what), dataclasses.replace(DONE, changes=changes), RENDERING)
        return reply.blocks[-1]["elements"][0]["text"]

    assert "Roll back" in last(Happened.COMPLETED, 1)
    assert "Roll back" not in last(Happened.COMPLETED, 0)
    assert "nothing was changed" in last(Happened.COMPLETED, 0)
    assert "Ask again" in last(Happened.EXPIRED, 0)


def test_an_investigation_is_neither_resolved_nor_healthy():
    looked = overview(State.COMPLETED, action=ActionType.INVESTIGATION)
    checked, end = thread.replies(entries(Happened.VERIFIED, Happened.COMPLETED), looked, RENDERING)
    assert "nothing to check" in checked.text
    assert end.text.startswith("✅ Investigated")


def test_counts_have_their_plurals():
    assert words.counted(1, "change") == "1 change"
    assert words.counted(2_000, "change") == "2,000 changes"
    assert words.length(timedelta(seconds=300)) == "5 minutes"
    assert words.length(timedelta(seconds=90)) == "90 seconds"
    assert words.length(timedelta(hours=2)) == "2 hours"


def test_an_undo_names_who_asked_for_it_and_nobody_where_nobody_did():
    started = entry(Happened.ROLLBACK_STARTED)
    assert "asked" not in thread.line(dataclasses.replace(started, entry=dataclasses.replace(started.entry, by=None)))
    assert "asked by because" in thread.line(started)
