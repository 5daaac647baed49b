"""RB-19 to RB-23, RB-32 and RB-33 on a real API server: Services, and what stands around workloads."""

import json
from typing import Any

import pytest

from core.resources import Resource
from core.undo_rules import meaning
from tests.cluster import objects, waiting
from tests.cluster.rollback import acts
from tests.cluster.story import Story, patch


def service(story: Story, **spec: Any) -> dict[str, Any]:
    manifest = objects.service(story.namespace)
    manifest["spec"] |= spec
    return manifest


async def test_rb_19_a_service_s_selector_and_port_go_back_and_its_address_stays(story: Story):
    target = await story.start(service(story))
    first = await story.live(target)
    change = '{"spec":{"selector":{"app":"other"},"ports":[{"port":81,"targetPort":8080}]}}'
    await acts.act(story, target, line=patch("service", "web", change))

    undone = await acts.step(story)

    live = await story.live(target)
    assert undone.status == "success"
    assert meaning(live) == meaning(first)
    assert live["spec"]["clusterIP"] == first["spec"]["clusterIP"]


async def test_rb_20_a_deleted_service_has_its_address_again(story: Story):
    target = await story.start(service(story))
    first = await story.live(target)
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(target)) == meaning(first)


async def test_rb_20_a_deleted_service_whose_address_was_taken_has_another_and_that_is_reported(story: Story):
    target = await story.start(service(story))
    address = (await story.live(target))["spec"]["clusterIP"]
    await acts.delete(story, target)
    await story.start(service(story, clusterIP=address) | {"metadata": {"name": "x", "namespace": story.namespace}})

    undone = await acts.step(story)

    live = await story.live(target)
    assert undone.status == "success"
    assert f"its address {address} was taken, it has another now" in undone.sentence
    assert live["spec"]["clusterIP"] not in {address, "", "None"}
    assert live["spec"]["selector"] == {"app": "web"}


async def test_rb_21_a_headless_service_stays_headless(story: Story):
    target = await story.start(service(story, clusterIP="None"))
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert (await story.live(target))["spec"]["clusterIP"] == "None"


def node_port(story: Story, port: int | None = None) -> dict[str, Any]:
    one: dict[str, Any] = {"port": 80, "targetPort": 8080}
    return service(story, type="NodePort", ports=[one | ({"nodePort": port} if port else {})])


async def test_rb_22_a_node_port_that_a_person_chose_is_kept(story: Story):
    target = await story.start(node_port(story, 30777))
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert (await story.live(target))["spec"]["ports"][0]["nodePort"] == 30777


async def test_rb_22_a_node_port_that_a_person_chose_and_that_is_taken_is_not_given_up_silently(story: Story):
    target = await story.start(node_port(story, 30778))
    await acts.delete(story, target)
    thief = await story.start(node_port(story, 30778) | {"metadata": {"name": "x", "namespace": story.namespace}})

    undone = await acts.step(story)

    assert undone.status == "failed"
    assert "port is already allocated" in undone.sentence
    story.somebody("delete", "service", thief.name)
    assert (await acts.step(story)).status == "success"


async def test_rb_22_an_assigned_node_port_that_is_taken_becomes_another_and_that_is_reported(story: Story):
    target = await story.start(node_port(story))
    first = (await story.live(target))["spec"]
    port = first["ports"][0]["nodePort"]
    await acts.delete(story, target)
    await story.start(node_port(story, port) | {"metadata": {"name": "x", "namespace": story.namespace}})

    undone = await acts.step(story)

    assert undone.status == "success"
    live = (await story.live(target))["spec"]
    assert f"its node port {port} was taken, it has another now" in undone.sentence
    assert live["ports"][0]["nodePort"] != port
    assert live["clusterIP"] == first["clusterIP"]


async def test_rb_23_a_load_balancer_is_equal_and_its_address_is_said_not_to_be_restorable(story: Story):
    target = await story.start(service(story, type="LoadBalancer"))
    first = await story.live(target)
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert "Its external address is assigned anew and may be another." in undone.sentence
    assert meaning(await story.live(target)) == meaning(first)


# --- RB-32, RB-33 -------------------------------------------------------------------------------------------------


def around(kind: str, story: Story) -> tuple[dict[str, Any], dict[str, Any]]:
    """A manifest of the kind, and a merge patch of it."""
    metadata = {"name": "it", "namespace": story.namespace}

    def manifest(version: str, spec: dict[str, Any]) -> dict[str, Any]:
        return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}

    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    match kind:
        case "Ingress":
            made = manifest("networking.k8s.io/v1", {"rules": [{"host": "shop.example", "http": {"paths": [path]}}]})
            return made, {"spec": {"rules": [{"host": "other.example", "http": {"paths": [path]}}]}}
        case "NetworkPolicy":
            spec = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}
            return manifest("networking.k8s.io/v1", spec), {"spec": {"podSelector": {"matchLabels": {"app": "x"}}}}
        case "PodDisruptionBudget":
            return objects.disruption_budget(story.namespace, "it", min_available=2), {"spec": {"minAvailable": 1}}
        case "ResourceQuota":
            return manifest("v1", {"hard": {"pods": "9"}}), {"spec": {"hard": {"pods": "0", "services": "1"}}}
        case _:
            limit = {"type": "Container", "default": {"memory": "64Mi"}}
            return manifest("v1", {"limits": [limit]}), {"spec": {"limits": [limit | {"default": {"memory": "1Mi"}}]}}


KINDS = ["Ingress", "NetworkPolicy", "PodDisruptionBudget", "ResourceQuota", "LimitRange"]


@pytest.mark.parametrize("kind", KINDS)
async def test_rb_32_what_was_patched_around_a_workload_is_equal(kind: str, story: Story):
    made, change = around(kind, story)
    target = await story.start(made)
    first = await story.live(target)
    await acts.act(story, target, line=patch(kind.lower(), "it", json.dumps(change)))
    assert meaning(await story.live(target)) != meaning(first)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(target)) == meaning(first)


@pytest.mark.parametrize("kind", KINDS)
async def test_rb_32_what_was_deleted_around_a_workload_is_equal(kind: str, story: Story):
    target = await story.start(around(kind, story)[0])
    first = await story.live(target)
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(target)) == meaning(first)


@pytest.mark.parametrize("is_deleted", [False, True], ids=["patched", "deleted"])
async def test_rb_33_an_autoscaler_s_limits_are_equal_and_the_replicas_stay_its_own(is_deleted: bool, story: Story):
    web = Resource("Deployment", "web", story.namespace, "apps/v1")
    await story.start(objects.workload("Deployment", story.namespace))
    target = await story.start(objects.autoscaler(story.namespace, lowest=1, highest=4))
    first = await story.live(target)
    if is_deleted:
        await acts.delete(story, target)
    else:
        await acts.act(story, target, line=patch("hpa", "web", '{"spec":{"minReplicas":3,"maxReplicas":6}}'))
        await waiting.eventually(lambda: story.live(web), lambda live: live["spec"]["replicas"] == 3)
    replicas = (await story.live(web))["spec"]["replicas"]

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(target)) == meaning(first)
    assert (await story.live(web))["spec"]["replicas"] == replicas
