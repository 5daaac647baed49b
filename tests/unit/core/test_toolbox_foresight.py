"""Lines whose effects only the API server can tell: all they touch is stored first, or they are not run."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.effects import Change, Judged
from core.errors import NotAllowedError
from core.foresight import foresee
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.snapshot import Touched
from tests.fakes.cluster import FakeCluster
from tests.unit.core.benches import bench, cluster_of, manifest
from tests.unit.core.examples import WEB

LINE = "kubectl apply -f settings.yaml"
JUDGED = Judged(LINE, RiskLevel.HIGH, "R6", "It changes objects.", (tuple(LINE.split()),), verb="kubectl apply")
SETTINGS = Resource("ConfigMap", "settings", "shop", "v1", "uid-settings")
MADE = Resource("ConfigMap", "made", "shop", "v1")
CLAIM = Resource("PersistentVolumeClaim", "data", "shop", "v1", "uid-data")
VOLUME = Resource("PersistentVolume", "vol", None, "v1", "uid-vol")


def config_map(resource=SETTINGS, **data):
    return {**manifest(resource), "data": data}


def touching(*touched: Touched, cluster=None):
    at = bench(cluster=cluster or cluster_of(WEB))
    at.cluster.touches[LINE] = touched
    return at


async def test_every_object_the_line_touches_is_stored_with_what_was_proposed_before_it_runs():
    old, new = config_map(colour="red"), config_map(colour="blue")
    at = touching(Touched(SETTINGS, old, new), Touched(MADE, None, config_map(MADE)), Touched(WEB, manifest(WEB), None))

    await at.toolbox._change_cluster(JUDGED)

    assert at.records.log[:4] == [
        "snapshot of ConfigMap shop/settings",
        "snapshot of ConfigMap shop/made",
        "snapshot of Deployment shop/web",
        f"started {LINE}",
    ]
    assert [(one.change, one.before) for one in at.records.entries.values()] == [
        (Change.WRITE, old),
        (Change.WRITE, None),
        (Change.DELETE, manifest(WEB)),
    ]


async def test_of_what_is_read_back_only_what_was_proposed_is_taken_for_the_change_s_own():
    old, new = config_map(colour="red", size="1"), config_map(colour="blue", size="1")
    at = touching(Touched(SETTINGS, old, new))
    at.cluster.objects[SETTINGS] = config_map(colour="blue", size="2", theirs="yes")

    await at.toolbox._change_cluster(JUDGED)

    entry = at.records.entries[1]
    assert (entry.after["data"], entry.is_after_read) == ({"colour": "blue", "size": "1"}, True)


async def test_where_the_proposal_is_not_known_all_that_is_read_back_is_taken_for_the_change_s_own():
    at = touching(Touched(SETTINGS, config_map(colour="red"), config_map(colour="red"), is_tried=False))
    at.cluster.objects[SETTINGS] = config_map(colour="blue")

    await at.toolbox._change_cluster(JUDGED)

    assert at.records.entries[1].after["data"] == {"colour": "blue"}


async def test_what_cannot_be_found_beforehand_is_not_run():
    at = bench()

    answer = await at.toolbox._change_cluster(JUDGED)

    assert answer.is_error
    assert "cannot be found beforehand" in answer.text
    assert (at.cluster.ran, at.records.entries) == ([], {})


async def test_what_the_api_server_refuses_to_show_is_not_changed():
    class Blind(FakeCluster):
        async def touched(self, judged, **_):
            raise NotAllowedError("It refuses to list secrets.")

    at = bench(cluster=Blind())

    answer = await at.toolbox._change_cluster(JUDGED)

    assert "so the change was not made: It refuses to list secrets." in answer.text
    assert at.cluster.ran == []


@pytest.mark.parametrize(
    ("touched", "told"),
    [
        (
            Touched(CLAIM, manifest(CLAIM, volumeName="vol"), None),
            "The data of PersistentVolumeClaim data will be lost",
        ),
        (
            Touched(CLAIM, manifest(CLAIM), manifest(CLAIM, resources={"requests": {"storage": "2Gi"}})),
            "never shrink again",
        ),
        (
            Touched(
                replace(WEB, kind="StatefulSet"),
                {
                    **manifest(WEB, persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete"}),
                    "kind": "StatefulSet",
                },
                None,
            ),
            "whenDeleted: Delete",
        ),
        (
            Touched(Resource("Namespace", "n", None, "v1"), {"kind": "Namespace", "metadata": {"name": "n"}}, None),
            "all",
        ),
        (
            Touched(WEB, {**manifest(WEB), "metadata": {"name": "web", "deletionTimestamp": "x"}}, manifest(WEB)),
            "being deleted already",
        ),
    ],
)
async def test_what_would_lose_too_much_for_good_is_not_run(touched, told):
    at = touching(touched)
    at.cluster.objects[VOLUME] = manifest(VOLUME, persistentVolumeReclaimPolicy="Delete")

    answer = await at.toolbox._change_cluster(JUDGED)

    assert answer.is_error
    assert "it could not be undone" in answer.text
    assert told in answer.text
    assert (at.cluster.ran, at.records.entries) == ([], {})


async def test_a_scale_down_that_deletes_volumes_is_not_run_even_where_the_permit_covers_it():
    policy = {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}, "replicas": 3}
    cluster = FakeCluster({WEB: {**manifest(WEB, **policy), "kind": "StatefulSet"}})
    judged = bench().toolbox.judge("kubectl scale deploy/web --replicas=1 -n shop")

    foresight = await foresee(cluster, judged, folder=Path("/nowhere"), namespace="shop")

    assert "deletes the volumes of the pods that go" in (foresight.refusal or "")


@pytest.mark.parametrize(
    ("verb", "touched", "told", "level"),
    [
        ("kubectl exec", (), "What is done inside a container cannot be undone", RiskLevel.HIGH),
        ("kubectl drain", (Touched(WEB, manifest(WEB), manifest(WEB)),), "moves none back", RiskLevel.CRITICAL),
        (
            "kubectl create",
            (Touched(MADE, None, {"kind": "Job", "metadata": {"name": "j"}}),),
            "What Job j does until it is removed cannot be undone",
            RiskLevel.HIGH,
        ),
    ],
)
async def test_losses_are_words_and_raise_the_risk(verb, touched, told, level):
    cluster = FakeCluster(touches={LINE: touched})

    foresight = await foresee(cluster, replace(JUDGED, verb=verb), folder=Path("/nowhere"), namespace="shop")

    assert told in " ".join(loss.sentence for loss in foresight.losses)
    assert (foresight.refusal, foresight.least_risk) == (None, level)
