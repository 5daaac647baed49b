"""RB-11 to RB-18 on a real API server: StatefulSets, DaemonSets, Pods, Jobs and CronJobs."""

import asyncio
from datetime import UTC, datetime

import pytest

from core import losses
from core.resources import Resource
from core.undo_rules import meaning
from tests.cluster import objects, waiting
from tests.cluster.rollback import acts, volumes
from tests.cluster.story import Story


async def database(story: Story, *, replicas: int = 2, retention: str = "Retain") -> Resource:
    """A StatefulSet whose pods have a volume each, ready."""
    await volumes.make_volumes(story, replicas)
    manifest = objects.workload("StatefulSet", story.namespace, "db", replicas=replicas)
    claim = {"metadata": {"name": "data"}, "spec": volumes.claim_spec(story)}
    manifest["spec"]["volumeClaimTemplates"] = [claim]
    manifest["spec"]["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": retention, "whenScaled": "Retain"}
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    target = await story.start(manifest)
    await waiting.ready_workload(story.cluster, target, replicas=replicas)
    return target


async def test_rb_11_a_stateful_set_that_was_deleted_has_its_pods_on_the_same_volumes_again(story: Story):
    target = await database(story)
    first, held = await story.live(target), await volumes.volumes_of(story)
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(target)) == meaning(first)
    again = await waiting.ready_workload(story.cluster, target)
    assert [pod.resource.name for pod in again.pods] == ["db-0", "db-1"]
    assert set(held) == {"data-db-0", "data-db-1"}
    assert await volumes.volumes_of(story) == held


async def test_rb_11_deleting_a_stateful_set_that_takes_its_volumes_along_is_refused_before(story: Story):
    target = await database(story, replicas=1, retention="Delete")

    (worst,) = [loss for loss in losses.of_deletion(await story.live(target)) if loss.is_refused]

    assert worst.sentence == "Deleting StatefulSet db deletes its volumes with their data (whenDeleted: Delete)"


async def test_rb_12_a_stateful_set_scaled_from_three_to_one_has_three_pods_on_the_same_claims(story: Story):
    target = await database(story, replicas=3)
    held = await volumes.volumes_of(story)
    await acts.act(story, target, line=("scale", "statefulset/db", "--replicas=1"))
    await waiting.ready_workload(story.cluster, target, replicas=1)

    undone = await acts.step(story)

    assert undone.status == "success"
    await waiting.ready_workload(story.cluster, target, replicas=3)
    assert await volumes.volumes_of(story) == held


async def test_rb_13_a_daemon_set_s_image_goes_back_on_every_node(story: Story):
    target = await story.start(objects.workload("DaemonSet", story.namespace))
    await waiting.ready_workload(story.cluster, target)
    first = await story.live(target)
    await acts.act(story, target, line=("set", "image", "daemonset/web", f"web={objects.NEXT_IMAGE}"))
    await waiting.workload_when(story.cluster, target, lambda one: one.image_history == (objects.GOOD_IMAGE,))

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(target)) == meaning(first)
    again = await waiting.ready_workload(story.cluster, target)
    assert {pod.node for pod in again.pods} == {"node-a", "node-b"}


async def test_rb_13_a_daemon_set_that_was_deleted_runs_on_every_node_and_lost_its_history(story: Story):
    target = await story.start(objects.workload("DaemonSet", story.namespace))
    await waiting.ready_workload(story.cluster, target)
    first = await story.live(target)
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert "Its earlier revisions are lost." in undone.sentence
    assert meaning(await story.live(target)) == meaning(first)
    again = await waiting.ready_workload(story.cluster, target)
    assert {pod.node for pod in again.pods} == {"node-a", "node-b"}


async def test_rb_14_a_controlled_pod_is_not_made_again_by_us_and_its_replacement_is_verified(story: Story):
    deployment = await story.start(objects.workload("Deployment", story.namespace))
    pod = (await waiting.ready_workload(story.cluster, deployment)).pods[0].resource
    await acts.act(story, pod, line=("delete", "pod", pod.name))

    undone = await acts.step(story)

    assert undone.status == "skipped"
    assert undone.sentence.endswith("2 of 2 ready.")
    assert await story.cluster.read(pod) is None
    assert len(await story.cluster.listed("Pod", story.namespace)) == 2


async def test_rb_15_a_bare_pod_is_made_again_without_its_node_and_token_and_its_loss_is_said(story: Story):
    target = await story.start(objects.pod(story.namespace))
    await waiting.workload_when(story.cluster, target, lambda one: one.ready_replicas == 1)
    first = await story.live(target)
    created: list[dict] = []
    create = story.cluster.create

    async def noted(manifest, *, is_dry_run: bool):
        created.append(dict(manifest))
        return await create(manifest, is_dry_run=is_dry_run)

    story.cluster.create = noted
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert "What it held in memory is lost." in undone.sentence
    (sent,) = created
    assert "nodeName" not in sent["spec"]
    assert not any(one["name"].startswith("kube-api-access-") for one in sent["spec"]["volumes"])
    live = await story.live(target)
    assert live["spec"]["containers"][0]["image"] == first["spec"]["containers"][0]["image"]
    await waiting.workload_when(story.cluster, target, lambda one: one.ready_replicas == 1)


def job(story: Story) -> dict:
    metadata = {"name": "task", "namespace": story.namespace}
    spec = objects.pod_spec("task", objects.GOOD_IMAGE) | {"restartPolicy": "Never"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": spec}}}


async def test_rb_16_a_finished_job_is_made_again_only_with_a_second_approval(story: Story):
    target = await story.start(job(story))
    await waiting.eventually(lambda: story.live(target), lambda one: one["status"].get("succeeded") == 1)
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "conflict"
    assert "It had ended." in undone.sentence
    assert "it would run again, so that is asked separately" in undone.sentence
    assert await story.cluster.read(target) is None

    approved = await story.undo(may_make_again={1})

    assert [one.status for one in approved.steps] == ["success"]
    assert "It runs again from the beginning." in approved.steps[0].sentence
    await waiting.eventually(lambda: story.live(target), lambda one: one["status"].get("succeeded") == 1)


async def test_rb_17_a_job_at_work_is_not_made_again_and_its_partial_work_is_said_to_stay(story: Story):
    manifest = job(story)
    manifest["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "nowhere"}
    target = await story.start(manifest)
    await waiting.eventually(lambda: story.live(target), lambda one: one.get("status", {}).get("active") == 1)
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "conflict"
    assert "It was running, and what it had done so far cannot be undone." in undone.sentence
    assert await story.cluster.read(target) is None


def cron_job(story: Story) -> dict:
    metadata = {"name": "nightly", "namespace": story.namespace}
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": job(story)["spec"]}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


async def test_rb_18_a_suspended_cron_job_goes_on_and_what_it_missed_is_not_run(story: Story):
    target = await story.start(cron_job(story))
    await acts.act(story, target, line=("patch", "cronjob", "nightly", "-p", '{"spec":{"suspend":true}}'))
    an_hour_late = {"status": {"lastScheduleTime": "2020-01-01T00:00:00Z"}}
    path = f"/apis/batch/v1/namespaces/{story.namespace}/cronjobs/nightly/status"
    story.server.request("PATCH", path, an_hour_late, content="application/merge-patch+json")
    before = {one["metadata"]["name"] for one in await story.cluster.listed("Job", story.namespace)}
    resumed_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    undone = await acts.step(story)

    live = await story.live(target)
    assert undone.status == "success"
    assert live["spec"]["suspend"] is False
    assert await jobs_before(story, resumed_at, before) == []


async def jobs_before(story: Story, moment: str, known: set[str]) -> list[str]:
    """Runs for a time that lies before `moment`, once the controller has looked (it does within a second)."""
    await asyncio.sleep(3)
    found = []
    for one in await story.cluster.listed("Job", story.namespace):
        due = one["metadata"].get("annotations", {}).get("batch.kubernetes.io/cronjob-scheduled-timestamp", "")
        if one["metadata"]["name"] not in known and due <= moment:
            found.append(one["metadata"]["name"])
    return found


@pytest.mark.parametrize("is_suspended", [True, False])
async def test_rb_18_a_cron_job_that_was_deleted_is_equal_and_runs_nothing_by_coming_back(
    is_suspended: bool, story: Story
):
    manifest = cron_job(story)
    manifest["spec"] |= {"suspend": is_suspended, "schedule": "0 3 1 1 *"}
    target = await story.start(manifest)
    first = await story.live(target)
    await acts.delete(story, target)

    undone = await acts.step(story)

    live = await story.live(target)
    assert undone.status == "success"
    assert meaning(live) == meaning(first)
    assert live["spec"]["suspend"] is is_suspended
    assert await jobs_before(story, "9", set()) == []
