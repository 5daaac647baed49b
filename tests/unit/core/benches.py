"""A toolbox on a bench: the real gate and toolbox over a cluster and records in memory."""

from dataclasses import dataclass
from pathlib import Path

from core.commands.gate import judge
from core.effects import Change
from core.grants import ReadyMade
from core.permit import PermitRule
from core.ports import CommandResult
from core.toolbox import GatedToolbox
from tests.fakes.cluster import FakeCluster
from tests.fakes.records import MemoryRecords
from tests.unit.core import examples
from tests.unit.core.examples import NOW, WEB, WEB_1

DELETE = "kubectl delete pod web-1"
RESTART = "kubectl rollout restart deploy/web"
BOTH = examples.permit(PermitRule(Change.DELETE_POD, WEB_1), PermitRule(Change.RESTART, WEB))


def manifest(resource, **spec):
    metadata = {"name": resource.name, "namespace": "shop", "uid": resource.uid, "resourceVersion": "1"}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def cluster_of(*resources, kind=FakeCluster):
    return kind({one: manifest(one) for one in resources})


@dataclass
class Bench:
    """A toolbox with the fakes behind it."""

    cluster: FakeCluster
    records: MemoryRecords
    toolbox: GatedToolbox


def bench(permit=BOTH, *, cluster=None, records=None):
    cluster = cluster if cluster is not None else cluster_of(WEB, WEB_1)
    records = records if records is not None else MemoryRecords()
    toolbox = GatedToolbox(
        resolution=examples.resolution(),
        permit=permit,
        gate=lambda line: judge(line, "shop"),
        store=records,
        cluster=cluster,
        changes=cluster,
        grants=ReadyMade(cluster),
        folder=Path("/nowhere"),
        clock=lambda: NOW,
    )
    return Bench(cluster, records, toolbox)


class Failing(FakeCluster):
    """Answers every command with one result, or raises it."""

    result: CommandResult | Exception = CommandResult(1, "Error from server (NotFound)")

    async def run(self, stages, **given):
        await super().run(stages, **given)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result
