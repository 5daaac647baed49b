"""What people type, as values."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack import commands
from bot.slack.commands import (
    Asked,
    Help,
    History,
    Interrupt,
    PauseAll,
    Pending,
    Resolve,
    ResumeAll,
    Rollback,
    Status,
    parse_command,
)
from core.errors import InvalidInputError
from core.resolution import ActionType, Request

WORDS = (
    "resolve",
    "status",
    "pending",
    "history",
    "interrupt",
    "stop",
    "cancel",
    "rollback",
    "pause",
    "resume",
    "help",
)
arguments = st.one_of(
    st.text(max_size=80),
    st.sampled_from([*(one.value for one in ActionType), "shop", "event=", "hours=nan", "hours=1e999", "client=x"]),
    st.from_regex(r"(event|client|hours)=\S+", fullmatch=True),
    st.from_regex(r"[0-9a-f-]{1,40}", fullmatch=True),
    st.integers().map(str),
)


def parsed(text):
    return parse_command(text, token_limit=50_000)


@given(word=st.one_of(st.sampled_from(WORDS), st.text(max_size=20)), rest=st.lists(arguments, max_size=6))
def test_whatever_is_typed_is_understood_or_refused_with_a_sentence(word, rest):
    with contextlib.suppress(InvalidInputError):
        assert isinstance(parsed(" ".join([word, *rest])), Asked)


@given(words=st.text(min_size=1, max_size=300).filter(lambda one: one.split() and "=" not in one))
def test_the_words_of_a_request_are_kept_but_for_their_spaces(words):
    asked = parsed(f"resolve pod_restart shop {words}")

    assert asked.request.action_description == " ".join(words.split())


@given(hours=st.floats())
def test_hours_are_within_a_week_or_refused(hours):
    try:
        asked = parsed(f"resolve pod_restart shop hours={hours!r} slow")
    except InvalidInputError:
        assert not 0 < hours <= 168
    else:
        assert 0 < asked.request.time_window_hours <= 168


@pytest.mark.parametrize("action", list(ActionType), ids=lambda one: one.value)
def test_a_request_names_action_namespace_and_what_is_wrong(action):
    asked = parsed(f"resolve {action.value} shop  checkout   crashes")

    assert asked == Resolve(Request("slack", "shop", action, "checkout crashes", token_limit=50_000))


def test_options_stand_before_the_words():
    asked = parsed("resolve pod_restart shop event=E-1 client=shop-eu hours=4.5 it says hours=9 in the log")

    request = asked.request
    assert (request.event_id, request.client_id, request.time_window_hours) == ("E-1", "shop-eu", 4.5)
    assert request.action_description == "it says hours=9 in the log"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Help()),
        ("  \n ", Help()),
        ("HELP", Help()),
        ("status", Status(None)),
        ("status 1a2b3c4d", Status("1a2b3c4d")),
        ("status `1A2B3C4D` please", Status("1a2b3c4d")),
        ("pending", Pending()),
        ("history", History(10)),
        ("history 3", History(3)),
        ("history 0020", History(20)),
        ("interrupt", Interrupt(None, "")),
        ("interrupt 1a2b3c4d it got worse", Interrupt("1a2b3c4d", "it got worse")),
        ("stop it got worse", Interrupt(None, "it got worse")),
        ("cancel deadbeef", Interrupt(None, "deadbeef")),
        ("rollback", Rollback(None)),
        ("rollback 1a2b3c4d", Rollback("1a2b3c4d")),
        ("pause moving the database", PauseAll("moving the database")),
        ("resume", ResumeAll()),
    ],
)
def test_each_command_is_read(text, wanted):
    assert parsed(text) == wanted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dance", "There is no command 'dance'"),
        ("resolve", "Say which action; there are pod_restart"),
        ("resolve reboot shop x", "There is no action 'reboot'"),
        ("resolve pod_restart Shop x", "'Shop' is not the name of a namespace"),
        ("resolve pod_restart -shop x", "is not the name of a namespace"),
        (f"resolve pod_restart {'a' * 64} x", "is not the name of a namespace"),
        ("resolve pod_restart shop", "Say what is wrong"),
        ("resolve pod_restart shop event=E-1", "Say what is wrong"),
        ("resolve pod_restart shop client= loc-01 x", "client=: 1 to 128 characters"),
        ("resolve pod_restart shop event= x", "event=: 1 to 256 characters"),
        (f"resolve pod_restart shop client={'a' * 129} x", "1 to 128 characters"),
        (f"resolve pod_restart shop event={'a' * 257} x", "1 to 256 characters"),
        ("resolve pod_restart shop hours=soon x", "hours=soon: a number of hours"),
        ("resolve pod_restart shop hours=0 x", "more than 0 and at most 168"),
        ("resolve pod_restart shop hours=nan x", "more than 0 and at most 168"),
        ("resolve pod_restart shop hours=inf x", "more than 0 and at most 168"),
        (f"resolve pod_restart shop {'x' * 4_001}", "at most 4,000 characters"),
        ("status zz", "'zz' is not an id"),
        ("status 12345", "6 or more characters"),
        ("rollback please", "is not an id"),
        ("history 0", "from 1 to 20"),
        ("history 21", "from 1 to 20"),
        ("history -1", "from 1 to 20"),
        ("history ٣", "from 1 to 20"),
        ("history 00109999", "from 1 to 20"),
        (f"history 0010{'9' * 5_000}", "from 1 to 20"),
        ("pause", "Say why"),
    ],
    ids=lambda one: one[:40],
)
def test_what_is_typed_wrong_is_refused_with_how_it_is_written(text, told):
    with pytest.raises(InvalidInputError) as refused:
        parsed(text)

    assert told in str(refused.value)
    assert len(str(refused.value)) < 400


def test_the_help_names_every_command():
    for word in set(WORDS) - {"stop", "cancel"}:
        assert f"`{word}" in commands.HELP


def test_the_reason_of_a_pause_is_bounded():
    assert len(parsed(f"pause {'x ' * 600}").reason) == 500
