"""A story of changes and their undo: what an execution records, and RollbackManager on the real API server."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.cluster.client import KubernetesCluster
from core.effects import Change
from core.resolution import ResolutionId, SnapshotId
from core.resources import Resource
from core.rollback import RollbackManager
from core.snapshot import Snapshot, SnapshotEntry, UndoReport
from tests.cluster import objects
from tests.fakes.permits import rollback_permit
from tests.servers.kubernetes.server import ClusterServer

SNAPSHOT = SnapshotId("s-1")


@dataclass
class Story:
    """Changes with their snapshot entries, as an execution makes them, and their undo."""

    cluster: KubernetesCluster
    server: ClusterServer
    namespace: str
    folder: Path
    entries: list[SnapshotEntry] = field(default_factory=list)

    async def start(self, manifest: objects.Manifest) -> Resource:
        """An object that was there before the change."""
        made = await self.cluster.create(manifest, is_dry_run=False)
        metadata = made["metadata"]
        return Resource(made["kind"], metadata["name"], self.namespace, made["apiVersion"], metadata["uid"])

    async def change(self, target: Resource, *line: str) -> None:
        """Runs kubectl with the product's runner, with the target read before and after."""
        before = await self.cluster.read(target)
        stages = (("kubectl", *line),)
        done = await self.cluster.run(stages, folder=self.folder, seconds=30, namespace=self.namespace)
        assert done.exit_code == 0, done.output
        after = await self.cluster.read(target)
        self.entries.append(
            SnapshotEntry(
                len(self.entries) + 1, target, Change.SET_IMAGE, before, after, is_after_read=True, state="done"
            )
        )

    async def undo(self, *, is_dry_run: bool = False, may_make_again: Collection[int] = ()) -> UndoReport:
        manager = RollbackManager(self.cluster, self._record, lambda: datetime.now(UTC))
        snapshot = Snapshot(SNAPSHOT, ResolutionId("r-1"), datetime.now(UTC), tuple(self.entries))
        if is_dry_run:
            return await manager.preview(snapshot)
        return await manager.rollback(snapshot, permit=rollback_permit(snapshot, again=may_make_again))

    async def live(self, target: Resource) -> dict[str, Any]:
        manifest = await self.cluster.read(target)
        assert manifest is not None
        return dict(manifest)

    def somebody(self, *line: str) -> None:
        """Somebody else at work, with a kubectl of their own."""
        self.server.kubectl("-n", self.namespace, *line)

    def states(self) -> list[str]:
        return [entry.state for entry in self.entries]

    async def _record(self, _: SnapshotId, changed: Sequence[SnapshotEntry]) -> None:
        done = {entry.seq: entry for entry in changed}
        self.entries = [done.get(entry.seq, entry) for entry in self.entries]


def statuses(report: UndoReport) -> list[str]:
    return [step.status for step in report.steps]


def patch(kind: str, name: str, change: str) -> tuple[str, ...]:
    return ("patch", kind, name, "--type=merge", "-p", change)
