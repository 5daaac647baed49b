"""A Plan: the steps a planning agent proposes, before they are judged and after, and how far a run of them got."""

import enum
from dataclasses import dataclass

MOST_STEPS = 10


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
    NOT_RUN = "not_run"
