"""RB-31 and RB-34 to RB-41 on a real API server: namespaces, rights, nodes, kinds and webhooks."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from core.resources import Resource
from core.undo_rules import meaning
from tests.cluster import objects, waiting
from tests.cluster.rollback import acts
from tests.cluster.story import Story, patch, statuses
from tests.servers.kubernetes.server import RefusedError

RBAC = "rbac.authorization.k8s.io/v1"
MAY_READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
MAY_LIST = MAY_READ | {"verbs": ["list"]}
SHUTDOWN = "node.cloudprovider.kubernetes.io/shutdown"
"""A taint that only a node's own controller sets, and that none does here."""


async def test_rb_31_a_deleted_namespace_comes_back_with_all_that_discovery_found_in_its_order(story: Story):
    other = f"{story.namespace}-whole"
    namespace = await story.start({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": other}}
    deployment = objects.workload("Deployment", other)
    deployment["spec"]["template"]["spec"]["serviceAccountName"] = "web"
    role = {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": "r", "namespace": other}, "rules": [MAY_READ]}
    made = [
        await story.cluster.create(one, is_dry_run=False)
        for one in (
            account,
            role,
            objects.config_map(other, colour="red"),
            objects.secret(other, password="hunter2"),
            objects.service(other),
            deployment,
            objects.autoscaler(other, lowest=1, highest=4),
            objects.disruption_budget(other, min_available=1),
        )
    ]
    web = Resource("Deployment", "web", other, "apps/v1")
    await waiting.ready_workload(story.cluster, web)

    taken = await acts.delete(story, Resource("Namespace", other, None, "v1", namespace.uid))
    report = await story.undo()

    assert report.is_success, report.errors
    assert taken[-1].kind == "Namespace"
    assert "What is not in the snapshot did not come back" in report.steps[0].sentence
    for one in made:
        live = await story.live(acts.resource_of(one))
        assert meaning(live) == meaning(one), live
    await waiting.ready_workload(story.cluster, web)
    kinds = [step.sentence.split()[0] for step in report.steps if step.status == "success"]
    assert kinds.index("Namespace") < kinds.index("ServiceAccount") < kinds.index("Secret") < kinds.index("Service")
    assert kinds.index("Service") < kinds.index("Deployment") < kinds.index("HorizontalPodAutoscaler")
    story.somebody("delete", "namespace", other, "--wait=false")


def role(story: Story) -> dict[str, Any]:
    metadata = {"name": "readers", "namespace": story.namespace}
    return {"apiVersion": RBAC, "kind": "Role", "metadata": metadata, "rules": [MAY_READ]}


def binding(story: Story, role_name: str = "readers") -> dict[str, Any]:
    return {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": "readers", "namespace": story.namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role_name},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": story.namespace}],
    }


@pytest.mark.parametrize("is_deleted", [False, True], ids=["patched", "deleted"])
@pytest.mark.parametrize("make", [role, binding])
async def test_rb_34_a_role_and_a_binding_are_equal(make, is_deleted: bool, story: Story):
    target = await story.start(make(story))
    first = await story.live(target)
    if is_deleted:
        await acts.delete(story, target)
    else:
        change = '{"rules":[],"subjects":[]}' if target.kind == "Role" else '{"subjects":[]}'
        line = patch(target.kind.lower(), "readers", change.replace(',"subjects":[]', ""))
        await acts.act(story, target, line=line)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(target)) == meaning(first)


async def test_rb_34_a_binding_to_another_role_goes_back_by_deleting_and_making_it(story: Story):
    target = await story.start(binding(story))
    first = await story.live(target)
    acts.write(story, "new.json", binding(story, "other"))
    await acts.act(story, target, line=("replace", "--force", "-f", "new.json"))

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(target)) == meaning(first)


async def test_rb_35_an_aggregated_cluster_role_s_selection_goes_back_and_its_rules_stay_the_controller_s(
    story: Story,
):
    """The change also writes rules, which the controller replaces at once and again: not ours to compare."""
    name = f"whole-{story.namespace}"
    for part_of, rule in ((name, MAY_READ), (f"other-{name}", MAY_LIST)):
        part = {"metadata": {"name": f"part-of-{part_of}", "labels": {"part-of": part_of}}, "rules": [rule]}
        await story.start({"apiVersion": RBAC, "kind": "ClusterRole"} | part)
    selectors = [{"matchLabels": {"part-of": name}}]
    metadata = {"name": name}
    whole = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": metadata, "rules": None}
    made = await story.start(whole | {"aggregationRule": {"clusterRoleSelectors": selectors}})
    target = Resource("ClusterRole", name, None, RBAC, made.uid)
    await waiting.eventually(lambda: story.live(target), lambda live: live.get("rules") == [MAY_READ])
    other = {"clusterRoleSelectors": [{"matchLabels": {"part-of": f"other-{name}"}}]}
    written = {"aggregationRule": other, "rules": [MAY_READ | {"verbs": ["delete"]}]}
    await acts.act(story, target, line=patch("clusterrole", name, json.dumps(written)))
    await waiting.eventually(lambda: story.live(target), lambda live: live.get("rules") == [MAY_LIST])
    more = {"metadata": {"name": f"more-of-{name}", "labels": {"part-of": f"other-{name}"}}, "rules": [MAY_READ]}
    await story.start({"apiVersion": RBAC, "kind": "ClusterRole"} | more)
    await waiting.eventually(lambda: story.live(target), lambda live: len(live.get("rules") or []) == 2)

    undone = await acts.step(story)

    assert undone.status == "success"
    live = await waiting.eventually(lambda: story.live(target), lambda live: live.get("rules") == [MAY_READ])
    assert live["aggregationRule"] == {"clusterRoleSelectors": selectors}


async def test_rb_35_an_aggregated_cluster_role_is_made_again_without_rules_which_its_controller_writes(story: Story):
    name = f"whole-{story.namespace}"
    rule = {"clusterRoleSelectors": [{"matchLabels": {"part-of": name}}]}
    whole = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": None}
    part = {"metadata": {"name": f"part-of-{name}", "labels": {"part-of": name}}, "rules": [MAY_READ]}
    await story.start({"apiVersion": RBAC, "kind": "ClusterRole"} | part)
    made = await story.start(whole | {"aggregationRule": rule})
    target = Resource("ClusterRole", name, None, RBAC, made.uid)
    await waiting.eventually(lambda: story.live(target), lambda live: live.get("rules") == [MAY_READ])
    await acts.delete(story, target)
    sent: list[Any] = []
    create = story.cluster.create

    async def noted(manifest: Any, *, is_dry_run: bool) -> Any:
        sent.append(manifest["rules"])
        return await create(manifest, is_dry_run=is_dry_run)

    story.cluster.create = noted

    undone = await acts.step(story)

    assert undone.status == "success", undone.sentence
    assert sent == [None]
    live = await waiting.eventually(lambda: story.live(target), lambda live: live.get("rules") == [MAY_READ])
    assert live["aggregationRule"] == rule


async def test_rb_36_a_deleted_service_account_is_equal_and_pods_that_use_it_are_named_for_a_restart(story: Story):
    metadata = {"name": "runner", "namespace": story.namespace}
    target = await story.start({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    pod = objects.pod(story.namespace)
    pod["spec"]["serviceAccountName"] = "runner"
    await story.start(pod)
    first = await story.live(target)
    await acts.delete(story, target)

    undone = await acts.step(story)

    live = await story.live(target)
    assert undone.status == "success"
    assert undone.sentence.endswith("Restart the pods that run as it, their tokens are of the old one: web.")
    assert meaning(live) == meaning(first)
    assert live["metadata"]["uid"] != target.uid


# --- nodes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def node(story: Story) -> Iterator[Resource]:
    """node-b, schedulable and without a mark again afterwards."""
    yield Resource("Node", "node-b", None, "v1")
    story.server.kubectl("uncordon", "node-b")
    story.server.kubectl("label", "node", "node-b", "disk-", "theirs-")
    for key in ("full-", f"{SHUTDOWN}-"):
        with suppress(RefusedError):
            story.server.kubectl("taint", "node", "node-b", key)


async def test_rb_37_a_cordoned_node_is_schedulable_again_and_only_that_is_touched(node: Resource, story: Story):
    first = await story.live(node)
    await acts.act(story, node, line=("cordon", "node-b"))
    story.server.kubectl("label", "node", "node-b", "theirs=1")
    await waiting.eventually(lambda: story.live(node), lambda live: bool(live["spec"].get("taints")))

    undone = await acts.step(story)

    assert undone.status == "success", undone.sentence
    live = await waiting.eventually(lambda: story.live(node), lambda live: not live["spec"].get("taints"))
    assert not live["spec"].get("unschedulable")
    assert live["metadata"]["labels"] == first["metadata"]["labels"] | {"theirs": "1"}


async def test_rb_38_a_drained_node_is_schedulable_again_and_its_pods_are_said_not_to_move_back(
    node: Resource, story: Story
):
    web = await story.start(objects.workload("Deployment", story.namespace, replicas=4))
    await waiting.ready_workload(story.cluster, web, replicas=4)
    await acts.act(story, node, line=("drain", "node-b", "--ignore-daemonsets", "--delete-emptydir-data", "--force"))
    moved = await waiting.ready_workload(story.cluster, web, replicas=4)
    assert {pod.node for pod in moved.pods} == {"node-a"}

    undone = await acts.step(story)

    assert undone.status == "success", undone.sentence
    assert "Pods that were moved away are not moved back." in undone.sentence
    assert not (await story.live(node))["spec"].get("unschedulable")
    assert {pod.node for pod in (await waiting.ready_workload(story.cluster, web, replicas=4)).pods} == {"node-a"}


async def test_rb_39_only_the_touched_label_and_taint_of_a_node_go_back(node: Resource, story: Story):
    first = await story.live(node)
    await acts.act(story, node, line=("label", "node", "node-b", "disk=slow"))
    await acts.act(story, node, line=("taint", "node", "node-b", "full=yes:NoSchedule"))
    story.server.kubectl("cordon", "node-b")  # the node's controller adds a taint of its own
    await waiting.eventually(lambda: story.live(node), lambda live: len(live["spec"].get("taints", [])) == 2)

    report = await story.undo()

    live = await story.live(node)
    assert statuses(report) == ["success", "success"], [one.sentence for one in report.steps]
    assert live["metadata"]["labels"] == first["metadata"]["labels"]
    assert [taint["key"] for taint in live["spec"]["taints"]] == ["node.kubernetes.io/unschedulable"]
    assert live["spec"]["unschedulable"] is True
    assert live["status"]["conditions"]


async def test_rb_39_a_taint_of_the_node_s_own_controllers_is_not_put_back(node: Resource, story: Story):
    story.server.kubectl("taint", "node", "node-b", f"{SHUTDOWN}=:NoSchedule")
    await acts.act(story, node, line=("taint", "node", "node-b", "full=yes:NoSchedule", f"{SHUTDOWN}-"))

    undone = await acts.step(story)

    assert undone.status == "success", undone.sentence
    assert not (await story.live(node))["spec"].get("taints")


# --- kinds and webhooks --------------------------------------------------------------------------------------------


def definition(group: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"lamps.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Lamp", "plural": "lamps", "singular": "lamp"},
            "versions": [version | {"subresources": {"status": {}}}],
        },
    }


async def test_rb_40_a_deleted_kind_is_established_before_its_objects_come_back_and_lost_status_is_said(story: Story):
    group = f"{story.namespace}.example"
    made = await story.start(definition(group))
    kind = Resource("CustomResourceDefinition", f"lamps.{group}", None, made.api_version, made.uid)
    lamps = []
    for name in ("a", "b"):
        metadata = {"name": name, "namespace": story.namespace}
        lamp = {"apiVersion": f"{group}/v1", "kind": "Lamp", "metadata": metadata, "spec": {"watts": 5}}
        await waiting.eventually(lambda: served(story, group), bool)
        lamps.append(await story.start(lamp))
    path = f"/apis/{group}/v1/namespaces/{story.namespace}/lamps/a/status"
    lit = {"status": {"is": "lit"}}
    story.server.request("PATCH", path, lit, content="application/merge-patch+json")

    await acts.delete(story, kind)
    seen = slowly_established(story)
    report = await story.undo()

    assert report.is_success, report.errors
    assert seen == ["made CustomResourceDefinition", "not yet", "not yet", "established", "made Lamp", "made Lamp"]
    assert [step.sentence.split()[0] for step in report.steps] == ["CustomResourceDefinition", "Lamp", "Lamp"]
    assert "The status of its objects is lost." in report.steps[0].sentence
    assert any("Its status is lost" in step.sentence for step in report.steps[1:])
    for lamp in lamps:
        assert (await story.live(lamp))["spec"] == {"watts": 5}


def slowly_established(story: Story) -> list[str]:
    """The kind seems to be established only at the third look; returns what happens, in order."""
    happened: list[str] = []
    read, create = story.cluster.read, story.cluster.create

    async def late(resource: Resource) -> Any:
        live = await read(resource)
        if resource.kind != "CustomResourceDefinition" or live is None or not happened or "established" in happened:
            return live
        is_late = happened.count("not yet") < 2
        happened.append("not yet" if is_late else "established")
        return {**live, "status": {**live["status"], "conditions": []}} if is_late else live

    async def noted(manifest: Any, *, is_dry_run: bool) -> Any:
        made = await create(manifest, is_dry_run=is_dry_run)
        happened.append(f"made {manifest['kind']}")
        return made

    story.cluster.read, story.cluster.create = late, noted
    return happened


async def served(story: Story, group: str) -> bool:
    try:
        story.server.request("GET", f"/apis/{group}/v1/lamps")
    except RefusedError:
        return False
    return True


async def test_rb_41_a_webhook_s_failure_policy_goes_back_and_its_bundle_stays_as_it_is_live(story: Story):
    name = f"check-{story.namespace}"
    nothing = [{"apiGroups": ["nowhere.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["x"]}]
    webhook = {
        "name": "check.nowhere.example",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": nothing,
    }
    kind = "ValidatingWebhookConfiguration"
    version = "admissionregistration.k8s.io/v1"
    made = await story.start({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "webhooks": [webhook]})
    target = Resource(kind, name, None, version, made.uid)
    change = '[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]'
    await acts.act(story, target, line=("patch", kind, name, "--type=json", "-p", change))
    certificate = (story.server.folder / "ca.crt").read_bytes()
    story.server.kubectl("patch", kind, name, "--type=json", "-p", acts.bundle_patch(certificate))
    injected = (await story.live(target))["webhooks"][0]["clientConfig"]["caBundle"]

    undone = await acts.step(story)

    (live,) = (await story.live(target))["webhooks"]
    assert undone.status == "success", undone.sentence
    assert live["failurePolicy"] == "Fail"
    assert live["clientConfig"]["caBundle"] == injected
    story.server.kubectl("delete", kind, name)
