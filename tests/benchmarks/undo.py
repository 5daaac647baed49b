"""Snapshot and restore of 100 objects, against the bare API calls for the same objects on the same API server.

Bare: a loop that reads each, and one that reads and writes each back. Ours also stores them, encrypted, compares three
versions, gives fields back to their managers and records each outcome.
"""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.cluster.client import KubernetesCluster, open_cluster
from core.cluster.runner import kubectl_path
from core.cluster.touching import Finder
from core.effects import Judged
from core.resolution import Resolution
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.rollback import RollbackManager
from core.snapshot import Touched
from storage.store import PostgresStorage, open_storage
from tests.cluster import objects
from tests.cluster.rollback import executions
from tests.fakes.permits import rollback_permit
from tests.postgres import SNAPSHOT_KEY
from tests.servers.kubernetes.programs import find_or_build
from tests.servers.kubernetes.server import open_cluster_server
from tests.servers.parts import PartMissingError

OBJECTS = 100
ROUNDS = 5
LINE = ("kubectl", "label", "configmaps", "-l", "bench=yes", "tier=b", "--overwrite")
Manifests = list[dict[str, object]]


async def timed(act: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await act()
    return time.perf_counter() - started


async def start(cluster: KubernetesCluster, namespace: str) -> list[Resource]:
    found = []
    for number in range(OBJECTS):
        given = objects.config_map(namespace, f"settings-{number}", **{f"key-{one}": "x" * 60 for one in range(20)})
        given["metadata"]["labels"] = {"bench": "yes", "tier": "a"}
        made = await cluster.create(given, is_dry_run=False)
        found.append(Resource("ConfigMap", f"settings-{number}", namespace, "v1", made["metadata"]["uid"]))
    return found


async def change(cluster: KubernetesCluster, targets: list[Resource]) -> None:
    """The line is run."""
    namespace = str(targets[0].namespace)
    done = await cluster.run((LINE,), folder=Path("/tmp"), seconds=60, namespace=namespace)
    assert done.exit_code == 0, done.output


@dataclass
class Found:
    """A cluster where what the line touches was found a moment ago: only reading it is left to do."""

    real: KubernetesCluster
    printed: str = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def touched(self, judged: Judged, *, namespace: str, **_: object) -> Sequence[Touched]:
        async def ask(_: tuple[str, ...]) -> str:
            return self.printed

        return await Finder(self.real.api, self.real, ask).find(judged, namespace)


async def bare(cluster: KubernetesCluster, targets: list[Resource]) -> tuple[float, float]:
    """Seconds of a loop that reads each object, and of one that reads and writes each back."""
    kept: Manifests = []

    async def read() -> None:
        for target in targets:
            kept.append(dict(await cluster.read(target) or {}))

    async def write() -> None:
        for target, before in zip(targets, kept, strict=True):
            live = dict(await cluster.read(target) or {})
            version = live["metadata"]["resourceVersion"]
            metadata = {**before["metadata"], "resourceVersion": version}  # type: ignore[dict-item]
            await cluster.replace({**before, "metadata": metadata}, is_dry_run=False)

    reading = await timed(read)
    await change(cluster, targets)
    return reading, await timed(write)


async def ours(
    cluster: Found, store: PostgresStorage, running: Resolution, targets: list[Resource]
) -> tuple[float, float]:
    """Seconds of reading and storing what the line touches, and of undoing it."""
    namespace = str(targets[0].namespace)
    with tempfile.TemporaryDirectory() as folder:
        tools = executions.toolbox(running, targets[0], store=store, cluster=cluster, folder=Path(folder))
        judged = Judged(" ".join(LINE), RiskLevel.HIGH, "R7", "labels", (LINE,), verb="kubectl label")
        taken = []

        async def snapshot() -> None:
            taken.extend(await tools._snapshots(judged, None))

        reading = await timed(snapshot)
        await change(cluster.real, targets)
        await tools._read_back(taken)
    kept = await store.snapshot(taken[0][0])
    assert kept is not None
    assert len(kept.entries) == OBJECTS, namespace
    manager = RollbackManager(cluster, store.update_snapshot_entries, executions.clock)

    async def undo() -> None:
        report = await manager.rollback(kept, permit=rollback_permit(kept))
        assert report.is_success, report.errors
        assert len([step for step in report.steps if step.status == "success"]) == OBJECTS

    return reading, await timed(undo)


async def rounds(kubeconfig: Path, url: str) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    found = []
    async with (
        open_cluster(kubeconfig, kubectl=kubectl_path(None)) as cluster,
        open_storage(url, snapshot_key=SNAPSHOT_KEY, lease_seconds=600) as store,
    ):
        for _ in range(ROUNDS):
            namespace = f"bench-{uuid.uuid4().hex[:8]}"
            await cluster.create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, is_dry_run=False
            )
            targets = await start(cluster, namespace)
            baseline = await bare(cluster, targets)
            running = await executions.executing(store, namespace)
            running = replace(running, request=replace(running.request, namespace=namespace))
            dry = (*LINE, "--dry-run=server", "-o", "json")
            kubeconfig = cluster.credentials.for_kubectl(namespace)
            tried = await cluster.runner.ask(dry, kubeconfig=kubeconfig, folder=Path("/tmp"), seconds=60)
            found.append((baseline, await ours(Found(cluster, tried.output), store, running, targets)))
    return found


def undo_lines(url: str) -> list[str]:
    """What `make bench` prints; the goal is a ratio under 2, both together."""
    try:
        programs = find_or_build()
    except PartMissingError as error:
        return [f"snapshot and restore: not measured, missing: {error}"]
    with open_cluster_server(programs) as server:
        found = asyncio.run(rounds(server.kubeconfig, url))
    lines = []
    for name, pick in (
        ("snapshot", lambda pair: pair[0]),
        ("restore", lambda pair: pair[1]),
        ("snapshot and restore", sum),
    ):
        pairs = sorted((pick(mine) / pick(baseline), pick(mine), pick(baseline)) for baseline, mine in found)
        ratio, mine, baseline = pairs[len(pairs) // 2]
        lines.append(
            f"{name} of {OBJECTS} objects: {mine * 1000:.0f} ms, {ratio:.2f} times the bare API calls"
            f" ({baseline * 1000:.0f} ms); median of {ROUNDS} rounds"
        )
    return lines


if __name__ == "__main__":
    from tests.benchmarks.database import bench_database

    with bench_database() as database:
        print("\n".join(undo_lines(database)))
