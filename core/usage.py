"""Tokens and money that a resolution has used."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens settled so far (input, output and cache together), their price, and the limit they count against."""

    total_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    token_limit: int = 100_000

    @property
    def percent_used(self) -> float:
        return round(100 * self.total_tokens / self.token_limit, 1)
