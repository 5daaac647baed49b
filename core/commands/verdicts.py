"""Reasons for a verdict, of which the worst counts."""

from dataclasses import dataclass, field
from typing import NamedTuple

from core.effects import Effect
from core.risk_levels import RiskLevel


class Reason(NamedTuple):
    """One thing the rule sheet says about a line, in a sentence."""

    risk: RiskLevel
    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule sheet says of a line that is not refused.

    `verb`, `namespaces` and `kinds` are those it names; `paths` the local files it would read, None for none.
    """

    risk: RiskLevel
    rule: str
    sentence: str
    effects: tuple[Effect, ...] = ()
    namespaces: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    verb: str = ""
    paths: tuple[str, ...] | None = None


@dataclass(slots=True)
class Reasons:
    """Collected while a line is looked at from several sides; `worst` is the first of the highest."""

    found: list[Reason] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)

    def add(self, risk: RiskLevel, rule: str, sentence: str) -> None:
        self.found.append(Reason(risk, rule, sentence))

    @property
    def worst(self) -> Reason:
        return max(self.found, key=lambda one: one.risk.severity)
