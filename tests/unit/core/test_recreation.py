"""An object that was deleted is made again without what the server and its controllers set."""

import copy

from core.owners import has_controller
from core.recreation import to_create
from tests.unit.core.test_undo_rules import manifest, moved


def test_an_object_is_made_again_without_what_the_server_sets():
    before = moved(manifest({"replicas": 3}, labels={"app": "web"}, annotations={"kept": "yes"}))
    before["metadata"] |= {"deletionTimestamp": "2026-03-01T12:00:00Z", "ownerReferences": [{"uid": "gone"}]}

    assert to_create(before) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"kept": "yes"}},
        "spec": {"replicas": 3},
    }


def test_a_bare_pod_is_made_again_without_its_node_and_its_token():
    pod = {
        "kind": "Pod",
        "metadata": {"name": "job", "finalizers": ["kept"]},
        "spec": {
            "nodeName": "node-1",
            "priority": 0,
            "ephemeralContainers": [],
            "volumes": [{"name": "data"}, {"name": "kube-api-access-x1"}],
            "containers": [{"name": "c", "volumeMounts": [{"name": "kube-api-access-x1"}, {"name": "data"}]}],
            "initContainers": [{"name": "i"}],
        },
        "status": {"phase": "Running"},
    }

    assert to_create(pod) == {
        "kind": "Pod",
        "metadata": {"name": "job", "finalizers": ["kept"]},
        "spec": {
            "volumes": [{"name": "data"}],
            "containers": [{"name": "c", "volumeMounts": [{"name": "data"}]}],
            "initContainers": [{"name": "i", "volumeMounts": []}],
        },
    }


def test_an_owner_that_controls_is_a_controller_and_another_is_not():
    owned = manifest({})
    owned["metadata"]["ownerReferences"] = [{"uid": "1"}, {"uid": "2", "controller": True}]

    assert has_controller(owned)
    owned["metadata"]["ownerReferences"].pop()
    assert not has_controller(owned)
    assert not has_controller(manifest({}))


def test_the_snapshot_it_is_made_from_stays_as_it_is():
    before = moved(manifest({"replicas": 3}, annotations={"kept": "yes"}))
    kept = copy.deepcopy(before)
    to_create(before)

    assert before == kept
