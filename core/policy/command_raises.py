"""What a policy says about command lines: it makes verdicts higher, never lower."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from core.risk_levels import RiskLevel


@dataclass(frozen=True, slots=True)
class CommandRaise:
    """Lines that match all of it are at least `to`; None is DENY. Patterns with * and ?; empty means any."""

    to: RiskLevel | None
    verbs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def matches(self, *, verb: str, rule: str, kinds: frozenset[str], namespaces: frozenset[str]) -> bool:
        """A line whose kinds are not all known, or that names every namespace ("*"), matches whatever is asked for."""
        return (
            _any_of(self.verbs, (verb,))
            and (bool(kinds & {"unknown", "unread"}) or _any_of(self.kinds, kinds))
            and ("*" in namespaces or _any_of(self.namespaces, namespaces))
            and _any_of(self.rules, (rule,))
        )


def _any_of(patterns: tuple[str, ...], words: Iterable[str]) -> bool:
    return not patterns or any(fnmatchcase(word, pattern) for word in words for pattern in patterns)
