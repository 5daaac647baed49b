"""RollbackManager: puts back what a resolution changed, last change first, overwriting nobody else's change."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from core import owners, recreation, undo_permits, undo_texts, undo_values
from core.effects import Change
from core.errors import ResolverError, StaleError, first_of
from core.helm_releases import Release, left_by_upgrade, release_of
from core.permit import Permit
from core.ports import Clock, Cluster
from core.remaking import Made, Remaking, Unmade
from core.resolution import SnapshotId
from core.resources import Resource
from core.snapshot import Manifest, Snapshot, SnapshotEntry, UndoReport, UndoStep
from core.undo_rules import REPLICAS, Conflict, Nothing, Path, Restore, plan_restore, unread_after

RecordEntries = Callable[[SnapshotId, Sequence[SnapshotEntry]], Awaitable[None]]
_STATES = {"success": "restored", "skipped": "skipped", "conflict": "conflict", "failed": "failed"}
_ATTEMPTS = 5
_AT_ONCE = 8
_DELETIONS = frozenset({Change.DELETE, Change.DELETE_POD})
_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RollbackManager:
    """Compares three versions of each object (before, after, live), then writes under the live version's lock.

    `settle_seconds` is how long one rollback waits, in all, for what it put back to be as ready as it was before.
    """

    cluster: Cluster
    record: RecordEntries
    clock: Clock
    settle_seconds: float = 10.0

    async def preview(self, snapshot: Snapshot) -> UndoReport:
        """What a rollback would do, checked against the API server by server-side dry run; records nothing."""
        return await self._all(_Run(self, permit=None, snapshot=snapshot))

    async def rollback(self, snapshot: Snapshot, *, permit: Permit) -> UndoReport:
        """Each entry is restored, skipped, in conflict or failed; asking again does only what is still to do.

        An entry that `permit` does not name, by object, uid and content, is not written. What is more than undoing (it
        runs something once more, or somebody else deleted it) is made again only where it says so.
        """
        return await self._all(_Run(self, permit=permit, snapshot=snapshot))

    async def _all(self, run: "_Run") -> UndoReport:
        snapshot, is_dry_run = run.snapshot, run.is_dry_run
        steps: list[UndoStep] = []
        for together in _together(snapshot.entries):
            try:
                async with asyncio.TaskGroup() as group:
                    undone = [group.create_task(run.undo_safely(entry)) for entry in together]
            except ExceptionGroup as failures:
                raise first_of(failures) from failures
            results = [one.result() for one in undone]
            steps += [step for step, _ in results]
            done = [replace(one, state=_STATES[step.status]) for step, one in results if one.state != "restored"]
            if done and not is_dry_run:
                await self.record(snapshot.id, done)
        told = await run.settle()
        return UndoReport(
            snapshot.id,
            is_dry_run,
            tuple(replace(step, sentence=step.sentence + told.get(step.seq, "")) for step in steps),
        )


def _together(entries: Sequence[SnapshotEntry]) -> Iterator[list[SnapshotEntry]]:
    """Last change first. Changes of different objects that are there, one after the other, are undone together."""
    found: list[SnapshotEntry] = []
    for entry in sorted(entries, key=lambda one: one.seq, reverse=True):
        is_gone = entry.change in _DELETIONS or (entry.is_after_read and entry.after is None)
        is_alone = entry.before is None or is_gone or release_of(entry.before) is not None
        is_known = entry.target in {one.target for one in found}
        if found and (is_alone or is_known or len(found) == _AT_ONCE):
            yield found
            found = []
        found.append(entry)
        if is_alone:
            yield found
            found = []
    if found:
        yield found


Undone = tuple[UndoStep, SnapshotEntry]


@dataclass(slots=True)
class _Run:
    """One rollback at work."""

    manager: RollbackManager
    permit: Permit | None
    """None for a dry run, which writes nothing."""
    snapshot: Snapshot
    remaking: Remaking = field(init=False)
    unsettled: list[tuple[SnapshotEntry, Resource]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.remaking = Remaking(self.cluster, is_dry_run=self.is_dry_run)
        for entry in self.snapshot.entries:
            before, after = uid(entry.before), uid(entry.after)
            if entry.state == "restored" and before and after and before != after:
                self.remaking.remade[before] = after

    @property
    def cluster(self) -> Cluster:
        return self.manager.cluster

    @property
    def is_dry_run(self) -> bool:
        return self.permit is None

    def _allowed(self, entry: SnapshotEntry) -> Change | None:
        return None if self.permit is None else undo_permits.allowed(self.permit, entry)

    async def undo_safely(self, entry: SnapshotEntry) -> Undone:
        """Controllers write the status of what they roll out many times a second, so a stale write is tried again.

        Each attempt compares anew with what is there then: somebody else's change is a conflict as before.
        """
        if entry.state == "restored" and not self.is_dry_run:
            return _step(entry, "skipped", f"{entry.target} was put back before."), entry
        if not self.is_dry_run and self._allowed(entry) is None:
            return _step(entry, "failed", undo_texts.not_approved(entry.target)), entry
        for attempt in range(_ATTEMPTS):
            try:
                return await self._undo(entry)
            except StaleError:
                await asyncio.sleep(attempt * _PAUSE_SECONDS)
            except ResolverError as error:
                return _step(entry, "failed", f"{entry.target} was not put back: {error}"), entry
        return _step(entry, "conflict", f"{entry.target} changed while it was being put back; ask again."), entry

    async def _undo(self, entry: SnapshotEntry) -> Undone:
        live = await self.cluster.read(entry.target)
        if entry.before is None:
            return await self._remove(entry, live), entry
        if entry.target.kind == "Pod" and owners.has_controller(entry.before):
            return await self._left_to_controller(entry), entry
        if live is None or is_ending(live):
            return await self._make_again(entry, live)
        after = entry.after if entry.is_after_read else unread_after(entry, live)
        if after is None or is_ending(after) or self._is_another(live, after):
            if recreation.is_there_again(entry.before, live):
                sentence = f"{entry.target} is there again as it was."
                return _step(entry, "skipped", sentence), self._known(entry, live)
            return _step(entry, "conflict", f"Somebody made {entry.target} anew since; it is left as it is."), entry
        return await self._put_back(entry, after, live)

    def _is_another(self, live: Manifest, after: Manifest) -> bool:
        """Whether `live` is neither the object that the change left nor one that this undo made in its place."""
        return uid(live) not in {uid(after), self.remaking.remade.get(str(uid(after)))}

    async def _put_back(self, entry: SnapshotEntry, after: Manifest, live: Manifest) -> Undone:
        before = entry.before or {}
        release = left_by_upgrade(before, live)
        if release is not None:
            return await self._roll_release_back(entry, release), entry
        is_changed_scale = _replicas(before) != _replicas(after)
        scaler = await self._autoscaler(entry.target) if is_changed_scale else None
        left: tuple[Path, ...] = (REPLICAS,) if scaler else ()
        match plan_restore(before, after, live, left_alone=left):
            case Nothing(sentence=sentence):
                return _step(entry, "skipped", f"{entry.target}: {sentence}"), entry
            case Conflict(clashes=clashes):
                told = undo_texts.conflict(entry.target, clashes, live=live, scaler=scaler)
                return _step(entry, "conflict", told), entry
            case Restore(manifest=manifest, left=kept):
                if uid(before) != uid(after) and recreation.needs_recreation(before, live):
                    return await self._replace_whole(entry, live)
                return await self._write(entry, (after, live, manifest), kept=kept)

    async def _roll_release_back(self, entry: SnapshotEntry, release: Release) -> UndoStep:
        """By helm itself, which makes a new revision of the old values; only while the upgrade is still the newest."""
        secrets = await self.cluster.listed("Secret", release.namespace)
        known = [one for one in map(release_of, secrets) if one is not None and one.name == release.name]
        newest = max((one.revision for one in known), default=0)
        if newest > release.revision + 1:
            told = f"Somebody changed helm release {release.name} since, it is at revision {newest}; it is left."
            return _step(entry, "conflict", told)
        if not self.is_dry_run:
            await self.cluster.roll_release_back(release)
        hooks = [hook for one in known if one.revision == newest for hook in one.hooks]
        told = undo_texts.release(release, hooks, is_dry_run=self.is_dry_run)
        return replace(_step(entry, "success", told), command=undo_texts.release_command(release))

    async def _write(
        self, entry: SnapshotEntry, versions: tuple[Manifest, Manifest, Manifest], *, kept: tuple[str, ...]
    ) -> Undone:
        before, (after, live, manifest) = entry.before or {}, versions
        if entry.target.kind == "CronJob" and _is_resumed(live, manifest) and not self.is_dry_run:
            manifest = await self._without_missed_runs(manifest)
        written = await self.cluster.replace(manifest, is_dry_run=self.is_dry_run)
        if not self.is_dry_run:
            await self._give_fields_back(entry.target, (before, after), written)
            if not isinstance(plan_restore(before, after, written, left_alone=(REPLICAS,) if kept else ()), Nothing):
                sentence = f"{entry.target} was written, but something in the cluster did not keep what was put back."
                return _step(entry, "failed", sentence), entry
            self.unsettled.append((entry, entry.target))
        values = undo_values.changed(live, manifest)
        told = undo_texts.put_back(entry.target, values, is_dry_run=self.is_dry_run, kept=kept, before=before)
        line = undo_texts.patch_command(entry.target, live, manifest)
        return replace(_step(entry, "success", told), command=line, values=values), entry

    async def _without_missed_runs(self, manifest: Manifest) -> Manifest:
        """A CronJob that goes on starts at once what it missed, unless its last run is now."""
        now = self.manager.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        told = {**manifest, "status": {**(manifest.get("status") or {}), "lastScheduleTime": now}}
        written = await self.cluster.replace_status(told)
        version = written.get("metadata", {}).get("resourceVersion")
        return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}

    async def _replace_whole(self, entry: SnapshotEntry, live: Manifest) -> Undone:
        """What nobody may change in place is deleted and made again. That it is deleted is recorded first."""
        gone = replace(entry, after=None, is_after_read=True)
        if self.is_dry_run:
            await self.cluster.delete(replace(entry.target, uid=uid(live)), is_dry_run=True)
            values = undo_values.changed(live, entry.before or {})
            step = _step(entry, "success", undo_texts.replaced(entry.target, values))
            return replace(step, values=values), entry
        await self.manager.record(self.snapshot.id, [gone])
        await self.cluster.delete(replace(entry.target, uid=uid(live)), is_dry_run=False)
        return await self._make_again(gone, await self.cluster.read(entry.target))

    async def _make_again(self, entry: SnapshotEntry, live: Manifest | None) -> Undone:
        if live is not None:
            sentence = f"{entry.target} is being deleted, which cannot be undone; ask again after."
            return _step(entry, "conflict", sentence), entry
        is_ours = not entry.is_after_read or entry.after is None or is_ending(entry.after)
        is_approved = self._allowed(entry) is Change.MAKE_AGAIN
        if not is_ours and not is_approved:
            values = undo_values.contents(entry.before or {})
            told = undo_texts.deleted_since(entry.target, values)
            return replace(_step(entry, "conflict", told), is_beyond=True, values=values), entry
        before = entry.before or {}
        match await self.remaking.make(entry, is_approved=is_approved):
            case Unmade(status=status, sentence=sentence, is_beyond=is_beyond):
                step = _step(entry, status, f"{entry.target} was not made again: {sentence}")
                return replace(step, is_beyond=is_beyond), entry
            case Made(manifest=made, difference=difference):
                values = undo_values.contents(before)
                told = undo_texts.made_again(entry.target, values, is_dry_run=self.is_dry_run)
                told += difference + recreation.lost(before) + await self._holders(entry)
                step = replace(_step(entry, "success", told), command=undo_texts.creation_command(entry.target))
                step = replace(step, values=values)
                if self.is_dry_run:
                    return step, entry
                await self._give_fields_back(entry.target, (before, before), made)
                self.unsettled.append((entry, entry.target))
                return step, self._known(entry, made)

    def _known(self, entry: SnapshotEntry, made: Manifest) -> SnapshotEntry:
        """Earlier changes of the object, and objects it owned, go by its new uid from here on, in a retry too."""
        old, new = uid(entry.before), uid(made)
        if old and new:
            self.remaking.remade[old] = new
        return replace(entry, after=made, is_after_read=True)

    async def _remove(self, entry: SnapshotEntry, live: Manifest | None) -> UndoStep:
        if live is None:
            return _step(entry, "skipped", f"{entry.target} is gone already.")
        if entry.after is None or not self._is_what_was_made(entry, entry.after, live):
            return _step(entry, "conflict", f"Somebody made {entry.target} anew since; it is left as it is.")
        target = replace(entry.target, uid=uid(live))
        if entry.target.kind in {"Namespace", "CustomResourceDefinition"}:
            inside = [one for one in await self.cluster.touched_by_deletion(target) if recreation.refusal(one) is None]
            if inside and not self.is_dry_run:
                told = f"{entry.target} holds {len(inside)} object(s) that somebody made since; it is not removed."
                return _step(entry, "conflict", told)
        await self.cluster.delete(target, is_dry_run=self.is_dry_run)
        return _step(entry, "success", f"{entry.target} {undo_texts.would(is_dry_run=self.is_dry_run)} removed.")

    def _is_what_was_made(self, entry: SnapshotEntry, after: Manifest, live: Manifest) -> bool:
        """By its uid; where it was never read back, by being exactly what the dry run proposed."""
        return uid(live) == uid(after) if entry.is_after_read else recreation.is_there_again(after, live)

    async def _left_to_controller(self, entry: SnapshotEntry) -> UndoStep:
        owner = owners.controller_of(entry.before or {}) or {}
        told = f"{entry.target} belongs to a controller, which has replaced it itself."
        if owner.get("kind") and owner.get("name"):
            target = Resource(
                owner["kind"], owner["name"], entry.target.namespace, owner.get("apiVersion", ""), owner.get("uid")
            )
            self.unsettled.append((entry, target))
        return _step(entry, "skipped", told)

    async def _autoscaler(self, target: Resource) -> tuple[int, int] | None:
        """(min, max) of the autoscaler that keeps its replicas."""
        workload = await self.cluster.workload(target)
        return workload.hpa_range if workload else None

    async def _holders(self, entry: SnapshotEntry) -> str:
        if entry.target.kind != "ServiceAccount":
            return ""
        pods = await self.cluster.listed("Pod", entry.target.namespace)
        return undo_texts.holders(entry.target.name, pods)

    async def _give_fields_back(self, target: Resource, versions: tuple[Manifest, Manifest], written: Manifest) -> None:
        """Who managed the fields manages them again; a best effort, for the values are back already."""
        live: Manifest | None = written
        for _ in range(_ATTEMPTS):
            if live is None:
                return
            fields = owners.fields_of_before(*versions, live, us=owners.FIELD_MANAGER)
            if fields is None:
                return
            metadata = {**live["metadata"], "managedFields": [*fields, *owners.status_entries(live)]}
            try:
                await self.cluster.replace({**live, "metadata": metadata}, is_dry_run=False)
            except StaleError:
                live = await self.cluster.read(target)
            except ResolverError:
                return
            else:
                return

    async def settle(self) -> dict[int, str]:
        """Waits until what was put back is as ready as before, and says how ready it is; by seq."""
        told: dict[int, str] = {}
        waiting = [] if self.is_dry_run else [one for one in self.unsettled if one[1].kind in recreation.WITH_READINESS]
        looks = max(1, int(self.manager.settle_seconds / _LOOK_SECONDS))
        for look in range(looks + 1):
            still = []
            for entry, target in waiting:
                try:
                    live = await self.cluster.read(target)
                except ResolverError:
                    continue
                is_owner = target != entry.target
                before = live if is_owner and live else entry.before or {}
                told[entry.seq] = undo_texts.readiness(target, live)
                if live is not None and not (
                    recreation.is_whole(live) if is_owner else recreation.is_settled(before, live)
                ):
                    still.append((entry, target))
            waiting = still
            if not waiting or look == looks:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return told


def _step(entry: SnapshotEntry, status: str, sentence: str) -> UndoStep:
    return UndoStep(entry.seq, undo_texts.command(entry.target, is_creation=entry.before is None), status, sentence)


def _replicas(manifest: Manifest) -> object:
    spec = manifest.get("spec")
    return spec.get("replicas") if isinstance(spec, dict) else None


def _is_resumed(live: Manifest, manifest: Manifest) -> bool:
    return bool(live.get("spec", {}).get("suspend")) and not manifest.get("spec", {}).get("suspend")


def uid(manifest: Manifest | None) -> str | None:
    found = (manifest or {}).get("metadata", {}).get("uid")
    return None if found is None else str(found)


def is_ending(manifest: Manifest) -> bool:
    return manifest.get("metadata", {}).get("deletionTimestamp") is not None
