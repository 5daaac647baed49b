"""Undo, per object: a change undone is the object as it was, and nobody else's edit is ever lost."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.undo_rules import RESTARTED, Clash, Conflict, Nothing, Restore, meaning, plan_restore

ABSENT = object()
KEYS = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(st.integers(0, 2), st.sampled_from(["x", "y"]), st.lists(st.integers(0, 1), max_size=2), st.none())
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": KEYS, "image": st.sampled_from(["nginx:1", "nginx:2"])}, optional={"a": TREES}),
    max_size=3,
    unique_by=lambda one: one["name"],
)
SPECS = st.builds(
    lambda tree, containers: tree | ({"containers": containers} if containers else {}),
    st.dictionaries(KEYS, TREES, max_size=3),
    CONTAINERS,
)
LABELS = st.one_of(st.none(), st.dictionaries(KEYS, st.sampled_from(["1", "2"]), max_size=2))
REVISION = "deployment.kubernetes.io/revision"


def manifest(spec, *, labels=None, annotations=None, version="1"):
    metadata = {"name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": version}
    if labels is not None:
        metadata["labels"] = labels
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def moved(one, *, version="7", revision="9"):
    """The same object after the API server and its controllers have written to it."""
    live = copy.deepcopy(one)
    live["metadata"] |= {"resourceVersion": version, "generation": 12, "managedFields": [{"manager": "x"}]}
    live["metadata"]["annotations"] = {**(live["metadata"].get("annotations") or {}), REVISION: revision}
    live["status"] = {"readyReplicas": 1, "observedGeneration": 12}
    return live


def leaves(one, path=()):
    """Every value that is not a map, by its path; containers are told apart by their names."""
    if path[-1:] == ("containers",) and isinstance(one, list):
        one = {container["name"]: container for container in one}
    if isinstance(one, dict):
        return {found: value for key, inner in one.items() for found, value in leaves(inner, (*path, key)).items()}
    return {path: one}


OBJECTS = st.builds(manifest, SPECS, labels=LABELS, annotations=LABELS)


@st.composite
def edits(draw, one):
    """The object with up to three values set or removed somewhere in it."""
    edited = copy.deepcopy(one)
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 3)) == 0:
            edited["spec"]["containers"] = draw(CONTAINERS)
            continue
        place = draw(st.sampled_from([edited["spec"], edited["metadata"].setdefault("labels", {})]))
        for _ in range(draw(st.integers(0, 2))):
            inner = [value for value in place.values() if isinstance(value, dict)]
            place = draw(st.sampled_from(inner)) if inner else place
        key = draw(KEYS)
        if draw(st.booleans()):
            place[key] = draw(TREES)
        else:
            place.pop(key, None)
    return edited


@given(OBJECTS, OBJECTS)
def test_do_then_undo_is_the_object_as_it_was(before, after):
    live = moved(after)
    plan = plan_restore(before, after, live)

    if meaning(before) == meaning(after):
        assert isinstance(plan, Nothing)
    else:
        assert isinstance(plan, Restore)
        assert meaning(plan.manifest) == meaning(before)


@given(OBJECTS, OBJECTS)
def test_what_is_written_is_locked_on_the_live_version_and_keeps_what_controllers_wrote(before, after):
    live = moved(after)
    plan = plan_restore(before, after, live)

    if isinstance(plan, Restore):
        assert plan.manifest["metadata"]["resourceVersion"] == "7"
        assert plan.manifest["metadata"]["uid"] == "u-1"
        assert plan.manifest["metadata"]["annotations"][REVISION] == "9"
        assert plan.manifest["status"] == live["status"]


@given(st.data())
def test_a_foreign_edit_is_never_lost(data):
    before = data.draw(OBJECTS)
    after = data.draw(st.one_of(edits(before), OBJECTS))
    live = moved(data.draw(edits(after)))
    plan = plan_restore(before, after, live)

    if isinstance(plan, Restore):
        ours, theirs, written = (leaves(meaning(one)) for one in (after, live, plan.manifest))
        for path in {*ours, *theirs}:
            if theirs.get(path, ABSENT) != ours.get(path, ABSENT):
                assert written.get(path, ABSENT) == theirs.get(path, ABSENT), path


@given(st.data())
def test_what_only_the_change_touched_goes_back_unless_something_is_in_conflict(data):
    before = data.draw(OBJECTS)
    after = data.draw(edits(before))
    live = moved(data.draw(edits(after)))
    plan = plan_restore(before, after, live)

    if isinstance(plan, Restore):
        old, ours, theirs, written = (leaves(meaning(one)) for one in (before, after, live, plan.manifest))
        for path in {*old, *ours}:
            if theirs.get(path, ABSENT) == ours.get(path, ABSENT):
                assert written.get(path, ABSENT) == old.get(path, ABSENT), path


@given(OBJECTS, OBJECTS)
def test_what_is_back_already_is_left_alone(before, after):
    assert isinstance(plan_restore(before, after, moved(before)), Nothing)


@given(OBJECTS, OBJECTS, OBJECTS)
def test_nothing_that_was_given_is_changed(before, after, live):
    given_ = copy.deepcopy((before, after, live))
    plan_restore(before, after, live)

    assert (before, after, live) == given_


def test_a_field_both_changed_is_a_conflict_by_name_and_holds_up_the_whole_object():
    before = manifest({"replicas": 3, "image": "nginx:1"})
    after = manifest({"replicas": 5, "image": "nginx:2"})
    live = manifest({"replicas": 8, "image": "nginx:2"})

    assert plan_restore(before, after, live) == Conflict((Clash("spec.replicas", 5, 8),))


def test_a_field_somebody_else_changed_stays_while_ours_goes_back():
    before = manifest({"replicas": 3, "image": "nginx:1"})
    after = manifest({"replicas": 5, "image": "nginx:1"})
    live = manifest({"replicas": 5, "image": "nginx:9"}, version="4")

    assert plan_restore(before, after, live) == Restore(manifest({"replicas": 3, "image": "nginx:9"}, version="4"))


def test_a_field_that_was_added_is_taken_out_again():
    plan = plan_restore(
        manifest({"a": 1}),
        manifest({"a": 1, "nodeSelector": {"x": "y"}}),
        manifest({"a": 1, "nodeSelector": {"x": "y"}}),
    )

    assert plan.manifest["spec"] == {"a": 1}


def test_a_field_that_was_removed_comes_back():
    plan = plan_restore(manifest({"probe": {"port": 80}}), manifest({}), manifest({"other": 1}))

    assert plan.manifest["spec"] == {"probe": {"port": 80}, "other": 1}


def test_a_key_a_person_added_to_a_map_stays():
    before, after = manifest({"data": {"k": "1"}}), manifest({"data": {"k": "2"}})
    plan = plan_restore(before, after, manifest({"data": {"k": "2", "theirs": "x"}}))

    assert plan.manifest["spec"] == {"data": {"k": "1", "theirs": "x"}}


def test_a_container_a_person_added_stays_while_the_image_of_ours_goes_back():
    def of(**images):
        return manifest({"containers": [{"name": name, "image": image} for name, image in images.items()]})

    plan = plan_restore(of(web="nginx:1"), of(web="nginx:2"), of(web="nginx:2", log="fluent:1"))

    assert plan.manifest["spec"] == of(web="nginx:1", log="fluent:1")["spec"]


def template(at=None, image="nginx:1", **annotations):
    metadata = {"labels": {"app": "web"}}
    annotated = {**annotations, **({RESTARTED: at} if at else {})}
    if annotated:
        metadata["annotations"] = annotated
    return manifest({"template": {"metadata": metadata, "spec": {"image": image}}})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (template(), template("2026-03-01T12:00:00Z")),
        (template("2026-02-01T12:00:00Z"), template("2026-03-01T12:00:00Z")),
        (template(note="x"), template("2026-03-01T12:00:00Z", note="x")),
    ],
)
def test_a_restart_is_not_undone_by_another_restart(before, after):
    assert isinstance(plan_restore(before, after, moved(after)), Nothing)


def test_a_restart_made_meanwhile_is_no_conflict_and_stays():
    live = template("2026-03-01T12:00:00Z", "nginx:2")
    plan = plan_restore(template(), template(image="nginx:2"), live)

    assert plan.manifest["spec"]["template"]["spec"] == {"image": "nginx:1"}
    assert plan.manifest["spec"]["template"]["metadata"]["annotations"] == {RESTARTED: "2026-03-01T12:00:00Z"}


@given(OBJECTS)
def test_what_the_server_and_controllers_write_carries_no_meaning(one):
    assert meaning(moved(one)) == meaning(one)
    assert meaning(moved(one, version="8", revision="3")) == meaning(moved(one))


@given(OBJECTS, OBJECTS)
def test_every_value_of_the_spec_carries_meaning(one, other):
    if one["spec"] != other["spec"]:
        assert meaning(one) != meaning(other)
