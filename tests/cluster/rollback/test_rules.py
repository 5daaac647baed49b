"""RB-42 to RB-49 and RB-55 on a real API server: the rules that hold for every kind."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from core import losses
from core.cluster.client import open_cluster
from core.cluster.runner import kubectl_path
from core.resources import Resource
from tests.cluster import objects, waiting
from tests.cluster.rollback import acts
from tests.cluster.story import Story, patch, statuses


@pytest.fixture
async def settings(story: Story) -> Resource:
    return await story.start(objects.config_map(story.namespace, colour="red", size="10"))


def colour(value: str) -> tuple[str, ...]:
    return patch("configmap", "settings", json.dumps({"data": {"colour": value}}))


async def test_rb_42_what_the_change_made_is_deleted_if_it_is_still_the_same(story: Story):
    target = Resource("ConfigMap", "made", story.namespace, "v1")
    await acts.act(story, target, line=("create", "configmap", "made", "--from-literal=a=1"))

    undone = await acts.step(story)

    assert undone.status == "success"
    assert await story.cluster.read(target) is None


async def test_rb_42_what_the_change_made_and_somebody_made_anew_is_a_conflict(story: Story):
    target = Resource("ConfigMap", "made", story.namespace, "v1")
    await acts.act(story, target, line=("create", "configmap", "made", "--from-literal=a=1"))
    story.somebody("delete", "configmap", "made")
    story.somebody("create", "configmap", "made", "--from-literal=a=1")
    theirs = await story.live(target)

    undone = await acts.step(story)

    assert undone.status == "conflict"
    assert await story.live(target) == theirs


async def test_rb_42_what_somebody_makes_anew_during_the_undo_is_not_deleted(story: Story):
    target = Resource("ConfigMap", "made", story.namespace, "v1")
    await acts.act(story, target, line=("create", "configmap", "made", "--from-literal=a=1"))

    async def make_anew() -> None:
        story.somebody("delete", "configmap", "made")
        story.somebody("create", "configmap", "made", "--from-literal=a=1")

    acts.before_deletion(story, make_anew)

    undone = await acts.step(story)

    assert undone.status in {"conflict", "failed"}
    assert await story.cluster.read(target) is not None


async def test_rb_43_only_the_labels_and_annotations_that_were_touched_go_back(settings: Resource, story: Story):
    story.somebody("label", "configmap", "settings", "team=shop", "tier=a")
    await acts.act(story, settings, line=("label", "configmap", "settings", "tier=b", "new=1", "--overwrite"))
    await acts.act(story, settings, line=("annotate", "configmap", "settings", "why=test"))
    story.somebody("label", "configmap", "settings", "theirs=1", "team=other", "--overwrite")

    report = await story.undo()

    metadata = (await story.live(settings))["metadata"]
    assert statuses(report) == ["success", "success"]
    assert metadata["labels"] == {"team": "other", "tier": "a", "theirs": "1"}
    assert "annotations" not in metadata


async def test_rb_44_what_a_person_changed_since_is_overwritten_by_nobody_and_both_versions_are_shown(
    settings: Resource, story: Story
):
    await acts.act(story, settings, line=colour("blue"))
    story.somebody(*colour("green"))
    theirs = await story.live(settings)

    undone = await acts.step(story)

    assert undone.status == "conflict"
    assert "nothing is overwritten: data.colour (ours blue, now green)." in undone.sentence
    assert await story.live(settings) == theirs


async def test_rb_45_a_status_that_moved_since_holds_nothing_up(story: Story):
    target = await story.start(objects.workload("Deployment", story.namespace))
    await waiting.ready_workload(story.cluster, target)
    await acts.act(story, target, line=("scale", "deployment/web", "--replicas=3"))
    after = story.entries[0].after
    assert after is not None
    await waiting.ready_workload(story.cluster, target, replicas=3)
    live = await story.live(target)
    assert live["metadata"]["resourceVersion"] != after["metadata"]["resourceVersion"]

    undone = await acts.step(story)

    assert undone.status == "success"
    assert (await story.live(target))["spec"]["replicas"] == 2


async def test_rb_46_what_is_back_already_gets_no_write(settings: Resource, story: Story):
    await acts.act(story, settings, line=colour("blue"))
    story.somebody(*colour("red"))
    back = await story.live(settings)

    undone = await acts.step(story)

    assert undone.status == "skipped"
    assert await story.live(settings) == back


async def test_rb_47_of_an_action_that_failed_half_way_only_what_changed_goes_back(story: Story):
    one = await story.start(objects.config_map(story.namespace, "one", a="1"))
    two = await story.start(objects.config_map(story.namespace, "two", a="1"))
    three = await story.start(objects.config_map(story.namespace, "three", a="1"))
    files = {"one": "2", "two": "2"}
    for name, value in files.items():
        acts.write(story, f"{name}.json", objects.config_map(story.namespace, name, a=value))
    untouched = await story.live(three)
    line = ("apply", "--server-side", "--force-conflicts", "-f", "one.json", "-f", "two.json")

    def freeze() -> None:
        story.somebody(*patch("configmap", "two", '{"immutable":true}'))

    await acts.act(story, one, two, line=line, may_fail=True, meanwhile=freeze)
    await acts.note(story, three, untouched)
    report = await story.undo()

    told = {step.sentence.split()[1].split("/")[1].rstrip(":"): step.status for step in report.steps}
    assert told == {"one": "success", "two": "skipped", "three": "skipped"}
    assert (await story.live(one))["data"] == {"a": "1"}
    assert (await story.live(two))["immutable"]
    assert await story.live(three) == untouched


# --- RB-48: every way to fail leaves the entry, and the retry does the rest -----------------------------------------


async def test_rb_48_a_refused_undo_is_failed_and_with_the_right_it_completes(settings: Resource, story: Story):
    await acts.act(story, settings, line=colour("blue"))
    objects.service_account_that_may(story.server, story.namespace, "weak", verbs=["get"], resources=["configmaps"])
    kubeconfig = story.server.token_kubeconfig(story.namespace, "weak")
    async with open_cluster(kubeconfig, kubectl=kubectl_path(None)) as weak:
        refused = await replace(story, cluster=weak).undo()
    told = [step.sentence for step in refused.steps]

    assert (statuses(refused), refused.is_success) == (["failed"], False)
    assert "resources: [configmaps], verbs: [update]" in told[0]
    assert statuses(await story.undo()) == ["success"]
    assert (await story.live(settings))["data"]["colour"] == "red"


async def test_rb_48_an_undo_that_the_rules_of_the_object_forbid_is_failed_and_its_entry_is_kept(
    settings: Resource, story: Story
):
    change = '{"data":{"colour":"blue"},"immutable":true}'
    await acts.act(story, settings, line=patch("configmap", "settings", change))

    undone = await acts.step(story)

    assert undone.status == "failed"
    assert "immutable" in undone.sentence
    assert story.states() == ["failed"]
    assert (await acts.step(story)).status == "failed"


async def test_rb_48_an_object_that_never_stands_still_is_tried_again_later(settings: Resource, story: Story):
    await acts.act(story, settings, line=colour("blue"))
    real, beats = story.cluster.replace, list(range(20))

    async def moving(manifest, *, is_dry_run: bool):
        story.somebody(*patch("configmap", "settings", f'{{"data":{{"beat":"{beats.pop()}"}}}}'))
        return await real(manifest, is_dry_run=is_dry_run)

    story.cluster.replace = moving
    moved = await acts.step(story)
    story.cluster.replace = real

    assert moved.status == "conflict"
    assert "ask again" in moved.sentence
    assert (await acts.step(story)).status == "success"
    assert (await story.live(settings))["data"]["colour"] == "red"


async def test_rb_48_an_api_server_that_does_not_answer_leaves_the_undo_to_be_asked_again(
    settings: Resource, story: Story
):
    await acts.act(story, settings, line=colour("blue"))
    async with silent_server() as url:
        kubeconfig = story.folder / "silent.kubeconfig"
        kubeconfig.write_text(story.server.kubeconfig.read_text().replace(story.server.url, url))
        kubeconfig.chmod(0o600)
        async with open_cluster(kubeconfig, kubectl=kubectl_path(None), seconds_per_request=0.5) as silent:
            unanswered = await replace(story, cluster=silent).undo()

    assert statuses(unanswered) == ["failed"]
    assert "did not answer" in unanswered.steps[0].sentence
    assert (await acts.step(story)).status == "success"


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Takes connections and says nothing."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


# --- RB-49, RB-55 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "mark"),
    [
        ("Argo CD", {"labels": {"argocd.argoproj.io/instance": "shop"}}),
        ("Flux", {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}),
    ],
)
async def test_rb_49_gitops_is_warned_of_before_and_its_own_version_is_told_as_overwritten(
    who: str, mark: dict, story: Story
):
    manifest = objects.config_map(story.namespace, colour="red")
    manifest["metadata"] |= mark
    target = await story.start(manifest)
    before = await story.live(target)
    warned = losses.of_change(before, before | {"data": {"colour": "blue"}})
    await acts.act(story, target, line=colour("blue"))
    healed = manifest | {"data": {"colour": "from git"}}
    acts.write(story, "git.json", healed)
    story.somebody("apply", "--server-side", "--force-conflicts", "-f", str(story.folder / "git.json"))

    undone = await acts.step(story)

    assert [one.sentence for one in warned if who in one.sentence]
    assert undone.status == "conflict"
    assert f"managed by {who}, which has written its own version over it" in undone.sentence
    assert (await story.live(target))["data"] == {"colour": "from git"}


async def managers(story: Story, target: Resource) -> dict[tuple[str, str], str]:
    """Who owns the object's fields, without times."""
    entries = (await story.live(target))["metadata"]["managedFields"]
    return {
        (entry["manager"], entry["operation"]): json.dumps(entry["fieldsV1"], sort_keys=True)
        for entry in entries
        if entry.get("subresource") != "status"
    }


async def test_rb_55_an_applied_object_keeps_its_managers_and_none_is_added_by_change_or_undo(story: Story):
    target = Resource("Deployment", "web", story.namespace, "apps/v1")
    acts.write(story, "git.json", objects.workload("Deployment", story.namespace))
    story.somebody("apply", "--server-side", "--field-manager=git", "-f", str(story.folder / "git.json"))
    await waiting.ready_workload(story.cluster, target)
    first = await managers(story, target)
    await acts.act(story, target, line=patch("deployment", "web", '{"spec":{"replicas":4,"paused":true}}'))
    assert first != await managers(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert await managers(story, target) == first


async def test_rb_55_another_manager_s_fields_stay_with_it(story: Story):
    target = Resource("ConfigMap", "settings", story.namespace, "v1")
    acts.write(story, "git.json", objects.config_map(story.namespace, colour="red"))
    story.somebody("apply", "--server-side", "--field-manager=git", "-f", str(story.folder / "git.json"))
    first = await managers(story, target)
    await acts.act(story, target, line=colour("blue"))
    acts.write(story, "team.json", objects.config_map(story.namespace, theirs="1"))
    story.somebody("apply", "--server-side", "--field-manager=team", "-f", str(story.folder / "team.json"))

    undone = await acts.step(story)

    assert undone.status == "success"
    assert (await story.live(target))["data"] == {"colour": "red", "theirs": "1"}
    kept = await managers(story, target)
    assert kept.pop(("team", "Apply")) == '{"f:data": {"f:theirs": {}}}'
    assert kept == first


async def test_rb_55_an_object_made_again_has_the_managers_it_had(story: Story):
    target = Resource("ConfigMap", "settings", story.namespace, "v1")
    acts.write(story, "git.json", objects.config_map(story.namespace, colour="red"))
    story.somebody("apply", "--server-side", "--field-manager=git", "-f", str(story.folder / "git.json"))
    first = await managers(story, target)
    await acts.delete(story, target)

    undone = await acts.step(story)

    assert undone.status == "success"
    assert await managers(story, target) == first
