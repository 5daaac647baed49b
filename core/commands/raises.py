"""The policy's word on a verdict: the highest of both counts."""

from collections.abc import Sequence
from dataclasses import replace

from core.effects import Judged
from core.policy.command_raises import CommandRaise


def raised(judged: Judged, raises: Sequence[CommandRaise]) -> Judged:
    """Never lower than it was."""
    risk, reason = judged.risk, judged.reason
    for one in raises:
        if not one.matches(verb=judged.verb, rule=judged.rule, kinds=judged.kinds, namespaces=judged.namespaces):
            continue
        if one.to is None or risk is None:
            sentence = f"The policy refuses this. ({judged.rule}: {judged.reason})"
            return Judged(judged.line, None, judged.rule, sentence)
        if risk < one.to:
            risk, reason = one.to, f"The policy raises this to {one.to.value}. ({judged.rule}: {judged.reason})"
    return replace(judged, risk=risk, reason=reason)
