"""Reasons for a verdict, of which the worst counts."""

from dataclasses import dataclass, field
from typing import NamedTuple

from core.effects import Aim, Effect
from core.resources import Resource
from core.risk_levels import RiskLevel


class Reason(NamedTuple):
    """One thing the rule sheet says about a line, in a sentence."""

    risk: RiskLevel
    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule sheet says of a line that is not refused.

    `verb`, `namespaces` and `kinds` are those it names; `paths` the local files it would read, None for none; `aim` the
    objects it means, None where it changes none.
    """

    risk: RiskLevel
    rule: str
    sentence: str
    effects: tuple[Effect, ...] = ()
    namespaces: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    verb: str = ""
    paths: tuple[str, ...] | None = None
    aim: Aim | None = None


@dataclass(slots=True)
class Reasons:
    """Collected while a line is looked at from several sides; `worst` is the first of the highest.

    `objects` are those of the files that were read, named in full; a name or namespace the file leaves out is "" or
    None.
    """

    found: list[Reason] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    objects: list[Resource] = field(default_factory=list)

    def add(self, risk: RiskLevel, rule: str, sentence: str) -> None:
        self.found.append(Reason(risk, rule, sentence))

    @property
    def worst(self) -> Reason:
        return max(self.found, key=lambda one: one.risk.severity)
