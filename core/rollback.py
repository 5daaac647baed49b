"""RollbackManager: puts back what a resolution changed, last change first, overwriting nobody else's change."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from core.errors import ResolverError, StaleError
from core.ports import Cluster
from core.resolution import SnapshotId
from core.resources import Resource
from core.snapshot import Manifest, Snapshot, SnapshotEntry, UndoReport, UndoStep
from core.undo_rules import Conflict, Nothing, Restore, has_controller, meaning, plan_restore, to_create

RecordEntry = Callable[[SnapshotId, SnapshotEntry], Awaitable[None]]
_STATES = {"success": "restored", "skipped": "skipped", "conflict": "conflict", "failed": "failed"}
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.05
_STUCK_PODS = " Its pods that are not ready stay as they are until they are deleted, one by one."


@dataclass(frozen=True, slots=True)
class RollbackManager:
    """Compares three versions of each object (before, after, live), then writes under the live version's lock."""

    cluster: Cluster
    record: RecordEntry

    async def rollback(self, snapshot: Snapshot, *, is_dry_run: bool) -> UndoReport:
        """Each entry is restored, skipped, in conflict or failed; asking again does only what is still to do.

        A dry run is checked against the API server by server-side dry run and records nothing.
        """
        steps: list[UndoStep] = []
        for entry in sorted(snapshot.entries, key=lambda one: one.seq, reverse=True):
            if entry.state == "restored" and not is_dry_run:
                steps.append(_step(entry, "skipped", f"{entry.target} was put back before."))
                continue
            step = await self._undo_safely(entry, is_dry_run=is_dry_run)
            steps.append(step)
            if not is_dry_run:
                await self.record(snapshot.id, replace(entry, state=_STATES[step.status]))
        return UndoReport(snapshot.id, is_dry_run, tuple(steps))

    async def _undo_safely(self, entry: SnapshotEntry, *, is_dry_run: bool) -> UndoStep:
        """Controllers write the status of what they roll out many times a second, so a stale write is tried again.

        Each attempt compares anew with what is there then: somebody else's change is a conflict as before.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return await self._undo(entry, is_dry_run=is_dry_run)
            except StaleError:
                await asyncio.sleep(attempt * _PAUSE_SECONDS)
            except ResolverError as error:
                return _step(entry, "failed", f"{entry.target} was not put back: {error}")
        return _step(entry, "conflict", f"{entry.target} changed while it was being put back; ask again.")

    async def _undo(self, entry: SnapshotEntry, *, is_dry_run: bool) -> UndoStep:
        live = await self.cluster.read(entry.target)
        if entry.before is None:
            return await self._remove(entry, live, is_dry_run=is_dry_run)
        if entry.target.kind == "Pod" and has_controller(entry.before):
            return _step(entry, "skipped", f"{entry.target} belongs to a controller, which has replaced it itself.")
        if live is None or _is_ending(live):
            return await self._create_again(entry, is_live=live is not None, is_dry_run=is_dry_run)
        after = entry.after if entry.is_after_read else live
        if after is None or _uid(live) != _uid(after):
            return _step(entry, "conflict", f"Somebody made {entry.target} anew since; it is left as it is.")
        match plan_restore(entry.before, after, live):
            case Nothing(sentence=sentence):
                return _step(entry, "skipped", f"{entry.target}: {sentence}")
            case Conflict(fields=fields):
                return _step(entry, "conflict", _conflict_sentence(entry, fields, live))
            case Restore(manifest=manifest):
                await self.cluster.replace(manifest, is_dry_run=is_dry_run)
                stuck = _STUCK_PODS if entry.target.kind == "StatefulSet" else ""
                return _step(
                    entry, "success", f"{entry.target} {_would(is_dry_run=is_dry_run)} put back as it was.{stuck}"
                )

    async def _create_again(self, entry: SnapshotEntry, *, is_live: bool, is_dry_run: bool) -> UndoStep:
        if is_live:
            return _step(
                entry, "conflict", f"{entry.target} is being deleted, which cannot be undone; ask again after."
            )
        if entry.is_after_read and entry.after is not None and not _is_ending(entry.after):
            return _step(entry, "conflict", f"Somebody deleted {entry.target} since; it is not made again.")
        await self.cluster.create(to_create(entry.before or {}), is_dry_run=is_dry_run)
        lost = " What it held in memory is lost." if entry.target.kind == "Pod" else ""
        return _step(entry, "success", f"{entry.target} {_would(is_dry_run=is_dry_run)} made again.{lost}")

    async def _remove(self, entry: SnapshotEntry, live: Manifest | None, *, is_dry_run: bool) -> UndoStep:
        if live is None:
            return _step(entry, "skipped", f"{entry.target} is gone already.")
        if entry.after is None or _uid(live) != _uid(entry.after):
            return _step(entry, "conflict", f"Somebody made {entry.target} anew since; it is left as it is.")
        target = replace(entry.target, uid=_uid(live))
        await self.cluster.delete(target, is_dry_run=is_dry_run)
        return _step(entry, "success", f"{entry.target} {_would(is_dry_run=is_dry_run)} removed.")


def _step(entry: SnapshotEntry, status: str, sentence: str) -> UndoStep:
    return UndoStep(entry.seq, _command(entry.target, is_creation=entry.before is None), status, sentence)


def _command(target: Resource, *, is_creation: bool) -> str:
    """The kubectl line equivalent to the undo; the file is the snapshot's entry."""
    where = f" -n {target.namespace}" if target.namespace else ""
    if is_creation:
        return f"kubectl delete {target.kind.lower()} {target.name}{where}"
    return f"kubectl replace -f snapshot/{target.kind.lower()}-{target.name}.yaml{where}"


def _would(*, is_dry_run: bool) -> str:
    return "would be" if is_dry_run else "was"


def _uid(manifest: Manifest) -> str | None:
    uid = manifest.get("metadata", {}).get("uid")
    return None if uid is None else str(uid)


def _is_ending(manifest: Manifest) -> bool:
    return manifest.get("metadata", {}).get("deletionTimestamp") is not None


def _conflict_sentence(entry: SnapshotEntry, fields: tuple[str, ...], live: Manifest) -> str:
    """Both versions of each field, but of a Secret only the names."""
    shown = []
    for field in fields[:5]:
        if entry.target.kind == "Secret":
            shown.append(field)
        else:
            ours, theirs = _at(meaning(entry.after or {}), field), _at(meaning(live), field)
            shown.append(f"{field} (ours {_short(ours)}, now {_short(theirs)})")
    return f"Somebody changed {entry.target} since, nothing is overwritten: {', '.join(shown)}."


def _at(manifest: dict[str, Any], path: str) -> object:
    value: Any = manifest
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:80]}…"  # noqa: PLR2004  a line on a card
