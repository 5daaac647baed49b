"""RollbackManager on a real API server: what a command changed is put back, whatever its kind."""

import pytest

from core.resources import Resource, Workload
from core.undo_rules import meaning
from tests.cluster import objects, waiting
from tests.cluster.story import Story, patch, statuses


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
async def test_an_image_that_was_set_is_put_back_and_the_pods_run_the_old_one_again(kind: str, story: Story):
    target = await story.start(objects.workload(kind, story.namespace))
    before = await waiting.ready_workload(story.cluster, target)
    first = await story.live(target)
    await story.change(target, "set", "image", f"{kind.lower()}/web", f"web={objects.UNPULLABLE_IMAGE}")
    await waiting.workload_when(story.cluster, target, has_a_pod_without_its_image)

    report = await story.undo()

    assert report.is_success, report.errors
    assert meaning(await story.live(target)) == meaning(first)
    assert story.states() == ["restored"]
    after = await waiting.ready_workload(story.cluster, target)
    assert after.images == before.images


async def test_a_stateful_set_is_put_back_and_heals_once_its_stuck_pod_is_deleted_as_the_report_says(story: Story):
    target = await story.start(objects.workload("StatefulSet", story.namespace))
    await waiting.ready_workload(story.cluster, target)
    first = await story.live(target)
    await story.change(target, "set", "image", "statefulset/web", f"web={objects.UNPULLABLE_IMAGE}")
    await waiting.workload_when(story.cluster, target, has_a_pod_without_its_image)

    report = await story.undo()

    assert report.is_success, report.errors
    assert meaning(await story.live(target)) == meaning(first)
    assert "pods that are not ready stay as they are until they are deleted" in report.steps[0].sentence
    await waiting.workload_when(story.cluster, target, has_a_pod_without_its_image)
    story.somebody("delete", "pod", "web-1")
    await waiting.ready_workload(story.cluster, target)


def has_a_pod_without_its_image(workload: Workload) -> bool:
    return any(pod.reason == "ImagePullBackOff" for pod in workload.pods)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_a_scale_is_put_back(kind: str, story: Story):
    target = await story.start(objects.workload(kind, story.namespace))
    await waiting.ready_workload(story.cluster, target)
    await story.change(target, "scale", f"{kind.lower()}/web", "--replicas=4")
    await waiting.ready_workload(story.cluster, target, replicas=4)

    report = await story.undo()

    assert report.is_success, report.errors
    await waiting.ready_workload(story.cluster, target, replicas=2)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_an_undo_is_put_back_to_the_image_it_left(kind: str, story: Story):
    target = await story.start(objects.workload(kind, story.namespace))
    await waiting.ready_workload(story.cluster, target)
    story.somebody("set", "image", f"{kind.lower()}/web", f"web={objects.NEXT_IMAGE}")
    await waiting.workload_when(
        story.cluster, target, lambda one: one.image_history == (objects.GOOD_IMAGE,) and not one.is_failing
    )
    first = await story.live(target)
    await story.change(target, "rollout", "undo", f"{kind.lower()}/web")
    await waiting.workload_when(story.cluster, target, lambda one: one.images == (("web", objects.GOOD_IMAGE),))

    report = await story.undo()

    assert report.is_success, report.errors
    assert meaning(await story.live(target)) == meaning(first)
    after = await waiting.ready_workload(story.cluster, target)
    assert after.images == (("web", objects.NEXT_IMAGE),)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_restart_has_nothing_to_put_back(kind: str, story: Story):
    target = await story.start(objects.workload(kind, story.namespace))
    await story.change(target, "rollout", "restart", f"{kind.lower()}/web")
    restarted = await story.live(target)

    report = await story.undo()

    assert statuses(report) == ["skipped"]
    assert meaning(await story.live(target)) == meaning(restarted)


async def test_a_config_map_is_put_back_key_by_key(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red", size="10"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue","size":null,"new":"yes"}}'))

    report = await story.undo()

    assert report.is_success, report.errors
    assert (await story.live(target))["data"] == {"colour": "red", "size": "10"}


async def test_a_secret_is_put_back_and_its_values_are_in_no_sentence(story: Story):
    target = await story.start(objects.secret(story.namespace, password="hunter2"))
    first = await story.live(target)
    await story.change(target, *patch("secret", "keys", '{"stringData":{"password":"changed"}}'))

    report = await story.undo()

    assert report.is_success, report.errors
    assert (await story.live(target))["data"] == first["data"]
    assert not any(word in step.sentence for step in report.steps for word in ("hunter2", "aHVudGVyMg", "changed"))


async def test_a_service_is_put_back_and_keeps_its_address(story: Story):
    target = await story.start(objects.service(story.namespace, port=80))
    first = await story.live(target)
    await story.change(
        target,
        *patch("service", "web", '{"spec":{"selector":{"app":"other"},"ports":[{"port":81,"targetPort":8080}]}}'),
    )

    report = await story.undo()

    assert report.is_success, report.errors
    assert meaning(await story.live(target)) == meaning(first)


async def test_a_service_that_was_deleted_is_made_again(story: Story):
    target = await story.start(objects.service(story.namespace))
    await story.change(target, "delete", "service", "web")

    report = await story.undo()

    assert report.is_success, report.errors
    live = await story.live(target)
    assert live["spec"]["ports"][0]["port"] == 80
    assert live["metadata"]["uid"] != target.uid


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_controller_that_was_deleted_is_made_again_and_its_pods_run(kind: str, story: Story):
    target = await story.start(objects.workload(kind, story.namespace))
    await waiting.ready_workload(story.cluster, target)
    await story.change(target, "delete", kind.lower(), "web")

    report = await story.undo()

    assert report.is_success, report.errors
    after = await waiting.ready_workload(story.cluster, target)
    assert after.resource.uid != target.uid


async def test_a_bare_pod_that_was_deleted_is_made_again_and_runs(story: Story):
    target = await story.start(objects.pod(story.namespace))
    await waiting.workload_when(story.cluster, target, lambda one: one.ready_replicas == 1)
    await story.change(target, "delete", "pod", "web")

    report = await story.undo()

    assert report.is_success, report.errors
    assert "What it held in memory is lost." in report.steps[0].sentence
    await waiting.workload_when(story.cluster, target, lambda one: one.ready_replicas == 1)


async def test_a_deleted_pod_of_a_controller_is_the_controller_s_to_replace(story: Story):
    deployment = await story.start(objects.workload("Deployment", story.namespace))
    pod = (await waiting.ready_workload(story.cluster, deployment)).pods[0].resource
    await story.change(pod, "delete", "pod", pod.name)

    report = await story.undo()

    assert statuses(report) == ["skipped"]
    assert await story.cluster.read(pod) is None
    await waiting.ready_workload(story.cluster, deployment)


async def test_an_object_that_the_change_made_is_removed(story: Story):
    target = Resource("ConfigMap", "settings", story.namespace, "v1")
    await story.change(target, "create", "configmap", "settings", "--from-literal=colour=red")

    report = await story.undo()

    assert report.is_success, report.errors
    assert await story.cluster.read(target) is None


# --- order, dry run, twice ----------------------------------------------------------------------------------------


async def test_changes_of_one_object_are_put_back_last_first(story: Story):
    target = await story.start(objects.workload("Deployment", story.namespace))
    await waiting.ready_workload(story.cluster, target)
    first = await story.live(target)
    await story.change(target, "set", "image", "deployment/web", f"web={objects.NEXT_IMAGE}")
    await story.change(target, "scale", "deployment/web", "--replicas=3")
    await story.change(target, "set", "image", "deployment/web", f"web={objects.UNPULLABLE_IMAGE}")

    report = await story.undo()

    assert [(step.seq, step.status) for step in report.steps] == [(3, "success"), (2, "success"), (1, "success")]
    assert meaning(await story.live(target)) == meaning(first)
    await waiting.ready_workload(story.cluster, target)


async def test_a_preview_says_what_would_be_done_and_does_nothing(story: Story):
    target = await story.start(objects.workload("Deployment", story.namespace))
    await story.change(target, "set", "image", "deployment/web", f"web={objects.NEXT_IMAGE}")
    changed = meaning(await story.live(target))

    report = await story.undo(is_dry_run=True)

    assert report.is_success
    assert "would be put back" in report.steps[0].sentence
    assert meaning(await story.live(target)) == changed
    assert story.states() == ["done"]


async def test_asking_twice_puts_back_once(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue"}}'))
    await story.undo()
    restored = await story.live(target)

    report = await story.undo()

    assert statuses(report) == ["skipped"]
    assert await story.live(target) == restored
