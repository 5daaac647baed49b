"""The one place where a command is judged, recorded, snapshotted and run."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.approval import ApprovalState
from core.effects import Change, Judged
from core.errors import LeaseLostError, NotAllowedError, ResolverError, UnavailableError
from core.execution import CommandRecord
from core.foresight import Foresight, foresee
from core.grants import Commands, Grants, granted
from core.history import Entry, Happened
from core.lines import changed_fields, changes_since, permitted_line
from core.permit import Permit, PermittedLine
from core.ports import Clock, Cluster, CommandResult, Store, ToolAnswer
from core.questions import MOST_QUESTIONS, Questions, outcome_words
from core.redaction import redact
from core.resolution import ActionType, Resolution, SnapshotId
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.snapshot import SnapshotEntry, Touched
from core.undo_rules import after_change
from core.wall_clock import WallClock
from core.workspace import sealed_folder

Judge = Callable[[str], Judged]
_STOPPED = CommandResult(None, "stopped before it ended")


class _ChangedError(ResolverError):
    """What is to be changed is not as it was shown to those who approved."""


@dataclass(slots=True)
class GatedToolbox:
    """The agent's `bash`: a line runs if it is LOW, if the permit covers every effect of it, or if a person says so.

    LOW lines run with `cluster`'s identity, which only reads, changes with `changes`, the grant of this execution, and
    a line that was asked for with a grant of its own.
    `questions` is None where no person is asked mid-run; `wall_clock` stands still while one is.
    A change runs only after its target was read and stored, with the lease still held; changes run one at a time.
    """

    resolution: Resolution
    permit: Permit
    gate: Judge
    store: Store
    cluster: Cluster
    changes: Commands
    grants: Grants
    folder: Path
    clock: Clock
    seconds_per_command: float = 60.0
    executed: list[str] = field(default_factory=list)
    has_changed: bool = False
    questions: Questions | None = None
    wall_clock: WallClock = field(default_factory=lambda: WallClock(600.0))
    _change: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changes: int = 0
    _own: set[Resource] = field(default_factory=set)
    _is_over: bool = False
    _open: set[int] = field(default_factory=set)

    def judge(self, line: str) -> Judged:
        return self.gate(line)

    async def said(self, text: str) -> None:
        facts = {"text": redact(text)[:4_000]}
        async with self.store.transaction() as tx:
            await tx.append(Entry(Happened.AGENT_SAID, self.resolution.id, None, facts))

    async def bash(self, line: str) -> ToolAnswer:
        """LeaseLostError ends the run; every other refusal or failure is an answer the agent can act on.

        A line above LOW that the permit does not cover waits here for a person, where the policy lets it be asked.
        """
        judged = self.gate(line)
        if judged.is_denied:
            return await self._refuse(judged, judged.reason)
        if judged.risk is RiskLevel.LOW:
            return await self._run(judged, self.cluster)
        is_covered = self.permit.covers(judged.effects)
        if not is_covered and (why := self._why_not_asked()) is not None:
            return await self._refuse(judged, f"{self._not_covered(judged)} {why}")
        async with self._change:
            if not is_covered:
                return await self._asked(judged)
            try:
                return await self._change_cluster(judged)
            except _ChangedError as changed:
                if self._why_not_asked() is not None:
                    return await self._refuse(judged, str(changed))
                return await self._asked(judged, why=str(changed))

    async def run_line(self, judged: Judged, line: PermittedLine, *, changes: Commands) -> ToolAnswer:
        """Runs exactly what was approved, for who works through approved lines; refuses what is not as it was then.

        `changes` is the grant of the approval that the line belongs to.
        """
        async with self._change:
            try:
                changed = await changes_since(line, judged, self.cluster)
                if changed:
                    return await self._refuse(judged, " ".join(changed))
                return await self._change_cluster(judged, line=line, changes=changes)
            except LeaseLostError:
                raise
            except ResolverError as error:
                return await self._refuse(judged, str(error))

    async def end(self) -> None:
        """The agent is gone: whatever still waits in a tool of its changes nothing any more.

        An agent that is stopped cuts its tools off again and again, so the ends of their commands are written here.
        """
        self._is_over = True
        for seq in sorted(self._open):
            await self._record_end(seq, _STOPPED)

    def _not_covered(self, judged: Judged) -> str:
        allowed = "; ".join(self.permit.sentences())
        return f"Judged {judged.verdict} ({judged.rule}) and not covered by the approval, which allows: {allowed}."

    def _why_not_asked(self) -> str | None:
        """Why no person is asked about a line that is not covered; None where one may be."""
        if self.resolution.request.action_type is ActionType.INVESTIGATION:
            return "An investigation changes nothing and asks for nothing; say in your summary what should be done."
        if self.questions is None or not self.questions.asking.is_allowed:
            return "Nobody is asked about other lines here (policy commands.uncovered: refuse)."
        if self.questions.are_used_up:
            return f"{MOST_QUESTIONS} questions were asked in this run already; that is the most."
        return None

    async def _asked(self, judged: Judged, *, why: str = "") -> ToolAnswer:
        """Asks until it is answered about the world as it is: what changed meanwhile is asked anew."""
        if self.questions is None:
            raise NotAllowedError("There is nobody to ask.")
        while not self.questions.are_used_up:
            try:
                line, level = await self._line_of(judged)
                with self.wall_clock.stopped():
                    ended = await self.questions.ask(line, level=level, why=why)
                if ended.state is not ApprovalState.APPROVED:
                    return await self._refuse(judged, outcome_words(ended))
                if changed := await changes_since(line, judged, self.cluster):
                    why = " ".join(changed)
                    continue
                by = ended.decided_by.name if ended.decided_by else "a person"
                judged = replace(judged, reason=f"Approved by {by}.")
                async with granted(self.grants, ended.id, ended.permit) as changes:
                    return await self._change_cluster(judged, line=line, changes=changes)
            except _ChangedError as changed_meanwhile:
                why = str(changed_meanwhile)
            except LeaseLostError:
                raise
            except ResolverError as error:
                return await self._refuse(judged, f"It was not run: {error}")
        return await self._refuse(judged, f"{why} {self._why_not_asked()}".strip())

    async def _line_of(self, judged: Judged) -> tuple[PermittedLine, RiskLevel]:
        """The exact line to be asked for, what undo cannot bring back told with it, and the level that follows."""
        foresight = await self._foresee(judged)
        told = ". ".join(loss.sentence for loss in foresight.losses)
        line = await permitted_line(judged, self.cluster, undo=told)
        for one in foresight.touched:
            _check_is_shown(line, one)
        line = self.grants.held(line, foresight.touched)
        return line, max(line.verdict, foresight.least_risk)

    async def _foresee(self, judged: Judged) -> Foresight:
        """What the line touches and loses; NotAllowedError where too much would be lost for good."""
        with self._files_of(judged) as folder:
            namespace = self.resolution.request.namespace
            foresight = await foresee(self.cluster, judged, folder=folder, namespace=namespace)
        if foresight.refusal is not None:
            raise NotAllowedError(f"it could not be undone. {foresight.refusal}")
        return foresight

    async def _refuse(self, judged: Judged, reason: str) -> ToolAnswer:
        await self._record(judged, reason=reason, is_executed=False)
        return ToolAnswer(f"Refused, nothing was run. {reason}", is_error=True)

    async def _change_cluster(
        self, judged: Judged, *, line: PermittedLine | None = None, changes: Commands | None = None
    ) -> ToolAnswer:
        """`line` is the exact line that was approved; without it the permit's rules cover it.

        _ChangedError where a field is not as it was shown; nothing was run then.
        """
        if self._is_over:
            raise LeaseLostError("The agent is gone, so nothing more is changed.")
        try:
            taken = await self._snapshots(judged, line)
        except (LeaseLostError, _ChangedError):
            raise
        except ResolverError as error:
            return await self._refuse(judged, f"No snapshot could be taken, so the change was not made: {error}")
        self.has_changed = True
        try:
            return await self._run(judged, changes or self.changes)
        finally:
            await self._read_back(taken)

    async def _snapshots(self, judged: Judged, line: PermittedLine | None) -> list[tuple[SnapshotId, SnapshotEntry]]:
        """Stores every object that the line touches, before it runs; an error is a reason not to run it."""
        foresight = await self._foresee(judged)
        changes = [effect.change for effect in judged.effects]
        for one in foresight.touched:
            self._check_target(judged, line, one)
        for kind in {(one.target.kind, one.target.namespace): one.target for one in foresight.touched}.values():
            await self.cluster.check_kept(kind)
        entries = []
        for place, one in enumerate(foresight.touched):
            other = Change.DELETE if one.is_deleted else Change.WRITE
            change = changes[place] if changes else other
            self._changes += 1
            after = one.proposed if one.is_tried and not changes else None
            entries.append(SnapshotEntry(self._changes, one.target, change, one.before, after))
        if not entries:
            return []
        snapshot_id = await self.store.add_snapshot_entries(self.resolution, entries)
        self._own.update(one.target for one in foresight.touched)
        return [(snapshot_id, entry) for entry in entries]

    def _check_target(self, judged: Judged, line: PermittedLine | None, touched: Touched) -> None:
        """The object, and the fields that are changed, are those that were shown, as the snapshot has them.

        What this run itself has changed before is not held against the first permit.
        """
        if line is not None:
            _check_is_shown(line, touched)
        rules = [rule for effect in judged.effects if (rule := self.permit.rule_for(effect)) is not None]
        approved = line.targets if line is not None else tuple(rule.target for rule in rules)
        for one in approved:
            if one == touched.target and one.uid is not None and one.uid != touched.target.uid:
                raise ResolverError(f"{touched.target} is another object now than the one that was approved.")
        shown = line.preconditions if line is not None else tuple(one for rule in rules for one in rule.preconditions)
        if touched.before is None or (line is None and touched.target in self._own):
            return
        if changed := changed_fields(shown, touched.target, touched.before):
            raise _ChangedError(" ".join(changed))

    async def _read_back(self, taken: list[tuple[SnapshotId, SnapshotEntry]]) -> None:
        """The versions after the change. What cannot be read now stays unread, and undo knows it."""
        done = []
        for _, entry in taken:
            try:
                after = await self.cluster.read(entry.target)
            except ResolverError:
                done.append(replace(entry, state="done"))
            else:
                left = None if after is None else after_change(entry, after)
                done.append(replace(entry, after=left, is_after_read=True, state="done"))
        if taken:
            with suppress(UnavailableError):  # the entries stay open, and undo knows that too
                await self.store.update_snapshot_entries(taken[0][0], done)

    async def _run(self, judged: Judged, commands: Commands) -> ToolAnswer:
        seq = await self._record(judged, reason=judged.reason, is_executed=True)
        self.executed.append(redact(judged.line))
        self._open.add(seq)
        result = _STOPPED
        try:
            result = await self._started(judged, commands)
        finally:
            output = await self._record_end(seq, result)
        if result.exit_code == 0:
            return ToolAnswer(output or "(no output)", is_data=True)
        ending = f"exit code {result.exit_code}" if result.exit_code is not None else "stopped: it took too long"
        return ToolAnswer(f"{output}\n({ending})", is_error=True, is_data=True)

    async def _record_end(self, seq: int, result: CommandResult) -> str:
        """What it printed, as it was kept."""
        output = redact(result.output)
        with suppress(UnavailableError):  # it ran: an agent that hears otherwise would run it again
            await self.store.end_command(
                self.resolution, seq, exit_code=result.exit_code, output=output, is_executed=True
            )
        self._open.discard(seq)
        return output

    def _files_of(self, judged: Judged) -> AbstractContextManager[Path]:
        """A line that names files runs where there are only the bytes that were judged, out of the agent's reach."""
        return sealed_folder(judged.files) if judged.files is not None else nullcontext(self.folder)

    async def _started(self, judged: Judged, commands: Commands) -> CommandResult:
        try:
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


def _check_is_shown(line: PermittedLine, touched: Touched) -> None:
    """What the API server would write is what people are shown by name; ResolverError where the two do not agree.

    What goes along with a deletion belongs to what is deleted.
    """
    shown = next((one for one in line.targets if one == touched.target), None)
    if shown is None and not touched.is_deleted:
        raise ResolverError(f"it would change {touched.target} too, which the line does not name.")
    if shown is not None and shown.uid is None and touched.before is not None:
        raise ResolverError(f"{touched.target} exists by now; it was to be made.")
