"""An Overview: everything about one resolution that cards, the thread and REST show."""

from dataclasses import dataclass
from datetime import datetime

from core.approval import Approval, ApprovalState, Subject
from core.assessment import RiskAssessment
from core.execution import CommandRecord, Outcome
from core.findings import Finding, Gap
from core.resolution import Person, Resolution
from core.snapshot import UndoReport
from core.usage import Usage


@dataclass(frozen=True, slots=True)
class Pause:
    """The service-wide stop: nothing new starts while it lasts."""

    by: Person
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """Rows of one resolution, read together.

    `approvals` are all its questions, oldest first; `commands` in the order they were asked; `undo` is the report of
    the last rollback; `changes` the number of snapshot entries; `history_seq` the number of its newest history entry.
    """

    resolution: Resolution
    usage: Usage
    cluster_name: str = "the cluster"
    assessment: RiskAssessment | None = None
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()
    approvals: tuple[Approval, ...] = ()
    commands: tuple[CommandRecord, ...] = ()
    outcome: Outcome | None = None
    undo: UndoReport | None = None
    changes: int = 0
    pause: Pause | None = None
    history_seq: int = 0

    @property
    def approval(self) -> Approval | None:
        """The question that stands: the newest that waits for an answer, else the newest about the resolution itself.

        None before one was put.
        """
        standing = [
            one for one in self.approvals if one.subject is Subject.RESOLUTION or one.state is ApprovalState.PENDING
        ]
        return standing[-1] if standing else None

    @property
    def rollback_question(self) -> Approval | None:
        """The question whether to roll back further than approved, while it waits for an answer."""
        question = self.approval
        is_it = question is not None and question.subject is Subject.ROLLBACK
        return question if is_it else None
