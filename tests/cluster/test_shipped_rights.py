"""The service account that the manifests ship: enough for what the product does, and not a verb more."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.cluster.client import KubernetesCluster, open_cluster
from core.cluster.runner import kubectl_path
from core.cluster.source import KubernetesSource
from core.commands.gate import judge
from core.errors import NotAllowedError, StaleError
from core.resolution import ActionType, Request
from core.resources import Resource
from tests.cluster import objects, waiting
from tests.servers.kubernetes.server import ClusterServer

MANIFESTS = Path(__file__).parents[2] / "manifests"
FOR_READING = ("namespace", "service-account", "reader-cluster-role", "reader-cluster-role-binding")


@pytest.fixture
async def shipped(cluster_server: ClusterServer) -> AsyncIterator[KubernetesCluster]:
    """The product's door as the product is deployed: with the token of its service account."""
    for name in (*FOR_READING, "changer-cluster-role"):
        cluster_server.kubectl("apply", "-f", str(MANIFESTS / f"{name}.yaml"))
    kubeconfig = cluster_server.token_kubeconfig("incident-resolver", "incident-resolver")
    async with open_cluster(kubeconfig, kubectl=kubectl_path(None)) as opened:
        yield opened


@pytest.fixture
def changeable(cluster_server: ClusterServer, namespace: str, tmp_path: Path) -> str:
    """The test's namespace, with the shipped example of a RoleBinding copied into it."""
    binding = (
        (MANIFESTS / "changer-role-binding.yaml").read_text().replace("namespace: shop", f"namespace: {namespace}")
    )
    file = tmp_path / "binding.yaml"
    file.write_text(binding)
    cluster_server.kubectl("apply", "-f", str(file))
    return namespace


async def test_the_reader_role_is_enough_for_the_whole_context(
    shipped: KubernetesCluster, cluster: KubernetesCluster, namespace: str
):
    manifest = objects.workload("Deployment", namespace, image=objects.CRASHING_IMAGE)
    web = Resource("Deployment", "web", namespace)
    await cluster.create(manifest, is_dry_run=False)
    await waiting.workload_when(cluster, web, lambda one: any(pod.restarts for pod in one.pods))
    request = Request("a-client", namespace, ActionType.INVESTIGATION, "web is failing")

    answer = await KubernetesSource(shipped, clock=lambda: datetime.now(UTC)).look(request)

    assert answer.gaps == ()
    assert answer.cluster_uid == await cluster.uid()
    assert [one.resource for one in answer.workloads] == [web]
    assert not any("not readable" in finding.text for finding in answer.findings)


async def test_no_secret_can_be_read_and_nothing_changed_where_no_binding_is(
    shipped: KubernetesCluster, cluster: KubernetesCluster, namespace: str
):
    made = await cluster.create(objects.workload("Deployment", namespace), is_dry_run=False)
    web = Resource("Deployment", "web", namespace, "apps/v1", made["metadata"]["uid"])

    with pytest.raises(NotAllowedError):
        await shipped.read(Resource("Secret", "keys", namespace, "v1"))
    with pytest.raises(NotAllowedError, match=r"resources: \[deployments\], verbs: \[update\]"):
        await shipped.replace(made, is_dry_run=True)
    with pytest.raises(NotAllowedError, match=r"resources: \[deployments\], verbs: \[delete\]"):
        await shipped.delete(web, is_dry_run=True)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
@pytest.mark.parametrize(
    "line",
    [
        "kubectl rollout restart {word}",
        "kubectl rollout undo {word}",
        "kubectl rollout status {word} --timeout=20s",
        "kubectl set image {word} web=" + objects.NEXT_IMAGE,
        "kubectl scale {word} --replicas=3",
    ],
)
async def test_with_the_binding_every_change_of_the_command_set_runs_and_its_undo_is_allowed(
    line: str,
    kind: str,
    shipped: KubernetesCluster,
    cluster: KubernetesCluster,
    cluster_server: ClusterServer,
    changeable: str,
    tmp_path: Path,
):
    if kind == "DaemonSet" and "scale" in line:
        assert judge(line.format(word="daemonset/web"), changeable).effects == ()  # nothing that a permit could cover
        return
    word = f"{kind.lower()}/web"
    target = Resource(kind, "web", changeable, "apps/v1")
    await cluster.create(objects.workload(kind, changeable), is_dry_run=False)
    cluster_server.kubectl("-n", changeable, "set", "image", word, "web=registry.example/shop/web:1.4.0")
    await waiting.workload_when(cluster, target, lambda one: one.image_history != () and not one.is_failing)
    judged = judge(line.format(word=word), changeable)

    done = await shipped.run(judged.stages, folder=tmp_path, seconds=30, namespace=changeable)

    assert done.exit_code == 0, done.output
    await waiting.eventually(lambda: _is_replaceable(shipped, target), bool)


async def _is_replaceable(cluster: KubernetesCluster, target: Resource) -> bool:
    """What an undo writes with; stale while controllers still write the status."""
    live = await cluster.read(target)
    assert live is not None
    try:
        await cluster.replace(live, is_dry_run=True)
    except StaleError:
        return False
    return True


async def test_with_the_binding_a_pod_can_be_deleted_and_made_again_and_a_deployment_cannot_be_deleted(
    shipped: KubernetesCluster, cluster: KubernetesCluster, changeable: str, tmp_path: Path
):
    pod = Resource("Pod", "web", changeable, "v1")
    await cluster.create(objects.pod(changeable), is_dry_run=False)
    await waiting.workload_when(cluster, pod, lambda one: one.ready_replicas == 1)
    made = await cluster.create(objects.workload("Deployment", changeable, "other"), is_dry_run=False)
    judged = judge("kubectl delete pod web", changeable)

    done = await shipped.run(judged.stages, folder=tmp_path, seconds=30, namespace=changeable)

    assert done.exit_code == 0, done.output
    await shipped.create(objects.pod(changeable), is_dry_run=False)
    deployment = Resource("Deployment", "other", changeable, "apps/v1")
    with pytest.raises(NotAllowedError):
        await shipped.delete(replace(deployment, uid=made["metadata"]["uid"]), is_dry_run=True)
