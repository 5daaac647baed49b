"""The part of the store that an execution writes to, in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from core.approval import Approval, ApprovalState
from core.assessment import RiskAssessment
from core.errors import LeaseLostError, ResolverError
from core.execution import CommandRecord
from core.findings import IncidentContext
from core.history import Entry
from core.overview import Overview, Pause
from core.permit import Permit
from core.resolution import ApprovalId, Person, Request, Resolution, ResolutionId, SnapshotId, State
from core.resources import Resource
from core.snapshot import SnapshotEntry

SNAPSHOT = SnapshotId("s-1")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class MemoryRecords:
    """Commands, questions, snapshot entries and history as rows; `log` is the order in which they were written.

    `at_work` are the permits of other resolutions, `agents` how many of those work, `time` is the database's clock.

    `is_leased` false is a lease that was lost; `snapshot_error` is raised instead of storing a snapshot.
    """

    commands: dict[int, CommandRecord] = field(default_factory=dict)
    entries: dict[int, SnapshotEntry] = field(default_factory=dict)
    history: list[Entry] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    approvals: dict[str, Approval] = field(default_factory=dict)
    at_work: list[Permit] = field(default_factory=list)
    overviews: dict[str, Overview] = field(default_factory=dict)
    contexts: dict[ResolutionId, IncidentContext] = field(default_factory=dict)
    paused: Pause | None = None
    agents: int = 0
    time: datetime = NOW
    is_leased: bool = True
    snapshot_error: ResolverError | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["MemoryRecords"]:
        yield self

    async def now(self) -> datetime:
        return self.time

    async def permits_at_work(self, besides: ResolutionId) -> tuple[Permit, ...]:
        return tuple(self.at_work)

    async def pause(self) -> Pause | None:
        return self.paused

    async def agents_at_work(self, besides: ResolutionId) -> int:
        return self.agents

    async def context(self, resolution_id: ResolutionId) -> IncidentContext | None:
        return self.contexts.get(resolution_id)

    async def save_context(self, resolution_id: ResolutionId, context: IncidentContext) -> None:
        self.contexts[resolution_id] = context

    async def save_assessment(self, resolution_id: ResolutionId, assessment: RiskAssessment) -> None:
        self.log.append(f"assessed as {assessment.level.value}")

    async def failed_lately(self, request: Request, target: Resource | None) -> int:
        return 0

    async def add_approval(self, approval: Approval) -> None:
        self.approvals[approval.id] = approval

    async def add_question(self, resolution: Resolution, approval: Approval) -> bool:
        if self.is_leased:
            self.approvals[approval.id] = approval
        return self.is_leased

    async def approval(self, approval_id: ApprovalId) -> Approval | None:
        return self.approvals.get(approval_id)

    async def end_approval(
        self, approval_id: ApprovalId, *, state: ApprovalState, by: Person | None, reason: str | None
    ) -> None:
        found = self.approvals[approval_id]
        if found.state is ApprovalState.PENDING:
            self.approvals[approval_id] = replace(
                found, state=state, decided_by=by, decided_at=self.time, reason=reason
            )

    async def is_held(self, resolution: Resolution) -> bool:
        return self.is_leased

    async def stop_asked(self, resolution_id: ResolutionId) -> tuple[Person, str] | None:
        return None

    async def overview(self, resolution_id: ResolutionId) -> Overview | None:
        return self.overviews.get(resolution_id)

    async def revise_approval(self, approval_id: ApprovalId, *, permit: Permit, deadline: datetime) -> None:
        self.approvals[approval_id] = replace(self.approvals[approval_id], permit=permit, deadline=deadline)

    async def postpone(self, resolution: Resolution, *, seconds: float) -> None:
        self.log.append(f"wakes in {seconds:g} s")

    async def move(self, resolution: Resolution, *, to: State, because: Entry, **_: object) -> bool:
        self.history.append(because)
        self.log.append(f"moved to {to.value}")
        return self.is_leased

    async def append(self, entry: Entry) -> None:
        self.history.append(entry)

    async def add_command(self, resolution: Resolution, record: CommandRecord) -> int:
        self._check_lease()
        number = len(self.commands) + 1
        self.commands[number] = replace(record, seq=number)
        self.log.append(f"{'started' if record.is_executed else 'refused'} {record.line}")
        return number

    async def end_command(
        self, resolution: Resolution, seq: int, *, exit_code: int | None, output: str, is_executed: bool
    ) -> None:
        row = self.commands[seq]
        self.commands[seq] = replace(
            row, exit_code=exit_code, output=output, is_executed=is_executed, ended_at=row.asked_at
        )
        self.log.append(f"ended {row.line}")

    async def add_snapshot_entries(self, resolution: Resolution, entries: Sequence[SnapshotEntry]) -> SnapshotId:
        self._check_lease()
        if self.snapshot_error is not None:
            raise self.snapshot_error
        for entry in entries:
            self.entries[entry.seq] = entry
            self.log.append(f"snapshot of {entry.target}")
        return SNAPSHOT

    async def update_snapshot_entries(self, snapshot_id: SnapshotId, entries: Sequence[SnapshotEntry]) -> None:
        assert snapshot_id == SNAPSHOT
        for entry in entries:
            self.entries[entry.seq] = entry
            self.log.append(f"read back {entry.target}")

    def _check_lease(self) -> None:
        if not self.is_leased:
            raise LeaseLostError("Another worker holds it now.")
