"""The rollback of a resolution's changes, last change first, against a cluster that others write to."""

import copy
from dataclasses import dataclass, field, replace

import pytest

from core.effects import Change
from core.errors import NotAllowedError, StaleError, UnavailableError
from core.resolution import ResolutionId, SnapshotId
from core.resources import Resource
from core.rollback import RollbackManager
from core.snapshot import Snapshot, SnapshotEntry
from tests.fakes.cluster import FakeCluster
from tests.fakes.permits import rollback_permit
from tests.unit.core.examples import NOW, WEB

POD = Resource("Pod", "job", "shop")


def deployment(image="nginx:1", replicas=3, *, version="1", uid="u-1"):
    metadata = {"name": "web", "namespace": "shop", "uid": uid, "resourceVersion": version}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"image": image, "replicas": replicas}}


def bare_pod(**metadata):
    return {
        "kind": "Pod",
        "metadata": {"name": "job", "namespace": "shop", "uid": "p-1", "resourceVersion": "1"} | metadata,
        "spec": {"containers": []},
    }


def entry(before, after=None, *, seq=1, target=WEB, change=Change.SET_IMAGE, **given):
    return SnapshotEntry(seq, target, change, before, after, **({"is_after_read": True, "state": "done"} | given))


def snapshot(*entries):
    return Snapshot(SnapshotId("s-1"), ResolutionId("r-1"), NOW, entries)


@dataclass
class Undo:
    """A rollback over a cluster, with what it recorded."""

    cluster: FakeCluster
    recorded: list[tuple[int, str]] = field(default_factory=list)

    async def __call__(self, *entries, is_dry_run=False, permit=None):
        manager, held = RollbackManager(self.cluster, self._record, lambda: NOW), snapshot(*entries)
        if is_dry_run:
            return await manager.preview(held)
        return await manager.rollback(held, permit=permit or rollback_permit(held))

    async def _record(self, snapshot_id, done):
        assert snapshot_id == "s-1"
        self.recorded += [(one.seq, one.state) for one in done]


def over(*manifests):
    live = {}
    for one in manifests:
        live[Resource(one["kind"], one["metadata"]["name"], "shop")] = copy.deepcopy(one)
    return Undo(FakeCluster(live))


def statuses(report):
    return [(step.seq, step.status) for step in report.steps]


async def test_an_image_is_put_back_and_the_entry_marked():
    undo = over(deployment("nginx:2", version="7"))

    report = await undo(entry(deployment("nginx:1"), deployment("nginx:2", version="2")))

    assert (report.is_success, statuses(report)) == (True, [(1, "success")])
    assert undo.cluster.objects[WEB]["spec"]["image"] == "nginx:1"
    assert undo.recorded == [(1, "restored")]
    assert report.steps[0].command == (
        """kubectl patch deployment web -n shop --type=merge -p '{"spec":{"image":"nginx:1"}}'"""
    )


async def test_a_preview_says_the_same_and_touches_and_records_nothing():
    undo = over(deployment("nginx:2", version="7"))
    changed = entry(deployment("nginx:1"), deployment("nginx:2"))

    report = await undo(changed, is_dry_run=True)

    assert (report.is_dry_run, statuses(report)) == (True, [(1, "success")])
    assert "would be put back" in report.steps[0].sentence
    assert undo.cluster.objects[WEB]["spec"]["image"] == "nginx:2"
    assert undo.recorded == []


async def test_several_changes_of_one_object_are_undone_last_first():
    undo = over(deployment("nginx:3", 5, version="9"))
    first = entry(deployment("nginx:1"), deployment("nginx:2"), seq=1)
    second = entry(deployment("nginx:2"), deployment("nginx:2", 5), seq=2, change=Change.SCALE)
    third = entry(deployment("nginx:2", 5), deployment("nginx:3", 5), seq=3)

    report = await undo(second, first, third)

    assert statuses(report) == [(3, "success"), (2, "success"), (1, "success")]
    assert undo.cluster.objects[WEB]["spec"] == {"image": "nginx:1", "replicas": 3}


async def test_somebody_elses_change_of_the_same_field_is_a_conflict_that_shows_both_and_overwrites_nothing():
    undo = over(deployment("theirs:9"))

    report = await undo(entry(deployment("nginx:1"), deployment("nginx:2")))

    assert (report.is_success, statuses(report)) == (False, [(1, "conflict")])
    assert "spec.image (ours nginx:2, now theirs:9)" in report.errors[0]
    assert undo.cluster.objects[WEB]["spec"]["image"] == "theirs:9"
    assert undo.recorded == [(1, "conflict")]


async def test_a_conflict_in_a_secret_names_the_field_and_never_a_value():
    target = Resource("Secret", "db", "shop")

    def secret(value):
        metadata = {"name": "db", "namespace": "shop", "uid": "s-1", "resourceVersion": "1"}
        return {"kind": "Secret", "metadata": metadata, "data": {"password": value}}

    report = await over(secret("theirs"))(entry(secret("old"), secret("ours"), target=target))

    assert "data.password" in report.errors[0]
    assert not any(value in report.errors[0] for value in ("theirs", "old", "ours)"))


async def test_somebody_elses_change_of_another_field_stays():
    undo = over(deployment("nginx:2", 8))

    report = await undo(entry(deployment("nginx:1"), deployment("nginx:2")))

    assert report.is_success
    assert undo.cluster.objects[WEB]["spec"] == {"image": "nginx:1", "replicas": 8}


async def test_a_conflict_in_one_object_does_not_keep_others_from_going_back():
    api = Resource("Deployment", "api", "shop")

    def named(image):
        one = deployment(image)
        one["metadata"]["name"] = "api"
        return one

    undo = over(deployment("theirs:9"), named("nginx:2"))
    report = await undo(
        entry(deployment("nginx:1"), deployment("nginx:2"), seq=1),
        entry(named("nginx:1"), named("nginx:2"), seq=2, target=api),
    )

    assert statuses(report) == [(2, "success"), (1, "conflict")]
    assert undo.cluster.objects[api]["spec"]["image"] == "nginx:1"


async def test_what_is_back_already_is_skipped_without_a_write():
    undo = over(deployment("nginx:1", version="8"))

    report = await undo(entry(deployment("nginx:1"), deployment("nginx:2")))

    assert (report.is_success, statuses(report)) == (True, [(1, "skipped")])
    assert undo.cluster.objects[WEB]["metadata"]["resourceVersion"] == "8"


async def test_asking_again_does_only_what_is_still_to_do():
    undo = over(deployment("theirs:9"))

    report = await undo(
        entry(deployment("nginx:1"), deployment("nginx:2"), seq=1, state="restored"),
        entry(deployment("nginx:2"), deployment("nginx:3"), seq=2, state="conflict"),
    )

    assert statuses(report) == [(2, "conflict"), (1, "skipped")]
    assert undo.recorded == [(2, "conflict")]


async def test_an_object_made_anew_by_somebody_is_left_as_it_is():
    undo = over(deployment("nginx:2", uid="u-2"))

    report = await undo(entry(deployment("nginx:1"), deployment("nginx:2")))

    assert statuses(report) == [(1, "conflict")]
    assert undo.cluster.objects[WEB]["spec"]["image"] == "nginx:2"


async def test_an_object_somebody_deleted_is_not_made_again():
    undo = over()

    report = await undo(entry(deployment("nginx:1"), deployment("nginx:2")))

    assert statuses(report) == [(1, "conflict")]
    assert undo.cluster.objects == {}


async def test_a_bare_pod_that_was_deleted_is_made_again_and_what_is_lost_is_said():
    undo = over()

    report = await undo(entry(bare_pod(), None, target=POD, change=Change.DELETE_POD))

    assert statuses(report) == [(1, "success")]
    assert "What it held in memory is lost." in report.steps[0].sentence
    assert undo.cluster.objects[POD]["metadata"]["uid"] != "p-1"


async def test_a_pod_that_was_already_ending_when_it_was_read_back_is_made_again_once_it_is_gone():
    ending = bare_pod(deletionTimestamp="2026-03-01T12:00:00Z")
    gone, still_there = over(), over(ending)
    deleted = entry(bare_pod(), ending, target=POD, change=Change.DELETE_POD)

    assert statuses(await gone(deleted)) == [(1, "success")]
    report = await still_there(deleted)
    assert statuses(report) == [(1, "conflict")]
    assert "cannot be undone; ask again" in report.errors[0]


async def test_a_pod_of_a_controller_is_left_to_its_controller():
    undo = over()
    owned = bare_pod(ownerReferences=[{"uid": "rs", "controller": True}])

    report = await undo(entry(owned, None, target=POD, change=Change.DELETE_POD))

    assert (report.is_success, statuses(report)) == (True, [(1, "skipped")])
    assert undo.cluster.objects == {}


async def test_what_the_change_made_is_removed_only_if_it_is_the_same_object():
    made = deployment("nginx:1")
    ours, theirs = over(made), over(deployment("nginx:1", uid="u-9"))

    assert statuses(await ours(entry(None, made))) == [(1, "success")]
    assert ours.cluster.objects == {}
    assert statuses(await theirs(entry(None, made))) == [(1, "conflict")]
    assert WEB in theirs.cluster.objects
    assert statuses(await over()(entry(None, made))) == [(1, "skipped")]


async def test_only_a_restart_is_nothing_to_put_back():
    def restarted(at):
        one = deployment()
        one["spec"] = {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": at}}}}
        return one

    undo = over(restarted("b"))
    report = await undo(entry(restarted("a"), restarted("b"), change=Change.RESTART))

    assert (report.is_success, statuses(report)) == (True, [(1, "skipped")])


async def test_a_change_that_was_never_read_back_is_undone_from_what_is_there():
    undo = over(deployment("nginx:2"))

    report = await undo(entry(deployment("nginx:1"), None, is_after_read=False, state="open"))

    assert statuses(report) == [(1, "success")]
    assert undo.cluster.objects[WEB]["spec"]["image"] == "nginx:1"


async def test_an_entry_that_the_permit_does_not_name_is_not_written_and_the_others_are():
    api = Resource("Deployment", "api", "shop")

    def named(image):
        one = deployment(image, uid="u-2")
        one["metadata"]["name"] = "api"
        return one

    undo = over(deployment("nginx:2"), named("nginx:2"))
    first = entry(deployment("nginx:1"), deployment("nginx:2"), seq=1)
    second = entry(named("nginx:1"), named("nginx:2"), seq=2, target=api)

    report = await undo(first, second, permit=rollback_permit(snapshot(first)))

    assert statuses(report) == [(2, "failed"), (1, "success")]
    assert "not what the permit of this rollback names. Ask for the rollback again." in report.errors[0]
    assert undo.cluster.objects[api]["spec"]["image"] == "nginx:2"
    assert undo.cluster.objects[WEB]["spec"]["image"] == "nginx:1"
    assert undo.recorded == [(2, "failed"), (1, "restored")]


def _with_other_content(approved):
    return replace(approved, before=deployment("other:9"))


def _with_another_uid(approved):
    return replace(approved, target=replace(approved.target, uid="u-9"))


def _of_another_change(approved):
    return replace(approved, change=Change.SCALE)


@pytest.mark.parametrize("altered", [_with_other_content, _with_another_uid, _of_another_change])
async def test_an_entry_that_differs_from_what_was_approved_is_not_written(altered):
    undo = over(deployment("nginx:2"))
    approved = entry(deployment("nginx:1"), deployment("nginx:2"))

    report = await undo(altered(approved), permit=rollback_permit(snapshot(approved)))

    assert statuses(report) == [(1, "failed")]
    assert undo.cluster.objects[WEB]["spec"]["image"] == "nginx:2"


async def test_what_was_made_is_removed_only_if_it_is_the_one_that_the_permit_names():
    made, other = deployment("nginx:1"), deployment("nginx:1", uid="u-2")
    undo = over(other)

    report = await undo(entry(None, other), permit=rollback_permit(snapshot(entry(None, made))))

    assert statuses(report) == [(1, "failed")]
    assert WEB in undo.cluster.objects


async def test_a_permit_to_put_back_is_none_to_make_again_what_somebody_deleted():
    undo = over()
    held = snapshot(entry(deployment("nginx:1"), deployment("nginx:2")))

    report = await undo(*held.entries, permit=rollback_permit(held))
    assert (statuses(report), report.steps[0].is_beyond) == ([(1, "conflict")], True)

    assert statuses(await undo(*held.entries, permit=rollback_permit(held, again={1}))) == [(1, "success")]
    assert undo.cluster.objects[WEB]["spec"]["image"] == "nginx:1"


async def test_a_retry_of_what_an_undo_had_begun_to_make_anew_is_under_the_same_permit():
    undo = over()
    approved = entry(deployment("nginx:1"), deployment("nginx:2"))
    permit = rollback_permit(snapshot(approved), again={1})

    report = await undo(replace(approved, after=None, state="failed"), permit=permit)

    assert statuses(report) == [(1, "success")]


async def test_a_preview_names_the_values_that_go_back_and_so_does_the_report():
    undo = over(deployment("nginx:2", 4))
    changed = entry(deployment("nginx:1", 2), deployment("nginx:2", 4))

    preview = await undo(changed, is_dry_run=True)
    report = await undo(changed)

    values = "image nginx:2 → nginx:1, replicas 4 → 2"
    assert preview.steps[0].sentence == f"Deployment shop/web would be put back as it was: {values}."
    assert (preview.steps[0].values, report.steps[0].values) == (values, values)
    assert f"was put back as it was: {values}." in report.steps[0].sentence


class Refusing(FakeCluster):
    """Answers reads, and refuses every write with the error it was given."""

    error: Exception = UnavailableError("The Kubernetes API did not answer.")

    async def replace(self, manifest, *, is_dry_run):
        raise self.error


@pytest.mark.parametrize(
    "error", [UnavailableError("The Kubernetes API did not answer."), NotAllowedError("The API server refused.")]
)
async def test_an_undo_that_fails_keeps_its_entry_and_can_be_asked_again(error):
    undo = over(deployment("nginx:2"))
    fine, undo.cluster = undo.cluster, Refusing(undo.cluster.objects)
    undo.cluster.error = error
    changed = entry(deployment("nginx:1"), deployment("nginx:2"))

    report = await undo(changed)

    assert (report.is_success, statuses(report)) == (False, [(1, "failed")])
    assert str(error) in report.errors[0]
    assert undo.recorded == [(1, "failed")]

    undo.cluster = fine
    assert (await undo(replace(changed, state="failed"))).is_success


@pytest.mark.looptime
async def test_an_object_that_never_stops_moving_is_a_conflict_in_the_end(looptime):
    undo = over(deployment("nginx:2"))
    undo.cluster = Refusing(undo.cluster.objects)
    undo.cluster.error = StaleError("The object has been modified.")

    report = await undo(entry(deployment("nginx:1"), deployment("nginx:2")))

    assert statuses(report) == [(1, "conflict")]
    assert undo.recorded == [(1, "conflict")]
    assert looptime < 5
