"""What undo cannot bring back is found before the question is put, in words, and raises the risk."""

from dataclasses import replace

import pytest

from core import losses, risk
from core.findings import IncidentContext
from core.policy.policy import Policy
from core.resolution import ActionType
from core.resources import Resource
from core.risk_levels import RiskLevel
from tests.unit.core import examples

WEB = examples.workload("web")


def sentences(action, workload):
    return [loss.sentence for loss in losses.of_request(action, workload)]


def test_an_investigation_loses_nothing():
    assert sentences(ActionType.INVESTIGATION, replace(WEB, has_scratch=True)) == []


def test_memory_is_always_lost_and_scratch_volumes_where_there_are_some():
    (memory,) = sentences(ActionType.POD_RESTART, WEB)
    both = sentences(ActionType.POD_RESTART, replace(WEB, has_scratch=True))

    assert "held in memory" in memory
    assert both == [
        memory,
        "Cannot be undone: the emptyDir volumes of replaced pods of Deployment shop/web are emptied",
    ]


def test_scaling_that_deletes_volumes_is_critical_on_the_card():
    drops = replace(examples.workload("db", kind="StatefulSet"), drops_claims=True)
    context = IncidentContext(affected=(drops,))

    assessment = risk.assess(examples.request(ActionType.RESOURCE_SCALE), context, Policy())

    assert assessment.level is RiskLevel.CRITICAL
    assert any("deletes the volumes of the pods that go" in factor for factor in assessment.factors)


def test_an_autoscaler_is_named_as_keeping_its_replicas():
    told = sentences(ActionType.RESOURCE_SCALE, replace(WEB, hpa_range=(1, 4)))

    assert "Undo leaves the replicas of Deployment shop/web to its autoscaler" in told


def test_a_bare_pod_and_what_is_ending_are_said_to_be():
    pod = replace(WEB, resource=Resource("Pod", "web-1", "shop"), is_ending=True)

    told = sentences(ActionType.POD_RESTART, pod)

    assert "Pod shop/web-1 is being deleted already, which nothing can undo" in told
    assert "Pod shop/web-1 has no controller: undo makes a new pod of that name" in told


def named(kind, spec=None, **metadata):
    return {"kind": kind, "metadata": {"name": "it", **metadata}, "spec": spec or {}}


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (named("Namespace"), "deletes all that is in it"),
        (named("Node"), "registers it again"),
        (named("PersistentVolumeClaim", {"volumeName": "v"}), "will be lost"),
        (named("StatefulSet", {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}), "with their data"),
        (named("ConfigMap", deletionTimestamp="2026-03-01T12:00:00Z"), "is being deleted already"),
    ],
)
def test_deletions_that_lose_too_much_are_refused(manifest, words):
    refused = [loss for loss in losses.of_deletion(manifest) if loss.is_refused]

    assert [words in loss.sentence for loss in refused] == [True]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (named("Job"), "runs again"),
        (named("CustomResourceDefinition"), "status cannot come back"),
        (named("ServiceAccount"), "must be restarted"),
        (named("Service", {"type": "LoadBalancer"}), "external address"),
        (named("Deployment"), "earlier revisions"),
        (named("Lamp", finalizers=["lamps.example/off"]), "lamps.example/off"),
    ],
)
def test_deletions_that_lose_something_say_what(manifest, words):
    told = losses.of_deletion(manifest)

    assert any(words in loss.sentence for loss in told)
    assert not any(loss.is_refused for loss in told)


def test_a_retained_volume_is_no_loss_of_data():
    volume = named("PersistentVolume", {"persistentVolumeReclaimPolicy": "Retain"})

    (loss,) = losses.of_deletion(named("PersistentVolumeClaim", {"volumeName": "v"}), volumes={"v": volume})

    assert not loss.is_refused
    assert "undo binds it again" in loss.sentence


def test_scaling_down_a_stateful_set_that_deletes_claims_is_refused_and_scaling_up_is_not():
    retention = {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}
    three, one = (named("StatefulSet", {"replicas": count, **retention}) for count in (3, 1))

    assert any(loss.is_refused for loss in losses.of_change(three, one))
    assert losses.of_change(one, three) == ()
