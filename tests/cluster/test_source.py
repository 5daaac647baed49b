"""KubernetesSource on a real API server: what it finds out about a Deployment that fails."""

from datetime import UTC, datetime

import pytest

from core.cluster.client import KubernetesCluster, open_cluster
from core.cluster.runner import kubectl_path
from core.cluster.source import KubernetesSource
from core.errors import NotAllowedError
from core.findings import SourceAnswer
from core.resolution import ActionType, Request
from core.resources import Resource
from tests.cluster import objects, waiting
from tests.servers.kubernetes.server import ClusterServer


def clock() -> datetime:
    return datetime.now(UTC)


def request_about(namespace: str) -> Request:
    return Request("a-client", namespace, ActionType.INVESTIGATION, "web is failing")


def text_of(answer: SourceAnswer, title: str) -> str:
    found = [finding.text for finding in answer.findings if finding.title == title]
    assert found, f"no finding {title!r} among {[finding.title for finding in answer.findings]}"
    return found[0]


async def look_until(cluster: KubernetesCluster, namespace: str, is_it) -> SourceAnswer:
    source = KubernetesSource(cluster, clock=clock)
    return await waiting.eventually(lambda: source.look(request_about(namespace)), is_it)


def is_seen(title: str, *words: str):
    """Whether a finding of that title holds all of `words`."""
    return lambda answer: any(
        finding.title == title and all(word in finding.text for word in words) for finding in answer.findings
    )


async def test_a_rollout_to_an_image_nobody_has_is_told_with_all_that_risk_depends_on(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    web = Resource("Deployment", "web", namespace, "apps/v1")
    await cluster.create(objects.workload("Deployment", namespace), is_dry_run=False)
    await cluster.create(objects.disruption_budget(namespace, min_available=1), is_dry_run=False)
    await cluster.create(objects.autoscaler(namespace, lowest=2, highest=5), is_dry_run=False)
    await waiting.workload_when(cluster, web, lambda one: one.ready_replicas == 2 and one.disruptions_allowed == 1)
    cluster_server.kubectl("-n", namespace, "set", "image", "deployment/web", f"web={objects.UNPULLABLE_IMAGE}")

    answer = await look_until(cluster, namespace, is_seen("Events", "BackOff", objects.UNPULLABLE_IMAGE))

    (seen,) = answer.workloads
    assert seen.resource == web
    assert seen.is_failing
    assert [(pod.reason, pod.controller) for pod in seen.pods if not pod.is_ready] == [("ImagePullBackOff", web)]
    assert seen.images == (("web", objects.UNPULLABLE_IMAGE),)
    assert seen.image_history == (objects.GOOD_IMAGE,)
    assert seen.hpa_range == (2, 5)
    assert seen.disruptions_allowed == 1
    assert answer.cluster_name == "test-cluster"
    assert answer.cluster_uid == await cluster.uid()
    assert answer.nodes_not_ready == ()
    assert answer.gaps == ()
    told = text_of(answer, "Deployment web is failing")
    assert f"Revision 1 ({datetime.now(UTC):%Y-}" in told
    assert f"Container web runs {objects.UNPULLABLE_IMAGE}." in told
    assert "Back-off pulling image" in told


async def test_a_crashing_pod_is_told_with_its_log_and_the_log_before_its_restart(
    cluster: KubernetesCluster, namespace: str
):
    deployment = objects.workload("Deployment", namespace, image=objects.CRASHING_IMAGE, replicas=1)
    deployment["spec"]["template"]["metadata"]["annotations"] = {"simulator/log": "FATAL index is corrupt"}
    await cluster.create(deployment, is_dry_run=False)

    answer = await look_until(cluster, namespace, is_seen("Deployment web is failing", "CrashLoopBackOff"))

    pod = answer.workloads[0].pods[0]
    assert pod.restarts >= 1
    assert text_of(answer, f"Log of {pod.resource.name}/web") == "FATAL index is corrupt\n"
    assert text_of(answer, f"Log of {pod.resource.name}/web before its last restart") == "FATAL index is corrupt\n"
    assert "ended before with Error, exit code 1" in text_of(answer, "Deployment web is failing")


async def test_pods_that_a_quota_refuses_are_told_though_there_is_no_pod(cluster: KubernetesCluster, namespace: str):
    metadata = {"name": "small", "namespace": namespace}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"pods": "0"}}}
    await cluster.create(quota, is_dry_run=False)
    await cluster.create(objects.workload("Deployment", namespace), is_dry_run=False)

    answer = await look_until(cluster, namespace, is_seen("Deployment web is failing", "exceeded quota: small"))

    (seen,) = answer.workloads
    assert (seen.desired_replicas, seen.ready_replicas, seen.pods) == (2, 0, ())
    assert seen.is_failing


async def test_a_pod_that_fits_on_no_node_is_told_with_the_scheduler_s_reason(
    cluster: KubernetesCluster, namespace: str
):
    deployment = objects.workload("Deployment", namespace, replicas=1)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"memory": "900Gi"}}
    await cluster.create(deployment, is_dry_run=False)

    answer = await look_until(cluster, namespace, is_seen("Deployment web is failing", "Insufficient memory"))

    (pod,) = answer.workloads[0].pods
    assert (pod.phase, pod.reason, pod.node) == ("Pending", "Unschedulable", None)


async def test_a_node_that_is_not_ready_is_told(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    cluster_server.kubectl("annotate", "node", "node-b", "simulator/not-ready=true")
    try:
        answer = await look_until(cluster, namespace, lambda answer: answer.nodes_not_ready == ("node-b",))
    finally:
        cluster_server.kubectl("annotate", "node", "node-b", "simulator/not-ready-")

    assert text_of(answer, "Nodes not ready") == "node-b"
    await waiting.eventually(lambda: _taints(cluster, "node-b"), lambda taints: not taints)


async def _taints(cluster: KubernetesCluster, node: str) -> list:
    manifest = await cluster.read(Resource("Node", node, None, "v1"))
    assert manifest is not None
    return manifest["spec"].get("taints", [])


async def test_a_healthy_namespace_has_workloads_and_no_failure(cluster: KubernetesCluster, namespace: str):
    await cluster.create(objects.workload("StatefulSet", namespace), is_dry_run=False)
    await waiting.ready_workload(cluster, Resource("StatefulSet", "web", namespace))

    answer = await KubernetesSource(cluster, clock=clock).look(request_about(namespace))

    assert [(one.resource.kind, one.is_failing) for one in answer.workloads] == [("StatefulSet", False)]
    assert text_of(answer, "Workloads of the namespace") == "StatefulSet web: 2/2 ready"
    assert not any("failing" in finding.title or finding.title.startswith("Log of") for finding in answer.findings)


async def test_a_namespace_that_does_not_exist_is_said_to(cluster: KubernetesCluster):
    answer = await KubernetesSource(cluster, clock=clock).look(request_about("no-such-namespace"))

    assert text_of(answer, "No such namespace") == "The cluster has no namespace no-such-namespace."
    assert answer.workloads == ()


async def test_what_a_narrow_identity_may_not_list_becomes_gaps(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str
):
    await cluster.create(objects.workload("Deployment", namespace), is_dry_run=False)
    await waiting.ready_workload(cluster, Resource("Deployment", "web", namespace))
    allowed = ["pods", "deployments", "replicasets"]
    objects.service_account_that_may(cluster_server, namespace, "narrow", verbs=["get", "list"], resources=allowed)

    async with open_cluster(cluster_server.token_kubeconfig(namespace, "narrow"), kubectl=kubectl_path(None)) as narrow:
        answer = await KubernetesSource(narrow, clock=clock).look(request_about(namespace))

    assert [one.resource.name for one in answer.workloads] == ["web"]
    assert answer.cluster_uid is None
    reasons = "\n".join(gap.reason for gap in answer.gaps)
    for resource in ("events", "nodes", "poddisruptionbudgets", "horizontalpodautoscalers", "statefulsets"):
        assert f"resources: [{resource}], verbs: [list]" in reasons


async def test_an_identity_that_may_not_list_pods_is_refused_as_a_whole(cluster_server: ClusterServer, namespace: str):
    objects.service_account_that_may(cluster_server, namespace, "blind", verbs=["list"], resources=["deployments"])

    async with open_cluster(cluster_server.token_kubeconfig(namespace, "blind"), kubectl=kubectl_path(None)) as blind:
        with pytest.raises(NotAllowedError, match=r"resources: \[pods\], verbs: \[list\]"):
            await KubernetesSource(blind, clock=clock).look(request_about(namespace))
