"""What a grant of one exact line may write, by the API server alone: the values of its dry run, and nothing beside."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core.cluster.client import KubernetesCluster
from core.cluster.issuing import GrantIssuer
from core.cluster.kinds import KINDS as KINDS_BY_NAME
from core.commands.gate import judge
from core.errors import NotAllowedError
from core.lines import permitted_line
from core.permit import Permit, PermittedLine
from core.resolution import ApprovalId, ResolutionId
from core.resources import Resource
from core.rights import held_line
from core.workspace import read_workspace_file
from tests.cluster import objects, waiting
from tests.cluster.granted import Granted, open_permitted
from tests.servers.kubernetes.identities import apply_policies
from tests.servers.kubernetes.server import ClusterServer
from tests.unit.core import examples

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
PASSWORD = {"name": "DB_PASSWORD", "value": "hunter2-of-the-old-days"}


async def held(cluster: KubernetesCluster, line: str, namespace: str, folder: Path) -> PermittedLine:
    judged = judge(line, namespace, files=lambda name: read_workspace_file(folder, name))
    assert not judged.is_denied, judged.reason
    touched = await cluster.touched(judged, folder=folder, namespace=namespace)
    return held_line(await permitted_line(judged, cluster), touched)


@asynccontextmanager
async def granted_line(
    issuer: GrantIssuer, cluster: KubernetesCluster, line: str, namespace: str, *, approval: str, folder: Path
) -> AsyncIterator[Granted]:
    permit = await permit_of(line, cluster, namespace, folder)
    async with open_permitted(issuer, approval, permit, folder=folder) as granted:
        assert granted.grant.has_value_rules
        yield granted


async def permit_of(line: str, cluster: KubernetesCluster, namespace: str, folder: Path) -> Permit:
    one = await held(cluster, line, namespace, folder)
    return replace(examples.permit(namespace=namespace), rules=(), lines=(one,))


def template(**pod: object) -> dict:
    return {"spec": {"template": {"spec": pod}}}


def container(name: str = "web", **fields: object) -> dict:
    return template(containers=[{"name": name, **fields}])


@pytest.fixture
async def stocked(cluster: KubernetesCluster, cluster_server: ClusterServer, managed: str) -> str:
    """One of each kind, twice, each container with a password in its environment."""
    for name in ("web", "other"):
        for kind in KINDS:
            one = objects.workload(kind, managed, name)
            one["metadata"] |= {"annotations": {"kept": "yes"}, "labels": {"tier": "back"}}
            one["spec"]["template"]["spec"]["containers"][0]["env"] = [PASSWORD, {"name": "MODE", "value": "old"}]
            await cluster.create(one, is_dry_run=False)
        await cluster.create(objects.config_map(managed, name, a="1", b="2"), is_dry_run=False)
        await cluster.create(objects.service(managed, name), is_dry_run=False)
        await cluster.create(objects.disruption_budget(managed, name, min_available=1), is_dry_run=False)
        await cluster.create(objects.autoscaler(managed, name, lowest=1, highest=3), is_dry_run=False)
    job = '{"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"web","image":"web:1"}]}}}}'
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "web", "namespace": managed},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": json.loads(job)},
    }
    await cluster.create(cron, is_dry_run=False)
    return managed


OTHERS_OF_AN_OBJECT = (
    {"metadata": {"labels": {"x": "y"}}},
    {"metadata": {"annotations": {"x": "y"}}},
    {"metadata": {"finalizers": ["example.com/stuck"]}},
)
OTHERS_OF_A_WORKLOAD = (
    {"spec": {"minReadySeconds": 77}},
    {"spec": {"template": {"metadata": {"annotations": {"inject": "yes"}}}}},
    {"spec": {"template": {"metadata": {"labels": {"inject": "yes"}}}}},
    template(volumes=[{"name": "host", "hostPath": {"path": "/"}}]),
    template(serviceAccountName="default-2"),
    template(hostNetwork=True),
    template(terminationGracePeriodSeconds=7),
    template(initContainers=[{"name": "first", "image": "web:1"}]),
    container("second", image="evil:1"),
    container(image="evil:1"),
    container(command=["sh"]),
    container(securityContext={"privileged": True}),
    container(env=[{"name": "MODE", "value": "worse"}]),
    container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}}]),
    container(envFrom=[{"secretRef": {"name": "keys"}}]),
)
EVERY_KIND = ("kubectl annotate {word} team=shop", "kubectl set env {word} MODE=new LEVEL=3")
DEPLOYMENTS = (
    "kubectl label {word} team=shop",
    "kubectl annotate {word} kept- team=shop",
    "kubectl set env {word} MODE-",
    "kubectl set resources {word} --limits=cpu=200m,memory=64Mi",
    "kubectl rollout pause {word}",
    "kubectl patch {word} -p '"
    + json.dumps(
        container(image="web:2", command=["run", '--\u00e9\t"quoted" \\ \u200b\x7f'], ports=[{"containerPort": 80}])
    )
    + "'",
    "kubectl patch {word} -p '"
    + json.dumps(
        {"spec": {"minReadySeconds": 3, "template": {"metadata": {"labels": {"tier": "a"}, "annotations": {"n": "b"}}}}}
    )
    + "'",
    "kubectl patch {word} -p '"
    + json.dumps(template(terminationGracePeriodSeconds=5, nodeSelector={"disk": "ssd"}))
    + "'",
    "kubectl patch {word} --type=json -p '"
    + json.dumps([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "web:3"}])
    + "'",
)


async def assert_refused(granted: Granted, target: Resource, change: dict) -> None:
    path = KINDS_BY_NAME[target.kind].path(target.namespace, target.name)
    assert await granted.status_of_patch(path, change) == 403, change


@pytest.mark.parametrize(
    ("kind", "line"),
    [(kind, line) for kind in KINDS for line in EVERY_KIND] + [("Deployment", line) for line in DEPLOYMENTS],
    ids=lambda one: one[:40],
)
async def test_a_line_of_a_workload_runs_with_its_grant_which_writes_no_other_object_field_and_value(
    kind: str, line: str, cluster: KubernetesCluster, issuer: GrantIssuer, stocked: str, approval: str, tmp_path: Path
):
    word, target = f"{kind.lower()}/web", Resource(kind, "web", stocked, "apps/v1")
    line = line.format(word=word) if "{word}" in line and "'" not in line else line.replace("{word}", word)
    before = await cluster.read(target)
    async with granted_line(issuer, cluster, line, stocked, approval=approval, folder=tmp_path) as granted:
        for change in (*OTHERS_OF_AN_OBJECT, *OTHERS_OF_A_WORKLOAD):
            await assert_refused(granted, target, change)
        await assert_refused(granted, replace(target, name="other"), OTHERS_OF_AN_OBJECT[0])
        (stage,) = judge(line, stocked).stages
        told = await granted.kubectl(*(part.replace("/web", "/other") for part in stage[1:]))
        assert "orbidden" in told, told
        assert "orbidden" in await granted.kubectl("delete", word)
        assert "orbidden" in await granted.kubectl("get", "secrets")
        assert (await cluster.read(target) or {})["spec"] == (before or {})["spec"]

        told = await granted.kubectl(*stage[1:])

        assert told.startswith("ok"), told
        after = await cluster.read(target) or {}
        assert after["metadata"]["managedFields"] != (before or {})["metadata"]["managedFields"]


@pytest.mark.parametrize(
    ("line", "others"),
    [
        (
            "kubectl set env deploy/web MODE=new LEVEL=3",
            ("MODE=else LEVEL=3", "MODE=new", "LEVEL=3 MODE=new X=1", "DB_PASSWORD-"),
        ),
        ("kubectl set resources deploy/web --limits=cpu=200m", ("--limits=cpu=300m", "--limits=cpu=200m,memory=1Gi")),
        ("kubectl annotate deploy/web team=shop a=b", ("team=else a=b", "team=shop", "team=shop a=b c=d", "kept-")),
        ("kubectl label deploy/web team=shop", ("team=else", "team=shop x=y", "tier-")),
    ],
)
async def test_the_same_command_with_other_values_is_refused(
    line: str,
    others: tuple[str, ...],
    cluster: KubernetesCluster,
    issuer: GrantIssuer,
    stocked: str,
    approval: str,
    tmp_path: Path,
):
    start = line[: line.index("deploy/web") + len("deploy/web")].split()[1:]
    async with granted_line(issuer, cluster, line, stocked, approval=approval, folder=tmp_path) as granted:
        for other in others:
            told = await granted.kubectl(*start, *other.split())
            assert "orbidden" in told, (other, told)

        told = await granted.kubectl(*line.split()[1:])

        assert told.startswith("ok"), told


def together(one: object, other: object) -> object:
    """Both strategic merge patches in one; lists of named items by name."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{key: together(one[key], value) if key in one else value for key, value in other.items()}}
    if isinstance(one, list) and isinstance(other, list):
        named = {item["name"]: item for item in one}
        added = {item["name"]: together(named[item["name"]], item) if item["name"] in named else item for item in other}
        return list((named | added).values())
    return other


async def test_nothing_rides_along_with_what_was_approved_in_the_same_request(
    cluster: KubernetesCluster, issuer: GrantIssuer, stocked: str, approval: str, tmp_path: Path
):
    line = "kubectl set resources deploy/web --limits=cpu=200m"
    target = Resource("Deployment", "web", stocked, "apps/v1")
    approved = container(resources={"limits": {"cpu": "200m"}})
    reordered = container(
        env=[{"name": "MODE", "value": "old"}, PASSWORD],
        **{"$setElementOrder/env": [{"name": "MODE"}, {"name": "DB_PASSWORD"}]},
    )
    async with granted_line(issuer, cluster, line, stocked, approval=approval, folder=tmp_path) as granted:
        await assert_refused(granted, target, reordered)
        for change in (*OTHERS_OF_AN_OBJECT, *OTHERS_OF_A_WORKLOAD):
            await assert_refused(granted, target, together(approved, change))

        path = KINDS_BY_NAME["Deployment"].path(stocked, "web")
        assert await granted.status_of_patch(path, approved) == 200


MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME}
data:
  a: "1"
  text: |
    first: "é"
    second: \t\\ tab
"""


@pytest.mark.parametrize(
    ("line", "kind", "others"),
    [
        (
            'kubectl patch cm web -p \'{"data":{"a":"9"}}\'',
            "ConfigMap",
            ({"data": {"a": "8"}}, {"data": {"b": "9"}}, {"immutable": True}),
        ),
        (
            'kubectl patch cm web --type=merge -p \'{"data":{"b":null}}\'',
            "ConfigMap",
            ({"data": {"a": None}}, {"data": {"b": ""}}),
        ),
        ("kubectl annotate cm web a=b", "ConfigMap", ({"data": {"a": "9"}},)),
        ("kubectl apply -f web.yaml", "ConfigMap", ({"data": {"a": "9"}}, {"binaryData": {"x": "eA=="}})),
        ("kubectl apply --server-side --force-conflicts -f web.yaml", "ConfigMap", ({"data": {"a": "9"}},)),
        ("kubectl replace -f web.yaml", "ConfigMap", ()),
        (
            "kubectl set selector svc/web app=web,tier=a",
            "Service",
            ({"spec": {"selector": {"app": "other"}}}, {"spec": {"type": "NodePort"}}),
        ),
        (
            'kubectl patch svc web -p \'{"spec":{"ports":[{"port":80,"targetPort":9090}]}}\'',
            "Service",
            ({"spec": {"ports": [{"port": 80, "targetPort": 22}]}}, {"spec": {"externalIPs": ["192.0.2.1"]}}),
        ),
        (
            'kubectl patch hpa web -p \'{"spec":{"minReplicas":2,"maxReplicas":5}}\'',
            "HorizontalPodAutoscaler",
            (
                {"spec": {"maxReplicas": 50}},
                {"spec": {"minReplicas": 2, "maxReplicas": 6}},
                {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "other"}}},
            ),
        ),
        (
            'kubectl patch pdb web -p \'{"spec":{"minAvailable":2}}\'',
            "PodDisruptionBudget",
            ({"spec": {"minAvailable": 0}}, {"spec": {"selector": None}}),
        ),
        (
            'kubectl patch cronjob web -p \'{"spec":{"suspend":true}}\'',
            "CronJob",
            ({"spec": {"schedule": "* * * * *"}}, {"spec": {"jobTemplate": {"metadata": {"labels": {"x": "y"}}}}}),
        ),
    ],
    ids=lambda one: one[:50] if isinstance(one, str) else "",
)
async def test_a_line_of_another_object_runs_with_its_grant_which_writes_nothing_else(
    line: str,
    kind: str,
    others: tuple[dict, ...],
    cluster: KubernetesCluster,
    issuer: GrantIssuer,
    stocked: str,
    approval: str,
    tmp_path: Path,
):
    (tmp_path / "web.yaml").write_text(MANIFEST.replace("NAME", "web"))
    (tmp_path / "other.yaml").write_text(MANIFEST.replace("NAME", "other"))
    target = Resource(kind, "web", stocked, KINDS_BY_NAME[kind].api_version)
    (stage,) = judge(line, stocked, files=lambda name: read_workspace_file(tmp_path, name)).stages
    async with granted_line(issuer, cluster, line, stocked, approval=approval, folder=tmp_path) as granted:
        for change in (*OTHERS_OF_AN_OBJECT, *others):
            await assert_refused(granted, target, change)
        told = await granted.kubectl(
            *(
                "other" if part == "web" else part.replace("web.yaml", "other.yaml").replace("svc/web", "svc/other")
                for part in stage[1:]
            )
        )
        assert "orbidden" in told, told

        told = await granted.kubectl(*stage[1:])

        assert told.startswith("ok"), told


AUTOSCALER = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: NAME}
spec: {maxReplicas: 4, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
"""
BUDGET = """\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: NAME}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
"""


@pytest.mark.parametrize(
    ("kind", "text"),
    [("ConfigMap", MANIFEST), ("HorizontalPodAutoscaler", AUTOSCALER), ("PodDisruptionBudget", BUDGET)],
    ids=lambda one: one[:30],
)
async def test_an_object_that_a_line_makes_is_made_as_it_was_approved_alone(
    kind: str, text: str, cluster: KubernetesCluster, issuer: GrantIssuer, managed: str, approval: str, tmp_path: Path
):
    for name, written in (("new", text), ("evil", text), ("more", text)):
        (tmp_path / f"{name}.yaml").write_text(written.replace("NAME", "evil" if name == "evil" else "new"))
    more = tmp_path / "more.yaml"
    more.write_text(more.read_text().replace("metadata: {name: new}", "metadata: {name: new, labels: {x: why}}"))
    line = "kubectl apply --server-side -f new.yaml"
    async with granted_line(issuer, cluster, line, managed, approval=approval, folder=tmp_path) as granted:
        for refused in ("apply --server-side -f evil.yaml", "apply --server-side -f more.yaml", "create -f new.yaml"):
            told = await granted.kubectl(*refused.split())
            assert "orbidden" in told, (refused, told)
        assert await cluster.read(Resource(kind, "new", managed)) is None

        told = await granted.kubectl(*line.split()[1:])

        assert told.startswith("ok"), told


async def test_a_line_is_held_to_the_state_it_was_tried_on(
    cluster: KubernetesCluster,
    cluster_server: ClusterServer,
    issuer: GrantIssuer,
    stocked: str,
    approval: str,
    tmp_path: Path,
):
    line = "kubectl patch deploy/web -p '" + json.dumps(container(image="web:2", args=["a"])) + "'"
    async with granted_line(issuer, cluster, line, stocked, approval=approval, folder=tmp_path) as granted:
        cluster_server.kubectl("-n", stocked, "set", "image", "deploy/web", "web=web:2")

        told = await granted.kubectl(*judge(line, stocked).stages[0][1:])

        assert "orbidden" in told, told


async def test_where_no_policy_holds_values_such_a_line_gets_no_credential(
    cluster: KubernetesCluster,
    cluster_server: ClusterServer,
    issuer: GrantIssuer,
    stocked: str,
    approval: str,
    tmp_path: Path,
):
    permit = await permit_of("kubectl annotate cm web a=b", cluster, stocked, tmp_path)
    name = "incident-resolver-grant-objects"
    cluster_server.kubectl("delete", "validatingadmissionpolicybinding", name)
    try:

        async def refusal() -> str:
            try:
                await issuer.issue(ApprovalId(approval), ResolutionId("r"), permit)
            except NotAllowedError as error:
                return str(error)
            await issuer.revoke(ApprovalId(approval))
            return ""

        told = await waiting.eventually(refusal, bool)
        assert "does not hold a credential to the approved values" in told
        assert ApprovalId(approval) not in {one.approval_id for one in await issuer.standing()}
    finally:
        apply_policies(cluster_server)
        await waiting.eventually(refusal, lambda told: not told)


async def test_large_objects_and_long_values_stay_within_what_a_policy_may_cost(
    cluster: KubernetesCluster, issuer: GrantIssuer, managed: str, approval: str, tmp_path: Path
):
    big = objects.workload("Deployment", managed)
    (first,) = big["spec"]["template"]["spec"]["containers"]
    first["env"] = [{"name": f"V{number}", "value": "v" * 200} for number in range(150)]
    others = [{**first, "name": f"side-{number}"} for number in range(5)]
    big["spec"]["template"]["spec"]["containers"] += others
    big["metadata"]["annotations"] = {f"note-{number}": "n" * 500 for number in range(100)}
    await cluster.create(big, is_dry_run=False)
    await cluster.create(objects.config_map(managed, "web", a="x" * 500_000), is_dry_run=False)
    (tmp_path / "patch.json").write_text(json.dumps({"data": {"b": "é\\" * 20_000}}))
    lines = ("kubectl set env deploy/web V149=new", "kubectl patch cm web --patch-file=patch.json")
    permitted = [await held(cluster, line, managed, tmp_path) for line in lines]
    permit = replace(examples.permit(namespace=managed), rules=(), lines=tuple(permitted))
    async with open_permitted(issuer, approval, permit, folder=tmp_path) as granted:
        assert granted.grant.has_value_rules
        for line in lines:
            told = await granted.kubectl(*line.split()[1:])
            assert told.startswith("ok"), told[:1000]
