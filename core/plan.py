"""A Plan: the steps a planning agent proposes, before they are judged and after, and how far a run of them got."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from core.execution import CommandRecord
from core.permit import PermittedLine
from core.redaction import redact

MOST_STEPS = 10
LONGEST_LINE = 2_000


class Check(enum.Enum):
    """What must hold after a step before the next one is run; checked by us, whatever an agent says of it."""

    HEALTHY = "healthy"
    NOT_WORSE = "not_worse"

    @property
    def sentence(self) -> str:
        return _CHECKS[self]


_CHECKS = {
    Check.HEALTHY: "what it touches is healthy: every wanted replica ready, nothing restarting",
    Check.NOT_WORSE: "what it touches is no worse than before the step",
}


@dataclass(frozen=True, slots=True)
class ProposedStep:
    """One line as the planning agent wrote it. `undo` is its sentence on how the step is taken back."""

    line: str
    check: Check
    undo: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the planning agent hands over: `why` says in a sentence why these steps help. In the order of the run."""

    why: str
    steps: tuple[ProposedStep, ...]


class StepState(enum.Enum):
    """How far one step of an approved plan got."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It was started, and how it ended was never recorded: the service died."""
    NOT_RUN = "not_run"


def step_states(
    lines: Sequence[PermittedLine], commands: Sequence[CommandRecord], *, is_over: bool
) -> tuple[StepState, ...]:
    """By the commands that were started, in order. `is_over`: the run has ended, however it did."""
    started = [one for one in commands if one.is_executed]
    states: list[StepState] = []
    for line in lines:
        shown = shown_line(line.line)
        place = next((number for number, one in enumerate(started) if one.line == shown), None)
        if place is None:
            states.append(StepState.NOT_RUN if is_over else StepState.WAITING)
            continue
        states.append(_state(started[place], is_over=is_over))
        started = started[place + 1 :]
    return tuple(states)


def _state(command: CommandRecord, *, is_over: bool) -> StepState:
    if command.ended_at is None:
        return StepState.UNKNOWN if is_over else StepState.RUNNING
    return StepState.DONE if command.exit_code == 0 else StepState.FAILED


def told_steps(lines: Sequence[PermittedLine], states: Sequence[StepState], *, plan: str = "the approved plan") -> str:
    """Each step and how far it got, in a sentence for people."""
    told = [
        f"step {number} ({shown_line(line.line)}) {_TOLD[state]}"
        for number, (line, state) in enumerate(zip(lines, states, strict=True), start=1)
    ]
    return f"Of {plan} {'; '.join(told)}."


_TOLD = {
    StepState.WAITING: "has not run",
    StepState.RUNNING: "is running",
    StepState.DONE: "ran",
    StepState.FAILED: "failed or was stopped",
    StepState.UNKNOWN: "was started and is not known to have ended",
    StepState.NOT_RUN: "did not run",
}


def shown_line(line: str) -> str:
    """A line as records keep it."""
    return redact(line)[:LONGEST_LINE]


def check_words(check: str) -> str:
    """What must hold after a step, in words; whatever is no check of ours is shown as it is."""
    return Check(check).sentence if check in {one.value for one in Check} else check
