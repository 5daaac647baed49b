"""What a grant may do, by the API server alone: with the granted identity itself and no gate before it."""

import json
import time
from pathlib import Path

import pytest

from core.cluster.client import KubernetesCluster
from core.cluster.issuing import GrantIssuer
from core.effects import Change
from core.errors import NotAllowedError, StaleError
from core.permit import PermitRule
from core.resolution import ApprovalId, ResolutionId
from core.resources import Resource
from tests.cluster import objects, waiting
from tests.cluster.granted import Granted, open_granted, open_identity
from tests.servers.kubernetes.identities import GRANTS
from tests.servers.kubernetes.server import ClusterServer, RefusedError
from tests.unit.core import examples

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
LISTED_IMAGE = "registry.example/shop/web:1.4.0"


def web(kind: str, namespace: str) -> Resource:
    return Resource(kind, "web", namespace, "apps/v1")


async def make(cluster: KubernetesCluster, kind: str, namespace: str, *names: str) -> None:
    for name in names or ("web", "other"):
        await cluster.create(objects.workload(kind, namespace, name), is_dry_run=False)


async def policies_hold(granted: Granted, word: str) -> None:
    """Policies take effect within a second of being made."""
    label = json.dumps({"metadata": {"labels": {"a": "b"}}})

    async def held() -> bool:
        return "refused" in await granted.kubectl("patch", word, "web", "--dry-run=server", "-p", label)

    await waiting.eventually(held, bool)


# --- what is covered, and what is not -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_a_grant_to_restart_restarts_its_target_and_nothing_else(
    kind: str, cluster: KubernetesCluster, issuer: GrantIssuer, managed: str, approval: str, tmp_path: Path
):
    await make(cluster, kind, managed)
    word = kind.lower()
    async with open_granted(
        issuer, approval, PermitRule(Change.RESTART, web(kind, managed)), folder=tmp_path
    ) as granted:
        await policies_hold(granted, word)

        assert (await granted.kubectl("rollout", "restart", f"{word}/web")).startswith("ok")

        assert "Forbidden" in await granted.kubectl("rollout", "restart", f"{word}/other")
        assert "does not allow this image" in await granted.kubectl("set", "image", f"{word}/web", "web=evil:1")
        assert "refused" in await granted.kubectl("delete", word, "web")
        assert "refused" in await granted.kubectl("delete", word, "--all")
        assert "refused" in await granted.kubectl("get", "secrets")
        assert "refused" in await granted.kubectl("get", "pods")
        assert "refused" in await granted.kubectl("-n", "kube-system", "get", word)
        assert "refused" in await granted.kubectl("create", "deployment", "evil", "--image=evil:1")
        if kind != "DaemonSet":
            assert "refused" in await granted.kubectl("scale", f"{word}/web", "--replicas=9")
            assert "does not allow 9 replicas" in await granted.patch(word, "web", '{"spec": {"replicas": 9}}')


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        {"serviceAccountName": "default-2"},
        {"hostNetwork": True},
        {"securityContext": {"runAsUser": 0}},
        {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
        {"nodeName": "node-a"},
        {"initContainers": [{"name": "first", "image": objects.GOOD_IMAGE}]},
        {"containers": [{"name": "web", "command": ["sh"]}]},
        {"containers": [{"name": "web", "args": ["-c"]}]},
        {"containers": [{"name": "web", "securityContext": {"privileged": True}}]},
        {"containers": [{"name": "web", "env": [{"name": "A", "value": "b"}]}]},
        {"containers": [{"name": "web", "resources": {"limits": {"cpu": "2"}}}]},
        {"containers": [{"name": "second", "image": objects.GOOD_IMAGE}]},
    ],
    ids=str,
)
async def test_a_grant_to_set_an_image_writes_no_other_field_of_the_pods(
    kind: str,
    change: dict,
    cluster: KubernetesCluster,
    issuer: GrantIssuer,
    managed: str,
    approval: str,
    tmp_path: Path,
):
    await make(cluster, kind, managed, "web")
    word = kind.lower()
    rule = PermitRule(Change.SET_IMAGE, web(kind, managed), images=(LISTED_IMAGE,))
    async with open_granted(issuer, approval, rule, folder=tmp_path) as granted:
        await policies_hold(granted, word)
        change = json.dumps({"spec": {"template": {"spec": change}}})

        assert "refused" in await granted.patch(word, "web", change)

        assert (await cluster.read(web(kind, managed)) or {})["metadata"]["generation"] == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_grant_to_set_an_image_writes_this_image_of_this_object_alone(
    kind: str, cluster: KubernetesCluster, issuer: GrantIssuer, managed: str, approval: str, tmp_path: Path
):
    await make(cluster, kind, managed)
    word, other = kind.lower(), Resource(kind, "other", managed, "apps/v1")
    image = PermitRule(Change.SET_IMAGE, web(kind, managed), images=(LISTED_IMAGE,))
    async with open_granted(issuer, approval, image, PermitRule(Change.RESTART, other), folder=tmp_path) as granted:
        await policies_hold(granted, word)

        assert "does not allow this image" in await granted.kubectl("set", "image", f"{word}/web", "web=evil:1")
        assert "does not allow this image" in await granted.kubectl(
            "set", "image", f"{word}/other", f"other={LISTED_IMAGE}"
        )
        assert "does not allow a restart" in await granted.kubectl("rollout", "restart", f"{word}/web")
        assert "annotations" in await granted.patch(
            word, "web", '{"spec": {"template": {"metadata": {"annotations": {"inject": "yes"}}}}}'
        )
        assert "refused" in await granted.patch(word, "web", '{"spec": {"revisionHistoryLimit": 0}}')
        assert "refused" in await granted.patch(word, "web", '{"metadata": {"finalizers": ["example.com/stuck"]}}')
        told = await granted.kubectl("set", "image", f"{word}/web", f"web={LISTED_IMAGE}")
        assert told.startswith("ok"), told


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_a_grant_to_scale_writes_the_approved_counts_through_the_scale_alone(
    kind: str, cluster: KubernetesCluster, issuer: GrantIssuer, managed: str, approval: str, tmp_path: Path
):
    await make(cluster, kind, managed)
    word = kind.lower()
    rule = PermitRule(Change.SCALE, web(kind, managed), replicas=(1, 3))
    async with open_granted(issuer, approval, rule, folder=tmp_path) as granted:

        async def held() -> bool:
            return "does not allow 4" in await granted.kubectl(
                "scale", f"{word}/web", "--replicas=4", "--dry-run=server"
            )

        await waiting.eventually(held, bool)

        assert "does not allow 4 replicas" in await granted.kubectl("scale", f"{word}/web", "--replicas=4")
        assert "refused" in await granted.kubectl("scale", f"{word}/web", "--replicas=0")
        assert "refused" in await granted.kubectl("scale", f"{word}/other", "--replicas=3")
        assert "refused" in await granted.patch(word, "web", '{"spec": {"replicas": 3}}')
        told = await granted.kubectl("scale", f"{word}/web", "--replicas=3")
        assert told.startswith("ok"), told


async def test_a_grant_to_delete_a_pod_deletes_or_evicts_this_pod_alone(
    cluster: KubernetesCluster, issuer: GrantIssuer, managed: str, approval: str, tmp_path: Path
):
    for name in ("web-1", "web-2"):
        await cluster.create(objects.pod(managed, name), is_dry_run=False)
    rule = PermitRule(Change.DELETE_POD, Resource("Pod", "web-1", managed, "v1"))
    async with open_granted(issuer, approval, rule, folder=tmp_path) as granted:
        assert "refused" in await granted.kubectl("delete", "pod", "web-2")
        assert "refused" in await granted.kubectl("delete", "pods", "--all")
        assert "refused" in await granted.kubectl("exec", "web-1", "--", "id")
        assert "refused" in await granted.kubectl("logs", "web-1")
        told = await granted.kubectl("delete", "pod", "web-1")
        assert told.startswith("ok"), told


@pytest.mark.parametrize("kind", KINDS)
async def test_a_grant_to_undo_puts_an_earlier_revision_back_with_the_images_of_its_own_history_alone(
    kind: str,
    cluster: KubernetesCluster,
    cluster_server: ClusterServer,
    issuer: GrantIssuer,
    managed: str,
    approval: str,
    tmp_path: Path,
):
    await make(cluster, kind, managed, "web")
    word = kind.lower()
    target = web(kind, managed)
    await waiting.workload_when(cluster, target, lambda one: bool(one.pods))
    cluster_server.kubectl("-n", managed, "set", "image", f"{word}/web", f"web={objects.NEXT_IMAGE}")
    cluster_server.kubectl("-n", managed, "set", "env", f"{word}/web", "MODE=new")
    await waiting.workload_when(cluster, target, lambda one: objects.GOOD_IMAGE in one.image_history)
    undo = PermitRule(Change.UNDO, target)
    async with open_granted(issuer, approval, undo, folder=tmp_path) as granted:
        await policies_hold(granted, word)

        assert "does not allow this image" in await granted.kubectl("set", "image", f"{word}/web", "web=evil:1")
        for change in (
            {"containers": [{"name": "web", "command": ["sh"]}]},
            {"containers": [{"name": "web", "env": [_from_secret()]}]},
            {"containers": [{"name": "web", "envFrom": [{"secretRef": {"name": "keys"}}]}]},
            {"containers": [{"name": "web", "livenessProbe": {"exec": {"command": ["sh"]}}}]},
            {"volumes": [{"name": "keys", "secret": {"secretName": "keys"}}]},
            {"containers": [{"name": "web", "ports": [{"containerPort": 80, "hostPort": 80}]}]},
            {"serviceAccountName": "default-2"},
        ):
            told = await granted.patch(word, "web", json.dumps({"spec": {"template": {"spec": change}}}))
            assert "refused" in told, change
        notes = {"container.apparmor.security.beta.kubernetes.io/web": "unconfined"}
        told = await granted.patch(
            word, "web", json.dumps({"spec": {"template": {"metadata": {"annotations": notes}}}})
        )
        assert "how containers are confined" in told, told
        told = await granted.kubectl("rollout", "undo", f"{word}/web", "--to-revision=1")
        assert told.startswith("ok"), told


def _from_secret() -> dict:
    return {"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}}


# --- the issuer, the preview, the kill switch -----------------------------------------------------------------------


async def test_the_issuer_cannot_use_its_ceiling_nor_widen_it(
    cluster: KubernetesCluster, cluster_server: ClusterServer, issuing: KubernetesCluster, managed: str, tmp_path: Path
):
    await make(cluster, "Deployment", managed, "web")

    async def run(*line: str) -> str:
        done = await issuing.run((("kubectl", *line),), folder=tmp_path, seconds=30, namespace=managed)
        return f"{'ok' if done.exit_code == 0 else 'refused'}: {done.output}"

    async def is_fenced() -> bool:
        return "the issuer may only issue" in await run("rollout", "restart", "deployment/web")

    await waiting.eventually(is_fenced, bool)
    assert "the issuer may only issue" in await run("scale", "deployment/web", "--replicas=1")
    assert "refused" in await run("delete", "deployment", "web")
    assert "named objects" in await run("create", "role", "all", "--verb=get", "--resource=pods")
    assert "refused" in await run("create", "role", "more", "--verb=get", "--resource=secrets", "--resource-name=keys")
    assert "refused" in await run("create", "rolebinding", "me", "--clusterrole=cluster-admin", "--user=me")
    assert "refused" in await run(
        "create", "rolebinding", "me", "--clusterrole=incident-resolver-issuer", "--serviceaccount=default:default"
    )
    assert "refused" in await run("-n", "kube-system", "create", "token", "default")
    assert "refused" in await run("-n", "incident-resolver", "create", "token", "incident-resolver-keeper")
    assert "refused" in await run("--as=admin", "get", "pods")


async def test_the_preview_identity_may_try_and_not_do(
    cluster: KubernetesCluster, cluster_server: ClusterServer, managed: str, tmp_path: Path
):
    await make(cluster, "Deployment", managed, "web")
    async with open_identity(cluster_server, "preview") as preview:

        async def run(*line: str) -> str:
            return (await preview.run((("kubectl", *line),), folder=tmp_path, seconds=30, namespace=managed)).output

        image = ("set", "image", "deployment/web", f"web={LISTED_IMAGE}")

        async def is_held() -> bool:
            return "may only try changes" in await run(*image)

        await waiting.eventually(is_held, bool)
        assert "image updated" in await run(*image, "--dry-run=server")
        assert "may only try changes" in await run("delete", "deployment", "web")
        assert "cannot get resource" in await run("get", "secrets", "keys")


async def test_without_its_binding_the_next_request_of_a_grant_is_refused(
    cluster: KubernetesCluster, issuer: GrantIssuer, managed: str, approval: str, tmp_path: Path
):
    await make(cluster, "Deployment", managed, "web")
    rule = PermitRule(Change.RESTART, web("Deployment", managed))
    async with open_granted(issuer, approval, rule, folder=tmp_path) as granted:
        assert await granted.cluster.read(web("Deployment", managed)) is not None

        started = time.monotonic()
        assert await issuer.revoke(ApprovalId(approval))
        with pytest.raises(NotAllowedError):
            await granted.cluster.read(web("Deployment", managed))

        assert time.monotonic() - started < 2
        assert await issuer.revoke(ApprovalId(approval)) is False


async def test_a_grant_and_its_token_are_named_after_the_approval_and_nothing_of_it_stays(
    cluster: KubernetesCluster,
    cluster_server: ClusterServer,
    issuer: GrantIssuer,
    managed: str,
    approval: str,
    tmp_path: Path,
):
    await make(cluster, "Deployment", managed, "web")
    rule = PermitRule(Change.RESTART, web("Deployment", managed))
    async with open_granted(issuer, approval, rule, folder=tmp_path) as granted:
        grant = granted.grant
        assert grant.token not in repr(grant)
        role = cluster_server.request(
            "GET", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{managed}/roles/{grant.name}"
        )
        assert all(one["resourceNames"] for one in role["rules"])
        assert {one.approval_id for one in await issuer.standing()} >= {ApprovalId(approval)}
        who = json.loads((await granted.kubectl("auth", "whoami", "-o", "json")).removeprefix("ok: "))["status"][
            "userInfo"
        ]
        assert who["username"] == f"system:serviceaccount:{GRANTS}:p-{approval}"
        assert who["extra"]["authentication.kubernetes.io/credential-id"] == [f"JTI={grant.token_id}"]

    await issuer.revoke(ApprovalId(approval))

    for path in (
        f"/api/v1/namespaces/{GRANTS}/serviceaccounts/{grant.name}",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{managed}/roles/{grant.name}",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{managed}/rolebindings/{grant.name}",
    ):
        with pytest.raises(RefusedError, match="404"):
            cluster_server.request("GET", path)


async def test_a_target_made_anew_since_the_approval_gets_no_grant(
    cluster: KubernetesCluster, issuer: GrantIssuer, managed: str, approval: str
):
    await make(cluster, "Deployment", managed, "web")
    rule = PermitRule(Change.RESTART, Resource("Deployment", "web", managed, "apps/v1", "another-uid"))

    with pytest.raises(StaleError, match="Nothing of what was approved"):
        await issuer.issue(ApprovalId(approval), ResolutionId("r"), examples.permit(rule, namespace=managed))

    assert ApprovalId(approval) not in {one.approval_id for one in await issuer.standing()}


async def test_where_the_ceiling_is_not_bound_nothing_is_issued_and_the_binding_to_add_is_named(
    cluster: KubernetesCluster, cluster_server: ClusterServer, issuer: GrantIssuer, namespace: str, approval: str
):
    await make(cluster, "Deployment", namespace, "web")
    rule = PermitRule(Change.RESTART, web("Deployment", namespace))

    with pytest.raises(NotAllowedError, match=r"manifests/issuer-role-binding\.yaml"):
        await issuer.issue(ApprovalId(approval), ResolutionId("r"), examples.permit(rule, namespace=namespace))

    assert ApprovalId(approval) not in {one.approval_id for one in await issuer.standing()}


async def test_another_binding_that_allows_more_is_found_out_and_the_grant_is_not_used(
    cluster: KubernetesCluster, cluster_server: ClusterServer, issuer: GrantIssuer, managed: str, approval: str
):
    await make(cluster, "Deployment", managed, "web")
    group = f"--group=system:serviceaccounts:{GRANTS}"
    cluster_server.kubectl("-n", managed, "create", "rolebinding", "too-much", "--clusterrole=edit", group)
    rule = PermitRule(Change.RESTART, web("Deployment", managed))

    with pytest.raises(NotAllowedError, match="which its Role does not name"):
        await issuer.issue(ApprovalId(approval), ResolutionId("r"), examples.permit(rule, namespace=managed))

    assert ApprovalId(approval) not in {one.approval_id for one in await issuer.standing()}
