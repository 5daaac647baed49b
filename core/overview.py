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
        """The question that stands: the newest about the resolution as a whole, or one about its rollback that waits.

        None before one was put; a question mid-run is none of them.
        """
        standing = [one for one in self.approvals if one.subject is Subject.RESOLUTION or _waits_to_undo(one)]
        return standing[-1] if standing else None

    @property
    def question(self) -> Approval | None:
        """The question mid-run that waits for an answer now, None without one."""
        asked = [one for one in self.approvals if one.subject is Subject.COMMAND]
        return next((one for one in asked if one.state is ApprovalState.PENDING), None)

    @property
    def rollback_question(self) -> Approval | None:
        """The question whether to roll back further than approved, while it waits for an answer."""
        return next((one for one in self.approvals if _waits_to_undo(one)), None)


def _waits_to_undo(one: Approval) -> bool:
    return one.subject is Subject.ROLLBACK and one.state is ApprovalState.PENDING
