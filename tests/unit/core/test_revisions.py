"""What an undo of a rollout would put back is what kubectl would."""

from core import revisions
from tests.unit.core.benches import manifest
from tests.unit.core.examples import WEB


def owned(kind, number, image, *, uid="uid-web", **more):
    metadata = {"name": f"web-{number}", "ownerReferences": [{"uid": uid, "controller": True}]}
    template = {"metadata": {"labels": {"app": "web", "pod-template-hash": "abc"}}, "spec": {"image": image}}
    if kind == "ReplicaSet":
        metadata["annotations"] = {revisions.REVISION: str(number), **more}
        return {"metadata": metadata, "spec": {"template": template}}
    data = {"spec": {"template": template | {"$patch": "replace"}}}
    return {"metadata": metadata, "revision": number, "data": data}


LIVE = manifest(WEB, template={"spec": {"image": "a:3"}})
LIVE["metadata"]["annotations"] = {revisions.REVISION: "3", "kubernetes.io/change-cause": "the third"}
SETS = [
    owned("ReplicaSet", 1, "a:1"),
    owned("ReplicaSet", 3, "a:3"),
    owned("ReplicaSet", 2, "a:2", **{"kubernetes.io/change-cause": "the second"}),
    owned("ReplicaSet", 9, "x:9", uid="uid-of-another"),
]


def test_without_a_revision_the_one_before_is_put_back():
    wanted = revisions.undone(LIVE, SETS, to_revision=None)

    assert wanted["spec"]["template"]["spec"] == {"image": "a:2"}
    assert wanted["spec"]["template"]["metadata"]["labels"] == {"app": "web"}
    assert wanted["metadata"]["annotations"] == {
        revisions.REVISION: "3",
        "kubernetes.io/change-cause": "the second",
    }
    assert LIVE["spec"]["template"]["spec"] == {"image": "a:3"}


def test_a_named_revision_is_put_back():
    assert revisions.undone(LIVE, SETS, to_revision=1)["spec"]["template"]["spec"] == {"image": "a:1"}


def test_there_is_nothing_to_go_back_to():
    assert revisions.undone(LIVE, SETS, to_revision=9) is None
    assert revisions.undone(LIVE, SETS[1:2], to_revision=None) is None


def test_controller_revisions_hold_a_patch():
    history = [owned("ControllerRevision", 1, "a:1"), owned("ControllerRevision", 2, "a:2")]

    wanted = revisions.undone(LIVE, history, to_revision=None)

    assert wanted["spec"]["template"]["spec"] == {"image": "a:1"}
    assert "$patch" not in wanted["spec"]["template"]
