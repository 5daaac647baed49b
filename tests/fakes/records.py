"""The part of the store that an execution writes to, in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from core.errors import LeaseLostError, ResolverError
from core.execution import CommandRecord
from core.history import Entry
from core.resolution import Resolution, SnapshotId
from core.snapshot import SnapshotEntry

SNAPSHOT = SnapshotId("s-1")


@dataclass
class MemoryRecords:
    """Commands, snapshot entries and history as rows; `log` is the order in which they were written.

    `is_leased` false is a lease that was lost; `snapshot_error` is raised instead of storing a snapshot.
    """

    commands: dict[int, CommandRecord] = field(default_factory=dict)
    entries: dict[int, SnapshotEntry] = field(default_factory=dict)
    history: list[Entry] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    is_leased: bool = True
    snapshot_error: ResolverError | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["MemoryRecords"]:
        yield self

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
