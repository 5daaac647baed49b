"""What KubernetesCluster tells of a workload, made from what the real controllers wrote."""

import pytest

from core.cluster.client import KubernetesCluster
from core.resources import Resource
from tests.cluster import objects, waiting
from tests.servers.kubernetes.server import ClusterServer


async def created(cluster: KubernetesCluster, manifest: objects.Manifest) -> Resource:
    made = await cluster.create(manifest, is_dry_run=False)
    metadata = made["metadata"]
    return Resource(made["kind"], metadata["name"], metadata["namespace"], made["apiVersion"], metadata["uid"])


async def test_a_workload_that_does_not_exist_is_none(cluster: KubernetesCluster, namespace: str):
    assert await cluster.workload(Resource("Deployment", "web", namespace)) is None


@pytest.mark.parametrize(("kind", "is_stateful"), [("Deployment", False), ("StatefulSet", True), ("DaemonSet", False)])
async def test_a_healthy_controller_is_told_with_its_pods_and_images(
    kind: str, is_stateful: bool, cluster: KubernetesCluster, namespace: str
):
    target = await created(cluster, objects.workload(kind, namespace))

    seen = await waiting.ready_workload(cluster, target)

    assert seen.resource.uid == target.uid
    assert (seen.desired_replicas, seen.ready_replicas, seen.is_stateful) == (2, 2, is_stateful)
    assert seen.images == (("web", objects.GOOD_IMAGE),)
    assert {pod.controller for pod in seen.pods} == {target}
    assert {pod.node for pod in seen.pods} <= {"node-a", "node-b"}
    assert not seen.is_failing


async def test_a_pod_of_a_deployment_is_a_workload_of_one_pod(cluster: KubernetesCluster, namespace: str):
    target = await created(cluster, objects.workload("Deployment", namespace))
    pod = (await waiting.ready_workload(cluster, target)).pods[0]

    seen = await cluster.workload(pod.resource)

    assert seen is not None
    assert (seen.resource, seen.desired_replicas, seen.ready_replicas) == (pod.resource, 1, 1)
    assert seen.pods == (pod,)


async def test_a_bare_pod_is_its_own_workload(cluster: KubernetesCluster, namespace: str):
    target = await created(cluster, objects.pod(namespace, image=objects.CRASHING_IMAGE))

    seen = await waiting.workload_when(cluster, target, lambda one: one.pods[0].reason == "CrashLoopBackOff")

    assert seen.resource == target
    assert seen.pods[0].controller is None
    assert seen.pods[0].restarts >= 1
    assert seen.is_failing


@pytest.mark.parametrize(
    ("image", "phase", "reason"),
    [
        (objects.CRASHING_IMAGE, "Running", "CrashLoopBackOff"),
        (objects.UNPULLABLE_IMAGE, "Pending", "ImagePullBackOff"),
        (objects.NEVER_READY_IMAGE, "Running", ""),
    ],
)
async def test_a_deployment_whose_pods_do_not_come_up_is_failing_for_their_reason(
    image: str, phase: str, reason: str, cluster: KubernetesCluster, namespace: str
):
    target = await created(cluster, objects.workload("Deployment", namespace, image=image))

    seen = await waiting.workload_when(
        cluster,
        target,
        lambda one: (
            [(pod.phase != "", pod.node != "", pod.reason) for pod in one.pods] == [(True, True, reason)] * 2
            and all(pod.node for pod in one.pods)
        ),
    )

    assert seen.ready_replicas == 0
    assert seen.is_failing


async def test_earlier_images_budget_and_autoscaler_are_told(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    target = await created(cluster, objects.workload("Deployment", namespace))
    await created(cluster, objects.disruption_budget(namespace, min_available=1))
    await created(cluster, objects.autoscaler(namespace, lowest=2, highest=5))
    await waiting.ready_workload(cluster, target)
    cluster_server.kubectl("-n", namespace, "set", "image", "deployment/web", f"web={objects.NEXT_IMAGE}")

    seen = await waiting.workload_when(
        cluster,
        target,
        lambda one: one.disruptions_allowed == 1 and one.image_history != () and len(one.pods) == 2,
    )

    assert seen.images == (("web", objects.NEXT_IMAGE),)
    assert seen.image_history == (objects.GOOD_IMAGE,)
    assert seen.hpa_range == (2, 5)


async def test_a_deployment_made_anew_has_no_history_of_the_one_before(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    await created(cluster, objects.workload("Deployment", namespace, image=objects.GOOD_IMAGE))
    cluster_server.kubectl("-n", namespace, "delete", "deployment", "web")

    target = await created(cluster, objects.workload("Deployment", namespace, image=objects.NEXT_IMAGE))
    seen = await waiting.workload_when(cluster, target, lambda one: one.ready_replicas == 2)

    assert seen.image_history == ()
