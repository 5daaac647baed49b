"""The cluster as an execution sees it: each request with the identity it is meant for."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from core.cluster.client import KubernetesCluster
from core.cluster.touching import Finder
from core.effects import Judged
from core.errors import NotAllowedError
from core.helm_releases import Release
from core.ports import CommandResult
from core.resources import Resource, Workload
from core.snapshot import Manifest, Touched


@dataclass(frozen=True, slots=True)
class ClusterAtWork:
    """Implements core.ports.Cluster.

    What the agent reads and runs goes by the reader, dry runs by the preview, snapshots and whatever else by the
    keeper, which works in `namespaces` (with * and ?) only.
    """

    reader: KubernetesCluster
    preview: KubernetesCluster
    keeper: KubernetesCluster
    namespaces: tuple[str, ...] = ("*",)

    async def workload(self, resource: Resource) -> Workload | None:
        return await self.reader.workload(resource)

    async def read(self, resource: Resource) -> Manifest | None:
        return await (self.reader if resource.namespace is None else self.keeper).read(resource)

    async def resolve(self, judged: Judged) -> tuple[Resource, ...]:
        is_release = judged.aim is not None and bool(judged.aim.releases)
        return await (self.keeper if is_release else self.reader).resolve(judged)

    async def touched(self, judged: Judged, *, folder: Path, namespace: str) -> Sequence[Touched]:
        keeping = self.keeper.asking(judged, folder=folder, namespace=namespace)
        trying = self.preview.asking(judged, folder=folder, namespace=namespace)

        async def ask(argv: tuple[str, ...]) -> str:
            return await (keeping if argv[1] == "get" else trying)(argv)

        return await Finder(self.keeper.api, self.keeper, ask).find(judged, namespace)

    async def touched_by_deletion(self, resource: Resource) -> Sequence[Manifest]:
        return await self.keeper.touched_by_deletion(resource)

    async def check_kept(self, resource: Resource) -> None:
        if resource.namespace is not None and not any(fnmatchcase(resource.namespace, one) for one in self.namespaces):
            raise NotAllowedError(
                f"The policy lets snapshots be taken in {', '.join(self.namespaces)} only (execution."
                f"snapshot_namespaces), so {resource} is not changed. Add the namespace there, and bind the "
                "ClusterRole incident-resolver-keeper in it."
            )
        await self.keeper.check_kept(resource)

    async def create(self, manifest: Manifest, *, is_dry_run: bool) -> Manifest:
        return await self._writer(is_dry_run=is_dry_run).create(manifest, is_dry_run=is_dry_run)

    async def replace(self, manifest: Manifest, *, is_dry_run: bool) -> Manifest:
        return await self._writer(is_dry_run=is_dry_run).replace(manifest, is_dry_run=is_dry_run)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        return await self.keeper.replace_status(manifest)

    async def listed(self, kind: str, namespace: str | None) -> Sequence[Manifest]:
        return await self.keeper.listed(kind, namespace)

    async def roll_release_back(self, release: Release) -> None:
        await self.keeper.roll_release_back(release)

    async def delete(self, resource: Resource, *, is_dry_run: bool) -> None:
        await self._writer(is_dry_run=is_dry_run).delete(resource, is_dry_run=is_dry_run)

    async def run(
        self, stages: tuple[tuple[str, ...], ...], *, folder: Path, seconds: float, namespace: str
    ) -> CommandResult:
        return await self.reader.run(stages, folder=folder, seconds=seconds, namespace=namespace)

    def _writer(self, *, is_dry_run: bool) -> KubernetesCluster:
        return self.preview if is_dry_run else self.keeper
