"""An exact line: its targets with uid, its fields as they stand, and what it covers afterwards."""

from dataclasses import replace

import pytest

from core import lines
from core.commands.gate import judge
from core.effects import WHOLE
from core.errors import InvalidInputError, NotFoundError
from core.permit import Precondition
from core.resources import Resource
from core.risk_levels import RiskLevel
from tests.fakes.cluster import FakeCluster
from tests.unit.core import examples
from tests.unit.core.benches import cluster_of, manifest
from tests.unit.core.examples import WEB, WEB_1

SCALE = "kubectl scale deploy/web --replicas=5"
WEB_2 = replace(WEB_1, name="web-2", uid="uid-web-2")
ALL = "kubectl delete pods --all"


async def line_of(line, cluster):
    return await lines.permitted_line(judge(line, "shop"), cluster)


async def test_a_line_is_bound_to_its_targets_and_to_the_fields_it_changes():
    found = await line_of(SCALE, FakeCluster({WEB: manifest(WEB, replicas=3)}))

    assert (found.line, found.stages) == (SCALE, (("kubectl", "scale", "deploy/web", "--replicas=5"),))
    assert (found.verdict, found.rule, found.namespace) == (RiskLevel.HIGH, "R7", "shop")
    assert [(one.name, one.uid) for one in found.targets] == [("web", "uid-web")]
    assert found.preconditions == (Precondition(WEB, ("spec", "replicas"), "3"),)


async def test_the_bytes_of_its_files_are_bound_by_their_hash():
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
    judged = judge("kubectl apply -f a.yaml", "shop", files={"a.yaml": text}.get)

    found = await lines.permitted_line(judged, FakeCluster())

    assert [(name, len(digest)) for name, digest in found.files] == [("a.yaml", 64)]
    assert [(str(one), one.uid) for one in found.targets] == [("ConfigMap shop/settings", None)]
    other = judge("kubectl apply -f a.yaml", "shop", files={"a.yaml": text + b"# more\n"}.get)
    assert found.covers(judged, found.targets)
    assert not found.covers(other, found.targets)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("kubectl delete pod web-9", NotFoundError),
        ("kubectl delete pods -l app=none", NotFoundError),
        ("kubectl exec deploy/web -- ls", InvalidInputError),
        ("kubectl get pods", InvalidInputError),
    ],
)
async def test_what_names_no_object_cannot_be_asked_for(line, error):
    with pytest.raises(error):
        await line_of(line, cluster_of(WEB, WEB_1))


COVERED = examples.permit()


async def test_a_permit_covers_exactly_its_line_on_exactly_its_targets():
    cluster = cluster_of(WEB_1, WEB_2)
    one = await line_of(ALL, cluster)
    permit = replace(COVERED, rules=(), lines=(one,))
    judged = judge(ALL, "shop")

    assert permit.covers_line(judged, one.targets)
    assert permit.covers_line(judged, one.targets[:1])
    assert permit.line_for(judged, one.targets) == one
    assert not permit.covers_line(judged, ())
    assert not permit.covers_line(judged, (*one.targets, replace(WEB_1, name="web-3", uid="uid-web-3")))
    assert not permit.covers_line(judged, (replace(WEB_1, uid="uid-of-another"), WEB_2))
    assert not permit.covers_line(judged, (replace(WEB_1, uid=None),))
    assert not permit.covers_line(judge("kubectl delete pods --all --grace-period=5", "shop"), one.targets)
    assert not permit.covers_line(judge(ALL, "pay"), one.targets)
    assert not permit.covers_line(replace(judged, risk=None), one.targets)
    assert not permit.covers_line(judge("kubectl get pods", "shop"), one.targets)
    assert not replace(permit, lines=()).covers_line(judged, one.targets)


async def test_a_verdict_that_rose_since_is_not_covered():
    one = replace(await line_of(ALL, cluster_of(WEB_1)), verdict=RiskLevel.MEDIUM)

    assert not one.covers(judge(ALL, "shop"), one.targets)


async def test_every_part_of_a_line_changes_the_digest():
    one = await line_of(SCALE, FakeCluster({WEB: manifest(WEB, replicas=3)}))
    changed = [
        one,
        replace(one, line="kubectl scale deploy/web --replicas=5 "),
        replace(one, stages=(("kubectl", "scale", "deploy/web", "--replicas=6"),)),
        replace(one, verdict=RiskLevel.CRITICAL),
        replace(one, rule="R8"),
        replace(one, namespace="pay"),
        replace(one, targets=(replace(WEB, uid="uid-2"),)),
        replace(one, targets=()),
        replace(one, preconditions=()),
        replace(one, preconditions=(replace(one.preconditions[0], value="4"),)),
        replace(one, files=(("a.yaml", "0" * 64),)),
        replace(one, diff="-3 +5"),
        replace(one, check="web is ready"),
        replace(one, undo="kubectl scale deploy/web --replicas=3"),
    ]

    digests = {replace(COVERED, lines=(line,)).digest for line in changed} | {COVERED.digest}

    assert len(digests) == len(changed) + 1


async def test_a_permit_says_its_lines_and_shares_their_targets():
    one = await line_of(ALL, cluster_of(WEB_1))
    permit = replace(COVERED, rules=(), lines=(one,))

    assert permit.sentences()[1] == "run once, exactly: kubectl delete pods --all (on Pod shop/web-1)"
    assert permit.shares_target(COVERED)
    assert not permit.shares_target(replace(COVERED, rules=()))


POD = {"kind": "Pod", "metadata": {"generation": 2}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}
IMAGE = ("spec", "template", "spec", "containers", "web", "image")


@pytest.mark.parametrize(
    ("live", "field", "path", "value"),
    [
        (POD, IMAGE, ("spec", "containers", "web", "image"), '"nginx:1"'),
        (
            {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": POD["spec"]}}}}},
            IMAGE,
            ("spec", "jobTemplate", *IMAGE),
            '"nginx:1"',
        ),
        (
            {"kind": "Deployment", "spec": {"template": {"spec": {"initContainers": POD["spec"]["containers"]}}}},
            IMAGE,
            ("spec", "template", "spec", "initContainers", "web", "image"),
            '"nginx:1"',
        ),
        (POD, ("spec", "template"), ("spec",), '{"containers":[{"image":"nginx:1","name":"web"}]}'),
        (POD, WHOLE, WHOLE, "2"),
        (
            {"kind": "ConfigMap", "metadata": {"resourceVersion": "7"}, "data": {"a": "b"}},
            WHOLE,
            ("metadata", "resourceVersion"),
            '"7"',
        ),
        (
            {"kind": "Secret", "metadata": {"resourceVersion": "7"}, "data": {"a": "b"}},
            ("data", "a"),
            ("metadata", "resourceVersion"),
            '"7"',
        ),
        (POD, ("metadata", "labels", "app"), ("metadata", "labels", "app"), "null"),
    ],
)
def test_a_field_is_read_where_this_kind_has_it_and_a_secrets_value_never(live, field, path, value):
    target = Resource(live["kind"], "web", "shop")

    assert lines.preconditions(target, live, [field]) == [Precondition(target, path, value)]


def test_a_long_value_is_told_by_its_hash():
    assert lines.value_at({"spec": {"note": "x" * 500}}, ("spec", "note")).startswith("sha256:")


def test_a_field_that_is_another_now_is_named_with_both_values():
    was = [Precondition(WEB, ("spec", "replicas"), "3"), Precondition(WEB_1, ("spec",), "{}")]

    assert lines.changed_fields(was, WEB, manifest(WEB, replicas=4)) == [
        "spec.replicas of Deployment shop/web was 3 and is 4 now."
    ]
    assert lines.changed_fields(was, WEB, manifest(WEB, replicas=3)) == []


def test_a_value_that_its_path_calls_a_secret_is_shown_to_nobody():
    config = Resource("ConfigMap", "settings", "shop")
    was = Precondition(config, ("data", "db_password"), '"hunter1"')
    live = {"kind": "ConfigMap", "data": {"db_password": "hunter2"}}

    (changed,) = lines.changed_fields([was], config, live)

    assert changed == "data.db_password of ConfigMap shop/settings was [redacted] and is [redacted] now."
    assert was.sentence() == "data.db_password of ConfigMap shop/settings is [redacted]"
