"""A service that is killed at one moment: `python -m tests.cluster.rollback.dying MOMENT` with facts on stdin (JSON).

Moments: "snapshot" (stored, the change not made), "change" (made, not recorded), "rollback" (one of two changes is
written back, and that is not recorded).
"""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.cluster.client import open_cluster
from core.cluster.runner import kubectl_path
from core.resolution import ResolutionId
from core.resources import Resource
from core.rollback import RollbackManager
from storage.store import open_storage
from tests.cluster.rollback import executions
from tests.fakes.permits import rollback_permit
from tests.postgres import SNAPSHOT_KEY

LEASE_SECONDS = 2.0


@dataclass
class Dying:
    """A cluster that is there until the moment comes."""

    real: Any
    moment: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    async def run(self, *given: Any, **named: Any) -> Any:
        self._dies_at("snapshot")
        done = await self.real.run(*given, **named)
        self._dies_at("change")
        return done

    async def replace(self, *given: Any, **named: Any) -> Any:
        done = await self.real.replace(*given, **named)
        self._dies_at("rollback")
        return done

    def _dies_at(self, moment: str) -> None:
        if moment == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(moment: str, facts: dict[str, str]) -> None:
    target = Resource("Deployment", "web", facts["namespace"], "apps/v1")
    async with (
        open_storage(facts["database"], snapshot_key=SNAPSHOT_KEY, lease_seconds=LEASE_SECONDS) as store,
        open_cluster(Path(facts["kubeconfig"]), kubectl=kubectl_path(None)) as real,
    ):
        dying = Dying(real, moment)
        running = await executions.executing(store, facts["namespace"])
        print(running.id, flush=True)
        tools = executions.toolbox(running, target, store=store, cluster=dying, folder=Path(facts["folder"]))
        await tools.bash("kubectl scale deployment/web --replicas=4")
        await tools.bash("kubectl scale deployment/web --replicas=5")
        overview = await store.overview(ResolutionId(running.id))
        snapshot = await store.snapshot(overview.resolution.snapshot_id)
        await RollbackManager(dying, store.update_snapshot_entries, executions.clock).rollback(
            snapshot, permit=rollback_permit(snapshot)
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.load(sys.stdin)))
