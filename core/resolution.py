"""A Resolution: one attempt to resolve one incident, and the only thing that has a state."""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

ResolutionId = NewType("ResolutionId", str)
ApprovalId = NewType("ApprovalId", str)
SnapshotId = NewType("SnapshotId", str)


class ActionType(enum.Enum):
    """What kind of resolution is asked for; it chooses agent profile, default risk and what a permit may hold."""

    POD_RESTART = "pod_restart"
    CONFIG_FIX = "config_fix"
    RESOURCE_SCALE = "resource_scale"
    INVESTIGATION = "investigation"


class State(enum.Enum):
    """The states of a resolution; the values are the status words of the REST contract."""

    GATHERING = "gathering"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    EXECUTING = "executing"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"


ROLLBACK = "rollback"
"""What an ended resolution waits for once somebody asked to roll it back, until the worker has looked at it."""
ENDED_BUT_UNDOABLE = frozenset({State.COMPLETED, State.FAILED, State.INTERRUPTED, State.ROLLBACK_FAILED})

MOVES: dict[State, frozenset[State]] = {
    State.GATHERING: frozenset({State.AWAITING_APPROVAL, State.APPROVED, State.FAILED, State.CANCELLED}),
    State.AWAITING_APPROVAL: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED, State.CANCELLED}),
    State.APPROVED: frozenset({State.EXECUTING, State.EXPIRED, State.FAILED, State.CANCELLED}),
    State.EXECUTING: frozenset({State.VERIFYING, State.INTERRUPTED, State.FAILED, State.ROLLING_BACK}),
    State.VERIFYING: frozenset({State.COMPLETED, State.FAILED, State.INTERRUPTED, State.ROLLING_BACK}),
    State.COMPLETED: frozenset({State.ROLLING_BACK}),
    State.FAILED: frozenset({State.ROLLING_BACK}),
    State.INTERRUPTED: frozenset({State.ROLLING_BACK}),
    State.ROLLING_BACK: frozenset({State.ROLLED_BACK, State.ROLLBACK_FAILED}),
    State.ROLLBACK_FAILED: frozenset({State.ROLLING_BACK}),
    State.ROLLED_BACK: frozenset(),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""The allowed moves (DESIGN section 2). Nothing else moves a state."""

OPEN_STATES = frozenset(
    {
        State.GATHERING,
        State.AWAITING_APPROVAL,
        State.APPROVED,
        State.EXECUTING,
        State.VERIFYING,
        State.ROLLING_BACK,
    }
)
"""States in which something is still to happen without anybody asking."""


def may_move(origin: State, to: State) -> bool:
    return to in MOVES[origin]


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks or decides. `id` is unique per door: "slack:T1/U2", "key:NAME", "demo"; `name` is for people to read."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, as the REST contract has it."""

    client_id: str
    namespace: str
    action_type: ActionType
    action_description: str
    event_id: str | None = None
    time_window_hours: float = 2.0
    auto_approve: bool = False
    token_limit: int = 100_000
    replaces: ResolutionId | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """A row of the resolution table. `summary` is the last sentence for people: why it failed, what was done.

    `waiting_for` is set while an executing resolution waits for a second answer, and while one that has ended waits for
    the worker to look at a rollback that was asked for (ROLLBACK). `interrupt_by` is set once somebody
    asked to stop it. `approval_id` is the present question's, None before one was put. `snapshot_id` is None until a
    change was about to be made.
    """

    id: ResolutionId
    request: Request
    requested_by: Person
    state: State
    created_at: datetime
    updated_at: datetime
    epoch: int = 0
    attempts: int = 0
    approval_id: ApprovalId | None = None
    snapshot_id: SnapshotId | None = None
    summary: str | None = None
    waiting_for: str | None = None
    interrupt_by: Person | None = None
    interrupt_reason: str | None = None
    auto_rollback: bool = False
