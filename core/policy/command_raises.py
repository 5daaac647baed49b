"""What a policy says about command lines: it makes verdicts higher, never lower."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from core.effects import Judged
from core.risk_levels import RiskLevel


@dataclass(frozen=True, slots=True)
class CommandRaise:
    """Lines that match all of it are at least `to`; None is DENY. Patterns with * and ?; empty means any."""

    to: RiskLevel | None
    verbs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def matches(self, judged: Judged) -> bool:
        """A line whose kinds are not all known, or that names every namespace, matches whatever is asked for."""
        return (
            _any_of(self.verbs, (judged.verb,))
            and (bool(judged.kinds & {"unknown", "unread"}) or _any_of(self.kinds, judged.kinds))
            and ("*" in judged.namespaces or _any_of(self.namespaces, judged.namespaces))
            and _any_of(self.rules, (judged.rule,))
        )


def _any_of(patterns: tuple[str, ...], words: Iterable[str]) -> bool:
    return not patterns or any(fnmatchcase(word, pattern) for word in words for pattern in patterns)


def raised(judged: Judged, raises: Sequence[CommandRaise]) -> Judged:
    """The highest of the verdict and what matches."""
    for one in raises:
        if judged.risk is None:
            return judged
        if not one.matches(judged) or (one.to is not None and one.to <= judged.risk):
            continue
        if one.to is None:
            return Judged(judged.line, None, "policy", f"The policy refuses this. ({judged.rule}: {judged.reason})")
        reason = f"The policy raises this to {one.to.value}. ({judged.rule}: {judged.reason})"
        judged = replace(judged, risk=one.to, reason=reason)
    return judged
