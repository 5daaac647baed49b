"""The judged command lines, run by the real kubectl against a real API server."""

from pathlib import Path

import pytest

from core.cluster.client import KubernetesCluster
from core.commands.gate import judge
from core.ports import CommandResult
from core.resources import Resource, Workload
from tests.cluster import objects, waiting
from tests.servers.kubernetes.server import ClusterServer


@pytest.fixture
async def web(cluster: KubernetesCluster, namespace: str) -> Workload:
    """A healthy Deployment of two pods."""
    await cluster.create(objects.workload("Deployment", namespace), is_dry_run=False)
    return await waiting.ready_workload(cluster, Resource("Deployment", "web", namespace, "apps/v1"))


async def run(cluster: KubernetesCluster, line: str, *, namespace: str, folder: Path) -> CommandResult:
    """What the gate allows is what runs: the same argument vectors."""
    judged = judge(line, namespace)
    assert not judged.is_denied, judged.reason
    return await cluster.run(judged.stages, folder=folder, seconds=30, namespace=namespace)


async def test_get_pods_lists_the_pods_of_the_namespace_it_was_judged_in(
    cluster: KubernetesCluster, namespace: str, web: Workload, tmp_path: Path
):
    done = await run(cluster, "kubectl get pods -o name | sort", namespace=namespace, folder=tmp_path)

    assert done == CommandResult(0, "".join(f"pod/{pod.resource.name}\n" for pod in web.pods))


async def test_logs_of_a_pod_come_through_the_kubelet(
    cluster: KubernetesCluster, namespace: str, web: Workload, tmp_path: Path
):
    name = web.pods[0].resource.name

    done = await run(cluster, f"kubectl logs {name} --tail=5", namespace=namespace, folder=tmp_path)

    assert done == CommandResult(0, "listening on :8080\n")


async def test_a_failing_kubectl_fails_the_line_whatever_its_filters_say(
    cluster: KubernetesCluster, namespace: str, tmp_path: Path
):
    done = await run(cluster, "kubectl get pod nobody | head -n 1", namespace=namespace, folder=tmp_path)

    assert done.exit_code == 1
    assert 'pods "nobody" not found' in done.output


async def test_delete_pod_deletes_it_and_its_controller_makes_another(
    cluster: KubernetesCluster, namespace: str, web: Workload, tmp_path: Path
):
    gone, stays = web.pods[0].resource, web.pods[1].resource

    done = await run(cluster, f"kubectl delete pod {gone.name}", namespace=namespace, folder=tmp_path)

    assert done.exit_code == 0, done.output
    assert await cluster.read(gone) is None
    after = await waiting.ready_workload(cluster, web.resource)
    assert stays in {pod.resource for pod in after.pods}


async def test_a_dry_run_of_delete_pod_deletes_nothing(
    cluster: KubernetesCluster, namespace: str, web: Workload, tmp_path: Path
):
    pod = web.pods[0].resource

    done = await run(cluster, f"kubectl delete pod {pod.name} --dry-run=server", namespace=namespace, folder=tmp_path)

    assert done.exit_code == 0, done.output
    live = await cluster.read(pod)
    assert live is not None
    assert "deletionTimestamp" not in live["metadata"]


async def test_rollout_restart_replaces_every_pod_and_status_waits_for_it(
    cluster: KubernetesCluster, namespace: str, web: Workload, tmp_path: Path
):
    restarted = await run(cluster, "kubectl rollout restart deployment/web", namespace=namespace, folder=tmp_path)
    status = await run(
        cluster, "kubectl rollout status deployment/web --timeout=25s", namespace=namespace, folder=tmp_path
    )

    assert (restarted.exit_code, status.exit_code) == (0, 0), restarted.output + status.output
    assert 'deployment "web" successfully rolled out' in status.output
    after = await waiting.ready_workload(cluster, web.resource)
    assert {pod.resource for pod in after.pods}.isdisjoint(pod.resource for pod in web.pods)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_rollout_undo_brings_back_the_image_before(
    kind: str, cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str, tmp_path: Path
):
    target = Resource(kind, "web", namespace, "apps/v1")
    await cluster.create(objects.workload(kind, namespace), is_dry_run=False)
    await waiting.ready_workload(cluster, target)
    word = f"{kind.lower()}/web"
    cluster_server.kubectl("-n", namespace, "set", "image", word, f"web={objects.NEXT_IMAGE}")
    await waiting.workload_when(cluster, target, lambda one: one.image_history == (objects.GOOD_IMAGE,))

    undone = await run(cluster, f"kubectl rollout undo {word}", namespace=namespace, folder=tmp_path)

    assert undone.exit_code == 0, undone.output
    after = await waiting.ready_workload(cluster, target)
    assert after.images == (("web", objects.GOOD_IMAGE),)
    assert after.image_history == (objects.NEXT_IMAGE,)


async def test_rollout_status_of_a_rollout_that_does_not_come_fails_in_its_time(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str, web: Workload, tmp_path: Path
):
    cluster_server.kubectl("-n", namespace, "set", "image", "deployment/web", f"web={objects.UNPULLABLE_IMAGE}")

    done = await run(
        cluster, "kubectl rollout status deployment/web --timeout=2s", namespace=namespace, folder=tmp_path
    )

    assert done.exit_code == 1
    assert "timed out waiting for the condition" in done.output


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_scale_changes_the_number_of_pods(kind: str, cluster: KubernetesCluster, namespace: str, tmp_path: Path):
    target = Resource(kind, "web", namespace, "apps/v1")
    await cluster.create(objects.workload(kind, namespace), is_dry_run=False)
    await waiting.ready_workload(cluster, target)

    done = await run(cluster, f"kubectl scale {kind.lower()}/web --replicas=3", namespace=namespace, folder=tmp_path)

    assert done.exit_code == 0, done.output
    await waiting.ready_workload(cluster, target, replicas=3)


async def test_set_image_rolls_the_new_image_out(
    cluster: KubernetesCluster, namespace: str, web: Workload, tmp_path: Path
):
    done = await run(
        cluster,
        f"kubectl set image deployment/web web={objects.NEXT_IMAGE}",
        namespace=namespace,
        folder=tmp_path,
    )

    assert done.exit_code == 0, done.output
    after = await waiting.workload_when(
        cluster, web.resource, lambda one: one.images == (("web", objects.NEXT_IMAGE),) and not one.is_failing
    )
    assert after.image_history == (objects.GOOD_IMAGE,)


async def test_a_command_that_outlasts_its_time_is_killed_and_says_so(
    cluster: KubernetesCluster, namespace: str, tmp_path: Path
):
    await cluster.create(objects.workload("Deployment", namespace, image=objects.NEVER_READY_IMAGE), is_dry_run=False)
    judged = judge("kubectl rollout status deployment/web", namespace)

    done = await cluster.run(judged.stages, folder=tmp_path, seconds=2, namespace=namespace)

    assert done.exit_code is None
    assert "(stopped: it took longer than 2 s)" in done.output
