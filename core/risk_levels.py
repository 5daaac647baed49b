"""The four risk levels and the verdict DENY, in order of severity."""

import enum
import functools


@functools.total_ordering
class RiskLevel(enum.Enum):
    """LOW < MEDIUM < HIGH < CRITICAL. LOW is read-only and needs nobody; everything above needs a person."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"

    @property
    def severity(self) -> int:
        return _ORDER[self]

    def __lt__(self, other: object) -> bool:
        return self.severity < other.severity if isinstance(other, RiskLevel) else NotImplemented


_ORDER = {RiskLevel.LOW: 0, RiskLevel.MEDIUM: 1, RiskLevel.HIGH: 2, RiskLevel.CRITICAL: 3}
