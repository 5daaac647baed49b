"""RollbackManager on a real API server: what somebody else changed since is overwritten by nobody."""

from dataclasses import replace

import pytest

from core.undo_rules import meaning
from tests.cluster import objects, waiting
from tests.cluster.story import Story, patch, statuses


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_an_image_that_somebody_set_since_is_a_conflict_and_stays(kind: str, story: Story):
    target = await story.start(objects.workload(kind, story.namespace))
    await story.change(target, "set", "image", f"{kind.lower()}/web", f"web={objects.NEXT_IMAGE}")
    story.somebody("set", "image", f"{kind.lower()}/web", "web=registry.example/shop/web:9.9.9")
    theirs = await story.live(target)

    preview = await story.undo(is_dry_run=True)
    report = await story.undo()

    assert statuses(preview) == statuses(report) == ["conflict"]
    assert "nothing is overwritten" in report.steps[0].sentence
    assert "9.9.9" in report.steps[0].sentence
    assert meaning(await story.live(target)) == meaning(theirs)
    assert story.states() == ["conflict"]


async def test_another_field_that_somebody_changed_since_is_kept_when_ours_is_put_back(story: Story):
    target = await story.start(objects.workload("Deployment", story.namespace))
    await story.change(target, "set", "image", "deployment/web", f"web={objects.NEXT_IMAGE}")
    story.somebody("scale", "deployment/web", "--replicas=3")
    story.somebody("label", "deployment/web", "team=shop")

    report = await story.undo()

    assert report.is_success, report.errors
    live = await story.live(target)
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == objects.GOOD_IMAGE
    assert live["spec"]["replicas"] == 3
    assert live["metadata"]["labels"]["team"] == "shop"


async def test_a_key_that_somebody_changed_since_is_a_conflict_and_no_other_key_is_put_back(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red", size="10"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue","size":"20"}}'))
    story.somebody(*patch("configmap", "settings", '{"data":{"colour":"green"}}'))
    theirs = await story.live(target)

    report = await story.undo()

    assert statuses(report) == ["conflict"]
    assert "data.colour (ours blue, now green)" in report.steps[0].sentence
    assert await story.live(target) == theirs


async def test_a_secret_in_conflict_names_the_key_and_no_value(story: Story):
    target = await story.start(objects.secret(story.namespace, password="hunter2"))
    await story.change(target, *patch("secret", "keys", '{"stringData":{"password":"ours"}}'))
    story.somebody(*patch("secret", "keys", '{"stringData":{"password":"theirs"}}'))
    theirs = await story.live(target)

    report = await story.undo()

    assert statuses(report) == ["conflict"]
    assert report.steps[0].sentence.endswith("nothing is overwritten: data.password.")
    assert await story.live(target) == theirs


async def test_a_service_that_somebody_changed_since_is_a_conflict_and_stays(story: Story):
    target = await story.start(objects.service(story.namespace))
    await story.change(target, *patch("service", "web", '{"spec":{"selector":{"app":"ours"}}}'))
    story.somebody(*patch("service", "web", '{"spec":{"selector":{"app":"theirs"}}}'))
    theirs = await story.live(target)

    report = await story.undo()

    assert statuses(report) == ["conflict"]
    assert await story.live(target) == theirs


async def test_an_object_that_somebody_made_anew_is_left_as_it_is(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue"}}'))
    story.somebody("delete", "configmap", "settings")
    story.somebody("create", "configmap", "settings", "--from-literal=colour=blue")
    theirs = await story.live(target)

    report = await story.undo()

    assert statuses(report) == ["conflict"]
    assert "made" in report.steps[0].sentence
    assert await story.live(target) == theirs


async def test_an_object_that_somebody_deleted_since_is_not_made_again(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue"}}'))
    story.somebody("delete", "configmap", "settings")

    report = await story.undo()

    assert statuses(report) == ["conflict"]
    assert await story.cluster.read(target) is None


async def test_a_pod_that_somebody_made_again_is_left_as_it_is(story: Story):
    target = await story.start(objects.pod(story.namespace))
    await waiting.workload_when(story.cluster, target, lambda one: one.ready_replicas == 1)
    await story.change(target, "delete", "pod", "web")
    again = await story.start(objects.pod(story.namespace, image=objects.NEXT_IMAGE))

    report = await story.undo()

    assert statuses(report) == ["conflict"]
    assert (await story.live(target))["metadata"]["uid"] == again.uid


async def test_a_write_between_reading_and_putting_back_is_a_conflict_and_overwrites_nothing(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue"}}'))
    write_before_each_replacement(story, '{"data":{"colour":"green"}}')

    report = await story.undo()

    assert statuses(report) == ["conflict"]
    assert "data.colour (ours blue, now green)" in report.steps[0].sentence
    assert (await story.live(target))["data"] == {"colour": "green"}


async def test_a_write_of_something_else_between_reading_and_putting_back_does_not_stop_the_undo(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue"}}'))
    write_before_each_replacement(story, '{"data":{"size":"10"}}')

    report = await story.undo()

    assert report.is_success, report.errors
    assert (await story.live(target))["data"] == {"colour": "red", "size": "10"}


async def test_an_object_that_never_stands_still_is_a_conflict_that_says_to_ask_again(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue"}}'))
    write_before_each_replacement(story, *(f'{{"data":{{"beat":"{beat}"}}}}' for beat in range(20)))

    report = await story.undo()

    assert statuses(report) == ["conflict"]
    assert "ask again" in report.steps[0].sentence
    assert (await story.live(target))["data"]["colour"] == "blue"


async def test_an_undo_in_the_middle_of_a_rollout_is_not_held_up_by_the_controller_s_status(story: Story):
    target = await story.start(objects.workload("Deployment", story.namespace, replicas=6))
    for number in range(5):
        await story.change(target, "set", "image", "deployment/web", f"web=registry.example/shop/web:1.5.{number}")

        report = await story.undo()

        assert report.is_success, report.errors
        story.entries.clear()


def write_before_each_replacement(story: Story, *changes: str) -> None:
    """Somebody's writes to the ConfigMap, each between the product's reading and its writing."""
    real, waiting_changes = story.cluster.replace, list(changes)

    async def replacing(manifest, *, is_dry_run: bool):
        if waiting_changes:
            story.somebody(*patch("configmap", "settings", waiting_changes.pop(0)))
        return await real(manifest, is_dry_run=is_dry_run)

    story.cluster.replace = replacing


async def test_an_undo_the_api_server_refuses_is_failed_and_can_be_asked_again(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue"},"immutable":true}'))
    changed = await story.live(target)

    report = await story.undo()

    assert statuses(report) == ["failed"]
    assert "was not put back" in report.steps[0].sentence
    assert "immutable" in report.steps[0].sentence
    assert await story.live(target) == changed
    assert story.states() == ["failed"]


async def test_a_snapshot_whose_after_was_never_read_is_put_back_from_what_is_there(story: Story):
    target = await story.start(objects.config_map(story.namespace, colour="red"))
    await story.change(target, *patch("configmap", "settings", '{"data":{"colour":"blue"}}'))
    story.entries = [replace(entry, after=None, is_after_read=False, state="open") for entry in story.entries]

    report = await story.undo()

    assert report.is_success, report.errors
    assert (await story.live(target))["data"] == {"colour": "red"}
