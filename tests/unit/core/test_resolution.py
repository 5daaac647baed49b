"""The state machine: one table of moves, and what follows from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resolution import MOVES, OPEN_STATES, State, may_move

ENDS = {State.REJECTED, State.EXPIRED, State.CANCELLED, State.ROLLED_BACK}
STATES = st.sampled_from(list(State))


@st.composite
def lives(draw):
    """A resolution's states from the first to where it stands, by moves the table allows."""
    life = [State.GATHERING]
    for _ in range(draw(st.integers(0, 12))):
        following = sorted(MOVES[life[-1]], key=lambda one: one.value)
        if not following:
            break
        life.append(draw(st.sampled_from(following)))
    return life


def reachable(origin: State) -> set[State]:
    found, edge = {origin}, [origin]
    while edge:
        for to in MOVES[edge.pop()]:
            if to not in found:
                found.add(to)
                edge.append(to)
    return found


def test_every_state_stands_in_the_table_and_can_be_reached():
    assert set(MOVES) == set(State) == reachable(State.GATHERING)


def test_only_the_ends_have_no_way_out():
    assert {state for state in State if not MOVES[state]} == ENDS


@pytest.mark.parametrize("state", list(State))
def test_from_every_state_an_end_can_be_reached(state):
    assert reachable(state) & (ENDS | {State.COMPLETED, State.FAILED})


@given(STATES, STATES)
def test_a_move_is_allowed_exactly_when_the_table_lists_it(origin, to):
    assert may_move(origin, to) == (to in MOVES[origin])
    assert not may_move(origin, origin)


@given(lives())
def test_nothing_is_executed_that_was_not_approved(life):
    if State.EXECUTING in life:
        assert State.APPROVED in life[: life.index(State.EXECUTING)]


@given(lives())
def test_nothing_is_executed_twice(life):
    assert life.count(State.EXECUTING) <= 1


@given(lives())
def test_nothing_is_completed_that_was_not_verified(life):
    if State.COMPLETED in life:
        assert life[life.index(State.COMPLETED) - 1] is State.VERIFYING


@given(lives())
def test_no_change_is_undone_before_it_could_have_been_made(life):
    if State.ROLLING_BACK in life:
        started = life.index(State.ROLLING_BACK)
        assert State.EXECUTING in life[:started] or State.FAILED in life[:started]


@given(lives())
def test_what_was_refused_stays_refused(life):
    for refused in (State.REJECTED, State.EXPIRED, State.CANCELLED):
        if refused in life:
            assert life[-1] is refused


@pytest.mark.parametrize("state", sorted(OPEN_STATES, key=lambda one: one.value))
def test_an_open_state_has_somewhere_to_go(state):
    assert MOVES[state]


@pytest.mark.parametrize("state", [State.EXECUTING, State.VERIFYING])
def test_what_runs_can_be_interrupted_and_rolled_back(state):
    assert {State.INTERRUPTED, State.ROLLING_BACK} <= MOVES[state]


@pytest.mark.parametrize("state", [State.GATHERING, State.AWAITING_APPROVAL, State.APPROVED])
def test_what_has_not_started_can_be_cancelled_and_not_interrupted(state):
    assert State.CANCELLED in MOVES[state]
    assert State.INTERRUPTED not in MOVES[state]


def test_the_states_are_the_status_words_of_the_rest_contract():
    words = (
        "gathering awaiting_approval approved rejected expired cancelled executing verifying completed failed "
        "interrupted rolling_back rolled_back rollback_failed"
    )
    assert {state.value for state in State} == set(words.split())
