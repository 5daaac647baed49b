"""A ledger in memory with the same rules as the real one."""

from dataclasses import dataclass, field
from decimal import Decimal

from core.errors import BudgetExceededError
from core.ports import Limits, Reservation
from core.resolution import ResolutionId
from core.usage import Usage


@dataclass
class MemoryLedger:
    reserved: dict[int, int] = field(default_factory=dict)
    settled: list[tuple[int, Decimal]] = field(default_factory=list)
    token_limit: int = 100_000
    warned: set[str] = field(default_factory=set)

    async def reserve(
        self, resolution_id: ResolutionId, *, agent: str, tokens: int, cost_usd: Decimal, limits: Limits
    ) -> Reservation:
        used = sum(self.reserved.values()) + sum(tokens for tokens, _ in self.settled)
        if used + tokens > min(limits.incident_tokens, limits.agent_tokens) - limits.reserve_tokens:
            raise BudgetExceededError(f"The tokens are spent: {used} used, {tokens} more needed.")
        if sum(cost for _, cost in self.settled) + cost_usd > limits.day_usd:
            raise BudgetExceededError("The money of today is spent.")
        number = len(self.reserved) + len(self.settled) + 1
        self.reserved[number] = tokens
        return Reservation(number, tokens)

    async def settle(self, reservation: Reservation, *, tokens: int, cost_usd: Decimal) -> Usage:
        del self.reserved[reservation.id]
        self.settled.append((tokens, cost_usd))
        return await self.usage(ResolutionId(""))

    async def usage(self, resolution_id: ResolutionId) -> Usage:
        return Usage(
            sum(tokens for tokens, _ in self.settled),
            sum((cost for _, cost in self.settled), Decimal(0)),
            self.token_limit,
        )

    async def spent_today_usd(self) -> Decimal:
        return sum((cost for _, cost in self.settled), Decimal(0))

    async def warn_once(self, resolution_id: ResolutionId) -> bool:
        is_first = resolution_id not in self.warned
        self.warned.add(resolution_id)
        return is_first
