"""RB-24 to RB-30 on a real API server: ConfigMaps, Secrets and the claims that hold data."""

import base64
import json

import pytest

from core import losses
from core.resources import Resource
from core.undo_rules import meaning
from storage.sealing import Sealer
from tests.cluster import objects, waiting
from tests.cluster.rollback import acts, volumes
from tests.cluster.story import Story, patch


async def test_rb_24_only_the_patched_key_goes_back_and_a_key_that_a_person_added_stays(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red", size="10"))
    await acts.act(story, target, line=patch("configmap", "settings", '{"data":{"colour":"blue"}}'))
    story.somebody(*patch("configmap", "settings", '{"data":{"theirs":"yes","size":"11"}}'))

    undone = await acts.step(story)

    assert undone.status == "success"
    assert (await story.live(target))["data"] == {"colour": "red", "size": "11", "theirs": "yes"}


async def replaced(story: Story, target: Resource, manifest: dict) -> None:
    """One action that deletes and makes anew, as `kubectl replace --force` does."""
    file = story.folder / "new.json"
    file.write_text(json.dumps(manifest))
    await acts.act(story, target, line=("replace", "--force", "-f", "new.json"))


async def test_rb_25_an_immutable_config_map_made_anew_is_equal_by_deleting_and_making_it(story: Story):
    given = objects.config_map(story.namespace, colour="red") | {"immutable": True}
    target = await story.start(given)
    first = await story.live(target)
    await replaced(story, target, given | {"data": {"colour": "blue"}})

    undone = await acts.step(story)

    assert undone.status == "success"
    assert meaning(await story.live(target)) == meaning(first)


@pytest.mark.parametrize("colour", ["green", "blue"], ids=["as they like it", "with the same data"])
async def test_rb_25_an_immutable_config_map_that_somebody_made_anew_since_is_left(colour: str, story: Story):
    given = objects.config_map(story.namespace, colour="red") | {"immutable": True}
    target = await story.start(given)
    await replaced(story, target, given | {"data": {"colour": "blue"}})
    story.somebody("delete", "configmap", "settings")
    theirs = await story.start(given | {"data": {"colour": colour}})

    undone = await acts.step(story)

    assert undone.status == "conflict"
    assert (await story.live(target))["metadata"]["uid"] == theirs.uid


async def test_rb_25_an_immutable_config_map_that_somebody_makes_anew_during_the_undo_is_left(story: Story):
    given = objects.config_map(story.namespace, colour="red") | {"immutable": True}
    target = await story.start(given)
    await replaced(story, target, given | {"data": {"colour": "blue"}})
    made: list[Resource] = []

    async def make_anew() -> None:
        story.somebody("delete", "configmap", "settings")
        made.append(await story.start(given | {"data": {"colour": "green"}}))

    acts.before_deletion(story, make_anew)

    undone = await acts.step(story)

    assert undone.status in {"conflict", "failed"}
    assert (await story.live(target))["metadata"]["uid"] == made[0].uid


@pytest.mark.parametrize("is_deleted", [False, True], ids=["patched", "deleted"])
async def test_rb_26_a_secret_is_equal_to_the_byte_and_its_value_stands_nowhere_else(is_deleted: bool, story: Story):
    """No name tells that `motto` holds a secret: only the kind does."""
    value = "hunter2-ä\x01\n"
    target = await story.start(objects.secret(story.namespace, motto=value))
    first = await story.live(target)
    if is_deleted:
        await acts.delete(story, target)
    else:
        await acts.act(story, target, line=patch("secret", "keys", '{"stringData":{"motto":"overwritten"}}'))

    overwritten = base64.b64encode(b"overwritten").decode()
    preview = (await story.undo(is_dry_run=True)).steps[0]

    undone = await acts.step(story)

    assert undone.status == "success"
    assert (await story.live(target))["data"] == first["data"]
    told = json.dumps([(one.sentence, one.command, one.values) for one in (preview, undone)], ensure_ascii=False)
    assert not any(secret in told for secret in ("hunter2", first["data"]["motto"], "overwritten", overwritten))
    assert (preview.values, undone.values) == ("1 key", "1 key")
    sealed = Sealer(bytes(32)).seal(first, bound_to="r-1")
    assert sealed is not None
    assert not any(word.encode() in sealed for word in ("hunter2", first["data"]["motto"], "motto", "keys"))


async def test_rb_27_deleting_a_claim_whose_volume_goes_with_it_is_refused_before(story: Story):
    await volumes.make_volumes(story, 1, reclaim="Delete")
    target = await volumes.make_claim(story)
    claim = await story.live(target)
    volume = await story.live(Resource("PersistentVolume", claim["spec"]["volumeName"], None, "v1"))

    (worst,) = [
        loss for loss in losses.of_deletion(claim, volumes={volume["metadata"]["name"]: volume}) if loss.is_refused
    ]

    assert "The data of PersistentVolumeClaim data will be lost" in worst.sentence
    assert "reclaim policy Delete" in worst.sentence


async def test_rb_27_after_the_fact_no_empty_claim_is_reported_as_restored(story: Story):
    await volumes.make_volumes(story, 1, reclaim="Delete")
    target = await volumes.make_claim(story)
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "failed"
    assert "its data went with its volume; a new claim would be empty, so none was made" in undone.sentence
    assert await story.cluster.read(target) is None


async def test_rb_28_a_claim_whose_volume_was_retained_is_bound_to_the_same_volume_again(story: Story):
    await volumes.make_volumes(story, 2)
    target = await volumes.make_claim(story)
    held = (await story.live(target))["spec"]["volumeName"]
    volume = Resource("PersistentVolume", held, None, "v1")
    identity = (await story.live(volume))["metadata"]["uid"]
    await acts.delete(story, target)
    await waiting.eventually(lambda: story.live(volume), lambda one: one["status"]["phase"] == "Released")

    undone = await acts.step(story)

    assert undone.status == "success", undone.sentence
    assert await volumes.bound(story, target) == held
    live = await story.live(volume)
    assert live["metadata"]["uid"] == identity
    assert live["spec"]["claimRef"]["uid"] == (await story.live(target))["metadata"]["uid"]


async def test_rb_29_a_claim_deleted_while_mounted_is_ending_for_good_and_no_finalizer_is_removed(story: Story):
    await volumes.make_volumes(story, 1)
    target = await volumes.make_claim(story)
    pod = objects.pod(story.namespace)
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    mounted = await story.start(pod)
    await waiting.workload_when(story.cluster, mounted, lambda one: one.ready_replicas == 1)
    await acts.delete(story, target, "--wait=false")

    undone = await acts.step(story)

    live = await story.live(target)
    assert undone.status == "conflict"
    assert "is being deleted, which cannot be undone" in undone.sentence
    assert live["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    refused = [loss.sentence for loss in losses.of_deletion(live) if loss.is_refused]
    assert "PersistentVolumeClaim data is being deleted already, which nothing can undo" in refused
    story.somebody("delete", "pod", "web")


async def test_rb_30_a_claim_s_growth_is_refused_before_as_it_cannot_be_undone(story: Story):
    await story.cluster.create(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": volumes.storage_class(story)},
            "provisioner": "test.example/by-hand",
            "allowVolumeExpansion": True,
        },
        is_dry_run=False,
    )
    await volumes.make_volumes(story, 1)
    target = await volumes.make_claim(story)
    before = await story.live(target)
    proposed = await story.cluster.replace(
        before | {"spec": before["spec"] | {"resources": {"requests": {"storage": "2Gi"}}}}, is_dry_run=True
    )

    (worst,) = [loss for loss in losses.of_change(before, proposed) if loss.is_refused]

    assert worst.sentence.endswith("can grow but never shrink again: its resize cannot be undone")
    assert (await story.live(target))["spec"] == before["spec"]
