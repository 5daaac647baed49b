"""The demo's incidents on a real cluster: they fail as on the simulator, and what heals them there heals them here."""

from dataclasses import replace

import pytest

from bot.demo.cluster.scenarios import CONTRACT, SCENARIOS, Scenario, deployment_of
from core.cluster.client import KubernetesCluster
from core.resources import Resource, Workload
from tests.cluster import waiting
from tests.servers.kubernetes.server import ClusterServer

BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, CONTRACT)}


async def stage(cluster: KubernetesCluster, namespace: str, scenario: Scenario) -> Resource:
    manifest = deployment_of(scenario, image=scenario.before or scenario.image)
    manifest["metadata"]["namespace"] = namespace
    await cluster.create(manifest, is_dry_run=False)
    return Resource("Deployment", scenario.workload, namespace, "apps/v1")


def reasons(workload: Workload) -> list[str]:
    return sorted(pod.reason for pod in workload.pods)


@pytest.mark.parametrize("name", ["crashloop", "injected-logs", "contract"])
async def test_corrupt_pods_crash_until_they_are_deleted(
    name: str, cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    scenario = BY_NAME[name]
    target = await stage(cluster, namespace, scenario)
    healthy = await waiting.ready_workload(cluster, target, replicas=scenario.replicas)
    corrupt = [pod.resource.name for pod in healthy.pods[: scenario.corrupt]]
    cluster_server.kubectl("-n", namespace, "annotate", "pod", *corrupt, "simulator/corrupt=true")
    wanted = [""] * (scenario.replicas - scenario.corrupt) + ["CrashLoopBackOff"] * scenario.corrupt

    failing = await waiting.workload_when(cluster, target, lambda one: reasons(one) == wanted)
    cluster_server.kubectl("-n", namespace, "delete", "pod", *corrupt)

    assert {pod.resource.name for pod in failing.pods if pod.reason} == set(corrupt)
    await waiting.ready_workload(cluster, target, replicas=scenario.replicas)


async def test_a_wrong_image_tag_is_healed_by_rolling_back(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    scenario = BY_NAME["wrong-image"]
    target = await stage(cluster, namespace, scenario)
    await waiting.ready_workload(cluster, target)
    image = f"{scenario.workload}={scenario.image}"
    cluster_server.kubectl("-n", namespace, "set", "image", f"deployment/{scenario.workload}", image)
    await waiting.workload_when(cluster, target, lambda one: "ImagePullBackOff" in reasons(one))

    cluster_server.kubectl("-n", namespace, "rollout", "undo", f"deployment/{scenario.workload}")

    healed = await waiting.ready_workload(cluster, target)
    assert healed.images == ((scenario.workload, scenario.before),)


async def test_a_service_at_its_limit_is_healed_by_more_replicas(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    target = await stage(cluster, namespace, BY_NAME["at-limit"])
    await waiting.workload_when(cluster, target, lambda one: len(one.pods) == 2 and all(p.node for p in one.pods))
    cluster_server.kubectl("-n", namespace, "scale", f"deployment/{target.name}", "--replicas=3")
    short = await waiting.workload_when(cluster, target, lambda one: [pod.phase for pod in one.pods] == ["Running"] * 3)

    cluster_server.kubectl("-n", namespace, "scale", f"deployment/{target.name}", "--replicas=4")

    assert short.ready_replicas == 0
    await waiting.ready_workload(cluster, target, replicas=4)


async def test_the_version_that_is_half_broken_crashes_one_of_its_two_pods(cluster: KubernetesCluster, namespace: str):
    scenario = replace(BY_NAME["failing-fix"], before=None)
    target = await stage(cluster, namespace, scenario)

    half = await waiting.workload_when(cluster, target, lambda one: one.ready_replicas == 1 and any(reasons(one)))

    assert reasons(half) == ["", "CrashLoopBackOff"]


async def test_the_version_before_it_crashes_every_pod(cluster: KubernetesCluster, namespace: str):
    target = await stage(cluster, namespace, BY_NAME["failing-fix"])

    await waiting.workload_when(cluster, target, lambda one: reasons(one) == ["CrashLoopBackOff"] * 2)
