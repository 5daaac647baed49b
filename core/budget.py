"""TokenBudgetManager: tokens and money are set aside before a model call and settled after it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal

from core.ports import Ledger, Limits, Reservation
from core.resolution import ResolutionId
from core.usage import Usage

WARN_PERCENT = 80
Warn = Callable[[ResolutionId, Usage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class TokenBudgetManager:
    """Limits per incident and per agent; a tenth (at most 4,000 tokens) is kept back for the last summary."""

    incident_limit: int = 100_000
    agent_limit: int = 50_000
    ledger: Ledger | None = None
    day_usd: Decimal = Decimal(20)
    warn: Warn | None = None

    def reserve_tokens(self, incident_limit: int) -> int:
        """What is kept back for last words."""
        return min(4_000, min(incident_limit, self.agent_limit) // 10)

    def limits(
        self, incident_limit: int | None = None, *, agent_tokens: int | None = None, is_last_word: bool = False
    ) -> Limits:
        """The limits of one incident; its own limit, if it has one, takes the place of the default.

        `agent_tokens` is the share of an agent that may not have as much as the others.
        """
        incident = incident_limit or self.incident_limit
        agent = min(self.agent_limit, incident, agent_tokens or incident)
        return Limits(incident, agent, self.day_usd, 0 if is_last_word else self.reserve_tokens(agent))

    async def room(self, resolution_id: ResolutionId, *, limits: Limits) -> int:
        """Tokens not yet settled below both limits, the reserve included."""
        usage = await self._ledger.usage(resolution_id)
        return min(limits.incident_tokens, limits.agent_tokens) - usage.total_tokens

    async def reserve(
        self, resolution_id: ResolutionId, *, agent: str, tokens: int, cost_usd: Decimal, limits: Limits
    ) -> Reservation:
        """BudgetExceededError names which limit is reached."""
        return await self._ledger.reserve(resolution_id, agent=agent, tokens=tokens, cost_usd=cost_usd, limits=limits)

    async def settle(
        self, resolution_id: ResolutionId, reservation: Reservation, *, tokens: int, cost_usd: Decimal
    ) -> Usage:
        """Warns once when the resolution has used 80 % of its limit."""
        usage = await self._ledger.settle(reservation, tokens=tokens, cost_usd=cost_usd)
        is_much = usage.percent_used >= WARN_PERCENT
        if is_much and self.warn is not None and await self._ledger.warn_once(resolution_id):
            await self.warn(resolution_id, usage)
        return usage

    @property
    def _ledger(self) -> Ledger:
        if self.ledger is None:
            raise ValueError("A TokenBudgetManager that counts needs a ledger.")
        return self.ledger
