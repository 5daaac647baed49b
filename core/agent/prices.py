"""What tokens cost, in USD per million, as the bundled CLI 2.1.330 prices them."""

from dataclasses import dataclass
from decimal import Decimal

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal

    def of(self, *, fresh: int, cache_read: int, cache_write: int, output: int) -> Decimal:
        total = (
            fresh * self.input + cache_read * self.cache_read + cache_write * self.cache_write + output * self.output
        )
        return total / _MILLION


def _price(given: str) -> Price:
    return Price(*(Decimal(one) for one in given.split()))


_DEAREST = _price("8 40 0.8 16")
_PRICES = {
    "claude-haiku-5-5": _price("0.10 0.50 0.01 0.20"),
    "claude-haiku-4-5": _price("1 5 0.10 2"),
    "claude-sonnet-5-5": _price("2 10 0.10 4"),
    "claude-sonnet-5": _price("2 10 0.20 4"),
    "claude-sonnet-4-6": _price("3 15 0.30 6"),
    "claude-sonnet-4-5": _price("3 15 0.30 6"),
}


def price_of(model: str) -> Price:
    """By the longest known beginning of the id; an unknown model costs as much as the dearest."""
    known = [name for name in _PRICES if model == name or model.startswith(f"{name}-")]
    return _PRICES[max(known, key=len)] if known else _DEAREST
