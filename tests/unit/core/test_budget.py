"""Tokens and money are set aside before a model call and settled after it; the cap always holds."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.budget import TokenBudgetManager
from core.errors import BudgetExceededError
from core.resolution import ResolutionId
from core.usage import Usage
from tests.fakes.ledger import MemoryLedger

R = ResolutionId("r-1")


def manager(**given):
    return TokenBudgetManager(ledger=MemoryLedger(), **given)


async def call(budget, *, reserved, used, incident=None, agent="executor", is_last_word=False):
    """One model call: set aside, then settle what it took."""
    limits = budget.limits(incident, is_last_word=is_last_word)
    reservation = await budget.reserve(R, agent=agent, tokens=reserved, cost_usd=Decimal(0), limits=limits)
    return await budget.settle(R, reservation, tokens=used, cost_usd=Decimal("0.01"))


def test_the_defaults_are_those_of_the_contract():
    budget = TokenBudgetManager()

    assert (budget.incident_limit, budget.agent_limit) == (100_000, 50_000)


@pytest.mark.parametrize(
    ("incident", "agent_tokens", "kept"),
    [(None, 50_000, 4_000), (200_000, 50_000, 4_000), (20_000, 20_000, 2_000), (100, 100, 10), (1, 1, 0)],
)
def test_an_agent_never_has_more_than_the_incident_and_a_tenth_is_kept_for_last_words(incident, agent_tokens, kept):
    limits = TokenBudgetManager().limits(incident)

    assert (limits.incident_tokens, limits.agent_tokens) == (incident or 100_000, agent_tokens)
    assert limits.reserve_tokens == kept


def test_last_words_may_use_what_was_kept_for_them():
    assert TokenBudgetManager().limits(is_last_word=True).reserve_tokens == 0


async def test_a_call_that_leaves_no_room_is_refused_before_it_is_made():
    budget = manager()
    await call(budget, reserved=40_000, used=40_000)

    with pytest.raises(BudgetExceededError):
        await call(budget, reserved=6_001, used=1)

    await call(budget, reserved=6_000, used=1)


async def test_last_words_are_still_possible_when_the_rest_is_spent():
    budget = manager()
    await call(budget, reserved=46_000, used=46_000)

    with pytest.raises(BudgetExceededError):
        await call(budget, reserved=1_000, used=1)

    assert (await call(budget, reserved=4_000, used=4_000, is_last_word=True)).total_tokens == 50_000


async def test_what_is_set_aside_counts_until_it_is_settled():
    budget = manager()
    limits = budget.limits()
    first = await budget.reserve(R, agent="executor", tokens=40_000, cost_usd=Decimal(0), limits=limits)

    with pytest.raises(BudgetExceededError):
        await budget.reserve(R, agent="executor", tokens=10_000, cost_usd=Decimal(0), limits=limits)

    await budget.settle(R, first, tokens=1_000, cost_usd=Decimal(0))
    await budget.reserve(R, agent="executor", tokens=10_000, cost_usd=Decimal(0), limits=limits)


async def test_the_money_of_a_day_is_a_limit_of_its_own():
    budget = manager(day_usd=Decimal("0.02"))
    await call(budget, reserved=1, used=1)
    limits = budget.limits()

    with pytest.raises(BudgetExceededError):
        await budget.reserve(R, agent="executor", tokens=1, cost_usd=Decimal("0.02"), limits=limits)


@given(st.lists(st.tuples(st.integers(1, 30_000), st.floats(0, 1)), max_size=12), st.integers(1_000, 120_000))
async def test_the_cap_holds_whatever_is_asked_for_in_whatever_order(calls, incident):
    budget = manager()
    for reserved, share in calls:
        try:
            await call(budget, reserved=reserved, used=int(reserved * share), incident=incident)
        except BudgetExceededError:
            continue

    used = (await budget.ledger.usage(R)).total_tokens
    assert used <= min(incident, 50_000) - budget.reserve_tokens(incident)
    assert await budget.room(R, limits=budget.limits(incident)) == min(incident, 50_000) - used


async def test_eighty_percent_are_warned_of_once():
    warned = []

    async def warn(resolution_id, usage):
        warned.append((resolution_id, usage.percent_used))

    budget = TokenBudgetManager(ledger=MemoryLedger(token_limit=10_000), warn=warn)
    for used in (7_900, 100, 100, 500):
        await call(budget, reserved=used, used=used)

    assert warned == [(R, 80.0)]


async def test_nobody_need_listen_to_the_warning():
    budget = TokenBudgetManager(ledger=MemoryLedger(token_limit=10))

    assert (await call(budget, reserved=10, used=10)).percent_used == 100.0


async def test_without_a_ledger_nothing_can_be_counted():
    with pytest.raises(ValueError, match="needs a ledger"):
        await TokenBudgetManager().room(R, limits=TokenBudgetManager().limits(1))


def test_usage_is_told_in_percent_of_its_limit():
    assert Usage(5_234, Decimal("0.013"), 100_000).percent_used == 5.2
    assert Usage().percent_used == 0
