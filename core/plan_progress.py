"""How far the plans of a resolution got: the one that was approved first, and each further one of its run. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.approval import Approval, ApprovalState, Subject
from core.execution import CommandRecord
from core.overview import Overview
from core.permit import Permit
from core.plan import StepState, step_states, told_steps
from core.resolution import OPEN_STATES, State

_MAY_RUN = OPEN_STATES - {State.VERIFYING, State.ROLLING_BACK}
_STANDS = frozenset({ApprovalState.PENDING, ApprovalState.APPROVED})


@dataclass(frozen=True, slots=True)
class Progress:
    """One plan, the question about it, and its steps in order."""

    approval: Approval
    states: tuple[StepState, ...]

    @property
    def permit(self) -> Permit:
        return self.approval.permit

    @property
    def sentence(self) -> str:
        name = f"the further plan (revision {self.permit.revision})"
        plan = name if self.approval.is_further_plan else "the approved plan"
        return told_steps(self.permit.lines, self.states, plan=plan)


def progress(overview: Overview, *, is_over: bool | None = None) -> tuple[Progress, ...]:
    """Of every plan that was put, oldest first; empty where there is none. `is_over`: the run has ended."""
    over = overview.resolution.state not in _MAY_RUN if is_over is None else is_over
    first = [one for one in overview.approvals if one.subject is Subject.RESOLUTION and one.permit.lines]
    plans = [*first[-1:], *(one for one in overview.approvals if one.is_further_plan)]
    found = []
    for number, one in enumerate(plans):
        following = plans[number + 1] if number + 1 < len(plans) else None
        is_done = over or following is not None or one.state not in _STANDS
        commands = _between(overview.commands, one if one.is_further_plan else None, following)
        found.append(Progress(one, step_states(one.permit.lines, commands, is_over=is_done)))
    return tuple(found)


def _between(commands: Sequence[CommandRecord], start: Approval | None, end: Approval | None) -> list[CommandRecord]:
    """A plan's own lines: it has stopped before the next one is asked about, which runs only after an answer."""
    return [
        one
        for one in commands
        if (start is None or one.asked_at >= start.asked_at) and (end is None or one.asked_at < end.asked_at)
    ]
