"""The one place where a command is judged, recorded, snapshotted and run."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.effects import Change, Judged
from core.errors import LeaseLostError, NotAllowedError, ResolverError, UnavailableError
from core.execution import CommandRecord
from core.foresight import foresee
from core.grants import Commands
from core.history import Entry, Happened
from core.permit import Permit
from core.ports import Clock, Cluster, CommandResult, Store, ToolAnswer
from core.redaction import redact
from core.resolution import Resolution, SnapshotId
from core.risk_levels import RiskLevel
from core.snapshot import SnapshotEntry
from core.undo_rules import after_change
from core.workspace import sealed_folder

Judge = Callable[[str], Judged]


@dataclass(slots=True)
class GatedToolbox:
    """The agent's `bash`: a line runs if it is LOW, or if the permit covers every effect of it.

    LOW lines run with `cluster`'s identity, which only reads, changes with `changes`: the grant of this execution.
    A change runs only after its target was read and stored, with the lease still held; changes run one at a time.
    """

    resolution: Resolution
    permit: Permit
    gate: Judge
    store: Store
    cluster: Cluster
    changes: Commands
    folder: Path
    clock: Clock
    seconds_per_command: float = 60.0
    executed: list[str] = field(default_factory=list)
    has_changed: bool = False
    _change: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changes: int = 0

    def judge(self, line: str) -> Judged:
        return self.gate(line)

    async def said(self, text: str) -> None:
        facts = {"text": redact(text)[:4_000]}
        async with self.store.transaction() as tx:
            await tx.append(Entry(Happened.AGENT_SAID, self.resolution.id, None, facts))

    async def bash(self, line: str) -> ToolAnswer:
        """LeaseLostError ends the run; every other refusal or failure is an answer the agent can act on."""
        judged = self.gate(line)
        if judged.is_denied:
            return await self._refuse(judged, judged.reason)
        if judged.risk is RiskLevel.LOW:
            return await self._run(judged)
        if not self.permit.covers(judged.effects):
            return await self._refuse(judged, self._not_covered(judged))
        async with self._change:
            return await self._change_cluster(judged)

    def _not_covered(self, judged: Judged) -> str:
        allowed = "; ".join(self.permit.sentences())
        return f"Judged {judged.verdict} ({judged.rule}) and not covered by the approval, which allows: {allowed}."

    async def _refuse(self, judged: Judged, reason: str) -> ToolAnswer:
        await self._record(judged, reason=reason, is_executed=False)
        return ToolAnswer(f"Refused, nothing was run. {reason}", is_error=True)

    async def _change_cluster(self, judged: Judged) -> ToolAnswer:
        try:
            taken = await self._snapshots(judged)
        except LeaseLostError:
            raise
        except ResolverError as error:
            return await self._refuse(judged, f"No snapshot could be taken, so the change was not made: {error}")
        self.has_changed = True
        try:
            return await self._run(judged)
        finally:
            for snapshot_id, entry in taken:
                await self._read_back(snapshot_id, entry)

    async def _snapshots(self, judged: Judged) -> list[tuple[SnapshotId, SnapshotEntry]]:
        """Stores every object that the line touches, before it runs; an error is a reason not to run it."""
        with self._files_of(judged) as folder:
            namespace = self.resolution.request.namespace
            foresight = await foresee(self.cluster, judged, folder=folder, namespace=namespace)
        if foresight.refusal is not None:
            raise NotAllowedError(f"it could not be undone. {foresight.refusal}")
        changes = [effect.change for effect in judged.effects]
        for effect, touched in zip(judged.effects, foresight.touched, strict=bool(changes)):
            rule = self.permit.rule_for(effect)
            if rule is not None and rule.target.uid not in {None, touched.target.uid}:
                raise ResolverError(f"{touched.target} is another object now than the one that was approved.")
        for kind in {(one.target.kind, one.target.namespace): one.target for one in foresight.touched}.values():
            await self.cluster.check_kept(kind)
        taken = []
        for place, one in enumerate(foresight.touched):
            other = Change.DELETE if one.is_deleted else Change.WRITE
            change = changes[place] if changes else other
            self._changes += 1
            after = one.proposed if one.is_tried and not changes else None
            entry = SnapshotEntry(self._changes, one.target, change, one.before, after)
            taken.append((await self.store.add_snapshot_entry(self.resolution, entry), entry))
        return taken

    async def _read_back(self, snapshot_id: SnapshotId, entry: SnapshotEntry) -> None:
        """The version after the change. What cannot be read now stays unread, and undo knows it."""
        try:
            after = await self.cluster.read(entry.target)
        except ResolverError:
            done = replace(entry, state="done")
        else:
            left = None if after is None else after_change(entry, after)
            done = replace(entry, after=left, is_after_read=True, state="done")
        with suppress(UnavailableError):  # the entry stays open, and undo knows that too
            await self.store.update_snapshot_entry(snapshot_id, done)

    async def _run(self, judged: Judged) -> ToolAnswer:
        seq = await self._record(judged, reason=judged.reason, is_executed=True)
        self.executed.append(judged.line)
        result = CommandResult(None, "stopped before it ended")
        try:
            result = await self._started(judged)
        finally:
            output = redact(result.output)
            with suppress(UnavailableError):  # it ran: an agent that hears otherwise would run it again
                await self.store.end_command(
                    self.resolution, seq, exit_code=result.exit_code, output=output, is_executed=True
                )
        if result.exit_code == 0:
            return ToolAnswer(output or "(no output)")
        ending = f"exit code {result.exit_code}" if result.exit_code is not None else "stopped: it took too long"
        return ToolAnswer(f"{output}\n({ending})", is_error=True)

    def _files_of(self, judged: Judged) -> AbstractContextManager[Path]:
        """A line that names files runs where there are only the bytes that were judged, out of the agent's reach."""
        return sealed_folder(judged.files) if judged.files is not None else nullcontext(self.folder)

    async def _started(self, judged: Judged) -> CommandResult:
        try:
            commands = self.cluster if judged.risk is RiskLevel.LOW else self.changes
            with self._files_of(judged) as folder:
                return await commands.run(
                    judged.stages,
                    folder=folder,
                    seconds=self.seconds_per_command,
                    namespace=self.resolution.request.namespace,
                )
        except ResolverError as error:
            return CommandResult(None, str(error))

    async def _record(self, judged: Judged, *, reason: str, is_executed: bool) -> int:
        record = CommandRecord(
            seq=0,
            line=redact(judged.line)[:2_000],
            verdict=judged.verdict,
            rule=judged.rule,
            reason=reason,
            is_executed=is_executed,
            asked_at=self.clock(),
        )
        return await self.store.add_command(self.resolution, record)
