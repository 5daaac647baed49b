"""Which objects a line means, on a real API server: names with uid, however the line names them."""

import pytest

from core import lines
from core.cluster.client import KubernetesCluster
from core.commands.gate import judge
from core.errors import InvalidInputError, NotFoundError
from tests.cluster import objects
from tests.servers.kubernetes.server import ClusterServer

WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.targets.example.com"},
    "spec": {
        "group": "targets.example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}


def labelled(manifest, **labels):
    return manifest | {"metadata": manifest["metadata"] | {"labels": labels}}


@pytest.fixture
async def made(cluster: KubernetesCluster, namespace: str) -> dict[str, str]:
    """uid by kind and name: three ConfigMaps, two of them labelled, and a Deployment."""
    found = {}
    for manifest in (
        labelled(objects.config_map(namespace, "one"), app="web"),
        labelled(objects.config_map(namespace, "two"), app="web"),
        objects.config_map(namespace, "three"),
        objects.workload("Deployment", namespace, replicas=2),
    ):
        stored = await cluster.create(manifest, is_dry_run=False)
        found[f"{stored['kind']}/{stored['metadata']['name']}"] = stored["metadata"]["uid"]
    return found


async def resolved(cluster, namespace, line, files=None):
    found = await cluster.resolve(judge(line, namespace, files=(files or {}).get))
    return {f"{one.kind}/{one.name}": one.uid for one in found}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("kubectl delete cm one", ["one"]),
        ("kubectl delete cm/one configmap/two", ["one", "two"]),
        ("kubectl annotate cm one three a=b", ["one", "three"]),
        ("kubectl annotate cm -l app=web a=b", ["one", "two"]),
        ("kubectl annotate cm -l 'app in (web)' a=b", ["one", "two"]),
        ("kubectl annotate cm --field-selector metadata.name=two a=b", ["two"]),
    ],
)
async def test_names_lists_and_selectors_are_resolved_to_uids(cluster, namespace, made, line, names):
    expected = {f"ConfigMap/{name}": made[f"ConfigMap/{name}"] for name in names}
    assert await resolved(cluster, namespace, line) == expected


async def test_a_whole_kind_is_every_object_of_it_in_the_namespace(cluster, namespace, made):
    assert await resolved(cluster, namespace, "kubectl rollout restart deploy") == {
        "Deployment/web": made["Deployment/web"]
    }
    all_of_them = await resolved(cluster, namespace, "kubectl delete cm --all")
    assert {"ConfigMap/one", "ConfigMap/two", "ConfigMap/three"} <= all_of_them.keys()


async def test_every_namespace_is_looked_at_where_the_line_says_so(cluster, namespace, made):
    found = await cluster.resolve(judge("kubectl label cm -A -l app=web a=b", namespace))

    assert {one.uid for one in found} >= {made["ConfigMap/one"], made["ConfigMap/two"]}
    assert all(one.namespace for one in found)


async def test_files_are_read_as_they_were_judged_and_what_they_make_has_no_uid(cluster, namespace, made):
    text = (
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n---\n"
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: four}\n"
    )

    assert await resolved(cluster, namespace, "kubectl apply -f a.yaml", {"a.yaml": text}) == {
        "ConfigMap/one": made["ConfigMap/one"],
        "ConfigMap/four": None,
    }
    with pytest.raises(NotFoundError, match="four does not exist"):
        await resolved(cluster, namespace, "kubectl delete -f a.yaml", {"a.yaml": text})


async def test_a_kind_that_the_gate_does_not_know_is_found_by_the_api_servers_word(
    cluster, cluster_server: ClusterServer, namespace
):
    cluster_server.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS)
    path = f"/apis/targets.example.com/v1/namespaces/{namespace}/widgets"
    body = {"apiVersion": "targets.example.com/v1", "kind": "Widget", "metadata": {"name": "one"}}
    for _ in range(100):
        try:
            made = cluster_server.request("POST", path, body)
            break
        except Exception:
            continue
    try:
        for word in ("widgets.targets.example.com", "widget", "widgets"):
            found = await resolved(cluster, namespace, f"kubectl delete {word} one")
            assert found == {"Widget/one": made["metadata"]["uid"]}
    finally:
        name = WIDGETS["metadata"]["name"]
        cluster_server.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kubectl delete cm nine", "ConfigMap .*/nine does not exist"),
        ("kubectl delete cm -l app=none", "No object matches"),
        ("kubectl delete gadgets one", "serves no kind 'gadgets'"),
        ("kubectl delete all --all", "'all' stands for ten kinds"),
        ("kubectl exec deploy/web -- ls", "name one pod"),
        ("helm uninstall web", "There is no helm release .*/web"),
        ("helm upgrade web chart", "cannot be bound to an approval"),
        ("argocd app sync web", "cannot be told beforehand"),
    ],
)
async def test_what_cannot_be_resolved_says_why(cluster, namespace, line, words):
    judged = judge(line, namespace, programs=frozenset({"kubectl", "helm", "argocd"}))
    with pytest.raises((InvalidInputError, NotFoundError), match=words):
        await cluster.resolve(judged)


async def test_a_line_is_bound_to_the_values_that_the_api_server_shows(cluster, namespace, made, tmp_path):
    judged = judge("kubectl scale deploy/web --replicas=3", namespace)
    line = await lines.permitted_line(judged, cluster)

    assert [(one.path, one.value) for one in line.preconditions] == [(("spec", "replicas"), "2")]
    assert await lines.changes_since(line, judged, cluster) == []
    scaled = (("kubectl", "scale", "deploy/web", "--replicas=1"),)
    await cluster.run(scaled, folder=tmp_path, seconds=60, namespace=namespace)
    assert await lines.changes_since(line, judged, cluster) == [
        f"spec.replicas of Deployment {namespace}/web was 2 and is 1 now."
    ]


async def test_a_drain_means_the_node_and_what_it_evicts(cluster, cluster_server: ClusterServer, namespace):
    nodes = cluster_server.request("GET", "/api/v1/nodes")["items"]
    name = nodes[0]["metadata"]["name"]

    found = await resolved(cluster, namespace, f"kubectl drain {name} --ignore-daemonsets")

    assert found[f"Node/{name}"] == nodes[0]["metadata"]["uid"]
    assert all(key.startswith(("Node/", "Pod/")) for key in found)
