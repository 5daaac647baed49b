"""RB-01 to RB-10 on a real API server: Deployments."""

import json

import pytest

from core.resources import Resource
from core.undo_rules import meaning
from tests.cluster import objects, waiting
from tests.cluster.rollback import acts
from tests.cluster.story import Story, patch, statuses

REVISION = "deployment.kubernetes.io/revision"


@pytest.fixture
async def web(story: Story) -> Resource:
    """A Deployment of two pods with a probe, ready."""
    manifest = objects.workload("Deployment", story.namespace)
    probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 5}
    manifest["spec"]["template"]["spec"]["containers"][0] |= {
        "ports": [{"containerPort": 8080}],
        "readinessProbe": probe,
    }
    target = await story.start(manifest)
    await waiting.ready_workload(story.cluster, target)
    return target


async def pod_uids(story: Story) -> set[str]:
    pods = await story.cluster.listed("Pod", story.namespace)
    return {pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


async def pod_hashes(story: Story) -> set[str]:
    pods = await story.cluster.listed("Pod", story.namespace)
    return {
        pod["metadata"]["labels"]["pod-template-hash"] for pod in pods if "deletionTimestamp" not in pod["metadata"]
    }


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (
            ("set", "image", "deployment/web", f"web={objects.NEXT_IMAGE}"),
            f"image {objects.NEXT_IMAGE} → {objects.GOOD_IMAGE}",
        ),
        (("set", "env", "deployment/web", "LEVEL=debug"), "env LEVEL debug → (none)"),
        (
            ("set", "resources", "deployment/web", "--limits=memory=64Mi"),
            'resources.limits {"memory": "64Mi"} → (none)',
        ),
    ],
    ids=["image", "env", "resources"],
)
async def test_rb_01_what_was_set_goes_back_and_the_old_replica_set_carries_the_pods(
    line: tuple[str, ...], values: str, web: Resource, story: Story
):
    first, hashes = await story.live(web), await pod_hashes(story)
    await acts.act(story, web, line=line)
    changed = await waiting.workload_when(story.cluster, web, lambda one: len(one.pods) == 2 and not one.is_failing)
    assert changed is not None
    preview = (await story.undo(is_dry_run=True)).steps[0]

    undone = await acts.step(story)

    live = await story.live(web)
    assert undone.status == "success"
    assert preview.sentence == f"{web} would be put back as it was: {values}."
    assert undone.values == values
    assert meaning(live) == meaning(first)
    await waiting.ready_workload(story.cluster, web)
    await waiting.eventually(lambda: pod_hashes(story), lambda seen: seen == hashes)
    live = await story.live(web)
    assert int(live["metadata"]["annotations"][REVISION]) > int(first["metadata"]["annotations"][REVISION])


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/os": "linux"}}}}},
        {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": "1"}]}]}}}},
        {"metadata": {"annotations": {"note": "added"}}},
    ],
    ids=["nodeSelector", "env", "annotation"],
)
async def test_rb_02_a_field_that_was_added_is_gone(change: dict, web: Resource, story: Story):
    first = await story.live(web)
    await acts.act(story, web, line=("patch", "deployment", "web", "-p", json.dumps(change)))

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(web)) == meaning(first)


async def test_rb_03_a_probe_that_was_removed_is_back_and_other_fields_stay_as_they_are_live(
    web: Resource, story: Story
):
    first = await story.live(web)
    away = '[{"op":"remove","path":"/spec/template/spec/containers/0/readinessProbe"}]'
    await acts.act(story, web, line=("patch", "deployment", "web", "--type=json", "-p", away))
    story.somebody("set", "env", "deployment/web", "THEIRS=1")
    story.somebody("scale", "deployment/web", "--replicas=3")

    undone = await acts.step(story)

    live = await story.live(web)
    (container,) = live["spec"]["template"]["spec"]["containers"]
    (before,) = first["spec"]["template"]["spec"]["containers"]
    assert undone.status == "success"
    assert container["readinessProbe"] == before["readinessProbe"]
    assert container["env"] == [{"name": "THEIRS", "value": "1"}]
    assert live["spec"]["replicas"] == 3


async def test_rb_04_a_scale_from_three_to_none_goes_back_to_three_that_are_ready(story: Story):
    target = await story.start(objects.workload("Deployment", story.namespace, replicas=3))
    await waiting.ready_workload(story.cluster, target, replicas=3)
    await acts.act(story, target, line=("scale", "deployment/web", "--replicas=0"))
    await waiting.workload_when(story.cluster, target, lambda one: not one.pods)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert undone.sentence.endswith("3 of 3 ready.")
    await waiting.ready_workload(story.cluster, target, replicas=3)


async def test_rb_05_replicas_that_an_autoscaler_moved_are_a_conflict_and_stay_its_own(story: Story):
    target = await story.start(objects.workload("Deployment", story.namespace))
    await story.start(objects.autoscaler(story.namespace, lowest=1, highest=3))
    await acts.act(story, target, line=("scale", "deployment/web", "--replicas=5"))
    await waiting.eventually(lambda: story.live(target), lambda live: live["spec"]["replicas"] == 3)
    theirs = meaning(await story.live(target))

    undone = await acts.step(story)

    assert undone.status == "conflict"
    assert "spec.replicas (ours 5, now 3)" in undone.sentence
    assert "autoscaler keeps it between 1 and 3 replicas; that is left to it" in undone.sentence
    assert meaning(await story.live(target)) == theirs


async def test_rb_05_replicas_inside_the_autoscaler_s_range_are_left_to_it(story: Story):
    target = await story.start(objects.workload("Deployment", story.namespace))
    await story.start(objects.autoscaler(story.namespace, lowest=1, highest=5))
    await acts.act(story, target, line=("scale", "deployment/web", "--replicas=4"))

    undone = await acts.step(story)

    assert undone.status == "skipped"
    assert "left to the autoscaler" in undone.sentence
    assert (await story.live(target))["spec"]["replicas"] == 4


async def test_rb_06_a_restart_is_nothing_to_restore_and_no_second_one_is_made(web: Resource, story: Story):
    await acts.act(story, web, line=("rollout", "restart", "deployment/web"))
    await waiting.ready_workload(story.cluster, web)
    running, restarted = await pod_uids(story), meaning(await story.live(web))

    undone = await acts.step(story)

    assert undone.status == "skipped"
    assert "nothing to put back" in undone.sentence
    assert meaning(await story.live(web)) == restarted
    assert await pod_uids(story) == running


async def test_rb_07_a_rollout_undo_is_undone_to_the_template_before_it_and_replicas_stay(web: Resource, story: Story):
    story.somebody("set", "image", "deployment/web", f"web={objects.NEXT_IMAGE}")
    await waiting.workload_when(story.cluster, web, lambda one: one.image_history == (objects.GOOD_IMAGE,))
    first = await story.live(web)
    await acts.act(story, web, line=("rollout", "undo", "deployment/web"))
    story.somebody("scale", "deployment/web", "--replicas=4")

    undone = await acts.step(story)

    live = await story.live(web)
    assert undone.status == "success"
    assert live["spec"]["template"] == first["spec"]["template"]
    assert live["spec"]["replicas"] == 4


async def test_rb_08_a_paused_rollout_is_not_paused_any_more(web: Resource, story: Story):
    await acts.act(story, web, line=("rollout", "pause", "deployment/web"))
    assert (await story.live(web))["spec"]["paused"] is True

    undone = await acts.step(story)

    assert undone.status == "success"
    assert "paused" not in (await story.live(web))["spec"]


async def test_rb_09_a_deployment_that_was_deleted_is_equal_with_a_new_uid_and_its_revisions_are_said_to_be_lost(
    web: Resource, story: Story
):
    first = await story.live(web)
    await acts.delete(story, web)

    undone = await acts.step(story)

    live = await story.live(web)
    assert undone.status == "success"
    assert "Its earlier revisions are lost" in undone.sentence
    assert meaning(live) == meaning(first)
    assert live["metadata"]["uid"] != web.uid
    assert live["spec"]["selector"] == first["spec"]["selector"]
    await waiting.ready_workload(story.cluster, web)


async def test_rb_10_a_deployment_deleted_from_above_its_pods_takes_them_back_and_none_restarts(
    web: Resource, story: Story
):
    running = await pod_uids(story)
    await acts.delete(story, web, "--cascade=orphan")

    undone = await acts.step(story)

    assert undone.status == "success"
    remade = await waiting.ready_workload(story.cluster, web)
    assert {pod.resource.uid for pod in remade.pods} == running
    sets = await story.cluster.listed("ReplicaSet", story.namespace)
    assert [one["metadata"]["ownerReferences"][0]["uid"] for one in sets] == [remade.resource.uid]


async def test_several_changes_before_a_deletion_are_all_put_back(web: Resource, story: Story):
    first = await story.live(web)
    await story.change(web, *patch("deployment", "web", '{"metadata":{"labels":{"changed":"yes"}}}'))
    await acts.delete(story, web)

    report = await story.undo()

    assert statuses(report) == ["success", "success"], [one.sentence for one in report.steps]
    assert meaning(await story.live(web)) == meaning(first)
