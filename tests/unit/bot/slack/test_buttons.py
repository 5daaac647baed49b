"""What buttons carry: signed for one action, one id and one digest."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.slack import buttons
from bot.slack.buttons import Signer
from core.errors import InvalidInputError
from tests.unit.bot.slack.overviews import APPROVAL, SIGNER

ACTIONS = (
    buttons.APPROVE,
    buttons.REJECT,
    buttons.DETAILS,
    buttons.INTERRUPT,
    buttons.ROLLBACK,
    buttons.ASK_AGAIN,
    buttons.REJECT_FORM,
    buttons.ROLLBACK_FORM,
)
DIGEST = "d" * 64


@pytest.mark.parametrize("action", ACTIONS)
def test_a_value_is_read_back_for_its_own_action(action):
    assert SIGNER.read(action, SIGNER.value(action, APPROVAL, DIGEST)) == (APPROVAL, DIGEST)


@pytest.mark.parametrize(("signed", "read"), list(itertools.permutations(ACTIONS, 2)))
def test_a_value_signed_for_one_action_is_refused_for_another(signed, read):
    with pytest.raises(InvalidInputError, match="not one of ours"):
        SIGNER.read(read, SIGNER.value(signed, APPROVAL, DIGEST))


def test_a_value_of_another_key_is_refused():
    with pytest.raises(InvalidInputError, match="signing key was changed"):
        SIGNER.read("approve", Signer(b"j" * 32).value("approve", APPROVAL, DIGEST))


@given(place=st.integers(0, 200), put=st.characters())
@example(place=0, put="\ud800")
@example(place=102, put="\ud800")
def test_a_value_with_any_character_changed_is_refused(place, put):
    value = SIGNER.value("approve", APPROVAL, DIGEST)
    place %= len(value)
    changed = value[:place] + put + value[place + 1 :]

    if changed != value:
        with pytest.raises(InvalidInputError):
            SIGNER.read("approve", changed)


@given(value=st.text())
def test_whatever_else_a_button_carries_is_refused(value):
    with pytest.raises(InvalidInputError):
        SIGNER.read("approve", value)


def test_id_and_digest_cannot_trade_characters():
    id_, _, rest = SIGNER.value("approve", "ab", "cd").partition(".")
    signature = rest.partition(".")[2]

    assert id_ == "ab"
    with pytest.raises(InvalidInputError):
        SIGNER.read("approve", f"a.bcd.{signature}")
