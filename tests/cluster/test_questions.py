"""Lines that no permit covers, asked about and run on a real API server: resolved, stored, run once, put back."""

import asyncio
import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core import questions
from core.approval import ApprovalState
from core.cluster.client import KubernetesCluster
from core.commands.gate import judge
from core.errors import ResolverError
from core.grants import ReadyMade
from core.history import Happened
from core.questions import Asking, Questions
from core.resolution import ResolutionId
from core.resources import Resource
from core.rollback import RollbackManager
from core.snapshot import Snapshot
from core.toolbox import GatedToolbox
from core.workspace import read_workspace_file
from tests.cluster import objects, waiting
from tests.fakes.permits import rollback_permit
from tests.fakes.records import NOW, SNAPSHOT, MemoryRecords
from tests.unit.core import examples

PROGRAMS = frozenset({"kubectl", "helm"})
MARK = "kubectl annotate cm -l app=web looked-at=yes"


class Asked:
    """A toolbox on the real cluster, and a person who approves each question after `meanwhile`."""

    def __init__(self, cluster: KubernetesCluster, namespace: str, folder: Path) -> None:
        numbers = itertools.count(1)
        self.records = MemoryRecords()
        self.seen = []
        request = examples.request(namespace=namespace)
        resolution = examples.resolution(request=request)
        permit = replace(examples.permit(), rules=(), namespace=namespace)
        asking = Asking(lambda level: 300.0, lambda: f"q-{next(numbers)}")
        self.toolbox = GatedToolbox(
            resolution=resolution,
            permit=permit,
            gate=lambda line: judge(line, namespace, programs=PROGRAMS, files=partial(read_workspace_file, folder)),
            store=self.records,
            cluster=cluster,
            changes=cluster,
            grants=ReadyMade(cluster),
            folder=folder,
            clock=lambda: NOW,
            questions=Questions(
                resolution=resolution, permit=permit, store=self.records, clock=lambda: NOW, asking=asking
            ),
        )

    async def bash(self, line, *, meanwhile=()):
        waiting = list(meanwhile)

        async def person():
            while True:
                for one in list(self.records.approvals.values()):
                    if one.state is ApprovalState.PENDING:
                        self.seen.append(one.permit.lines[0])
                        if waiting:
                            await waiting.pop(0)()
                        await questions.end(self.records, one, state=ApprovalState.APPROVED, by=examples.BEN, reason="")
                        self.toolbox.questions.asking.bell.ring()
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            approving = group.create_task(person())
            try:
                return await self.toolbox.bash(line)
            finally:
                approving.cancel()

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(SNAPSHOT, ResolutionId("r-1"), NOW, tuple(self.records.entries.values()))


@pytest.fixture
def asked(cluster, namespace, tmp_path) -> Asked:
    return Asked(cluster, namespace, tmp_path)


async def labelled(cluster, namespace, name):
    manifest = objects.config_map(namespace, name, colour="red")
    made = manifest | {"metadata": manifest["metadata"] | {"labels": {"app": "web"}}}
    return await cluster.create(made, is_dry_run=False)


async def marks(cluster, namespace, *names):
    found = [await cluster.read(Resource("ConfigMap", name, namespace, "v1")) for name in names]
    return [((one or {}).get("metadata", {}).get("annotations") or {}).get("looked-at") for one in found]


async def test_every_target_of_a_selector_is_shown_stored_changed_and_put_back(cluster, namespace, asked):
    for name in ("one", "two"):
        await labelled(cluster, namespace, name)

    answer = await asked.bash(MARK)

    assert not answer.is_error, answer.text
    assert [one.name for one in asked.seen[0].targets] == ["one", "two"]
    assert await marks(cluster, namespace, "one", "two") == ["yes", "yes"]
    entries = asked.snapshot.entries
    assert sorted(one.target.name for one in entries) == ["one", "two"]
    assert all(one.before and one.after and one.is_after_read for one in entries)
    report = await RollbackManager(cluster, asked.records.update_snapshot_entries, lambda: NOW).rollback(
        asked.snapshot, permit=rollback_permit(asked.snapshot)
    )
    assert report.is_success, report.errors
    assert await marks(cluster, namespace, "one", "two") == [None, None]


async def test_an_object_that_comes_while_people_look_is_asked_about_before_it_is_touched(cluster, namespace, asked):
    await labelled(cluster, namespace, "one")

    await asked.bash(MARK, meanwhile=[lambda: labelled(cluster, namespace, "two")])

    assert [[one.name for one in line.targets] for line in asked.seen] == [["one"], ["one", "two"]]
    again = [one.facts["why"] for one in asked.records.history if one.what is Happened.QUESTION_ASKED]
    assert again == ["", f"It would change ConfigMap {namespace}/two too now."]
    assert await marks(cluster, namespace, "one", "two") == ["yes", "yes"]


async def test_a_value_that_somebody_writes_while_people_look_is_asked_about_before_it_is_overwritten(
    cluster, namespace, asked
):
    await labelled(cluster, namespace, "one")

    async def written():
        line = (("kubectl", "annotate", "cm", "one", "looked-at=by-hand"),)
        await cluster.run(line, folder=asked.toolbox.folder, seconds=60, namespace=namespace)

    await asked.bash("kubectl annotate --overwrite cm one looked-at=yes", meanwhile=[written])

    values = [one.value for line in asked.seen for one in line.preconditions]
    assert values == ["null", '"by-hand"']


async def test_a_file_runs_as_it_was_judged_whatever_the_agent_makes_of_it_while_people_look(cluster, namespace, asked):
    file = asked.toolbox.folder / "a.yaml"
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\ndata: {colour: COLOUR}\n"
    file.write_text(text.replace("COLOUR", "red"))

    async def rewritten():
        file.write_text(text.replace("COLOUR", "black"))

    answer = await asked.bash("kubectl apply -f a.yaml", meanwhile=[rewritten])

    assert not answer.is_error, answer.text
    made = await cluster.read(Resource("ConfigMap", "made", namespace, "v1"))
    assert made is not None
    assert made["data"] == {"colour": "red"}
    assert [str(one) for one in asked.seen[0].targets] == [f"ConfigMap {namespace}/made"]
    assert asked.seen[0].targets[0].uid is None
    assert asked.snapshot.entries[0].before is None


async def test_what_the_api_server_refuses_in_a_dry_run_is_not_asked(cluster, namespace, asked):
    await labelled(cluster, namespace, "one")

    answer = await asked.bash('kubectl patch cm one --type merge -p \'{"data":{"a":{"b":1}}}\'')

    assert answer.is_error
    assert asked.seen == []


ASKABLE = [
    "kubectl scale deploy/web --replicas=3",
    "kubectl scale deploy web --replicas=3 --current-replicas=2",
    "kubectl scale deploy --all --replicas=3",
    "kubectl rollout restart deploy",
    "kubectl rollout restart deploy -l app=web",
    "kubectl rollout pause deploy/web",
    "kubectl set image deploy/web web=registry.example/shop/web:2",
    "kubectl set image deploy/web '*=registry.example/shop/web:2'",
    "kubectl set env deploy/web A=b",
    "kubectl set env deploy --all A=b",
    "kubectl set resources deploy/web --limits=cpu=200m",
    "kubectl autoscale deploy web --max=3",
    "kubectl expose deploy web --port=80",
    "kubectl label deploy/web a=b",
    "kubectl label deploy,cm --all a=b",
    'kubectl patch deploy web -p \'{"spec":{"replicas":4}}\'',
    'kubectl patch deploy web --subresource=scale --type=merge -p \'{"spec":{"replicas":4}}\'',
    "kubectl create configmap fresh --from-literal=a=b",
    "kubectl create deployment fresh --image=registry.example/shop/web:2",
    "kubectl create service clusterip fresh --tcp=80",
    "kubectl create job fresh --image=registry.example/shop/web:2",
    "kubectl create rolebinding fresh --clusterrole=view --serviceaccount=default:default",
    "kubectl run fresh --image=registry.example/shop/web:2",
    "kubectl delete deploy web",
    "kubectl delete cm one",
    "kubectl delete pods -l app=web",
    "kubectl delete -f one.yaml",
    "kubectl apply -f one.yaml",
    "kubectl replace -f one.yaml",
    "kubectl annotate -f one.yaml a=b",
    "kubectl cordon NODE",
    "kubectl taint nodes NODE a=b:NoSchedule",
    "kubectl label node NODE a=b",
]


async def test_what_is_shown_by_name_is_what_the_api_server_would_write(cluster, cluster_server, namespace, asked):
    node = cluster_server.request("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    await labelled(cluster, namespace, "one")
    web = objects.workload("Deployment", namespace)
    await cluster.create(web | {"metadata": web["metadata"] | {"labels": {"app": "web"}}}, is_dry_run=False)
    await waiting.eventually(lambda: cluster.listed("Pod", namespace), lambda found: len(found) >= 2)
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: one, namespace: {namespace}}}\ndata: {{colour: blue}}\n"
    (asked.toolbox.folder / "one.yaml").write_text(text)
    problems = []
    for line in ASKABLE:
        judged = asked.toolbox.judge(line.replace("NODE", node))
        try:
            bound, _ = await asked.toolbox._line_of(judged)
            assert bound.targets
        except ResolverError as error:
            problems.append(f"{line}: {error}")

    assert problems == []
