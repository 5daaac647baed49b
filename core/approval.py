"""An Approval: the question put to people about one permit, and the decisions that answer it."""

import enum
from dataclasses import dataclass
from datetime import datetime

from core.permit import Permit
from core.resolution import ApprovalId, Person, ResolutionId

POLICY = Person("policy", "the policy")
"""Who approves what needs no person."""


class ApprovalState(enum.Enum):
    """A question is pending until one final decision, its deadline or a cancellation ends it."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Subject(enum.Enum):
    """What the question is about: all that a resolution does, an undo beyond its own, or exact lines mid-run."""

    RESOLUTION = "resolution"
    ROLLBACK = "rollback"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Approval:
    """One question. Once ended, `decided_by`, `decided_at` and `reason` say by whom, when and why."""

    id: ApprovalId
    resolution_id: ResolutionId
    subject: Subject
    state: ApprovalState
    permit: Permit
    asked_at: datetime
    deadline: datetime
    decided_by: Person | None = None
    decided_at: datetime | None = None
    reason: str | None = None

    @property
    def is_further_plan(self) -> bool:
        """Put mid-run after a plan had stopped: a new revision, whose lines the service itself runs."""
        return self.subject is Subject.COMMAND and self.permit.revision > 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said. `digest` names the permit they saw; None where the door cannot carry one (REST)."""

    approval_id: ApprovalId
    by: Person
    is_approval: bool
    reason: str
    digest: str | None = None
