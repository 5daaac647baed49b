"""What the API server must allow for one exact line: always by name, or nothing is said."""

from dataclasses import replace

import pytest

from core.commands.gate import judge
from core.line_rights import AccessRule, access_rules
from core.permit import PermittedLine
from core.resources import Resource
from core.risk_levels import RiskLevel
from tests.unit.core.examples import WEB, WEB_1

NODE = Resource("Node", "n1", None, "v1", "uid-n1")
OTHER = replace(WEB_1, name="pay-1", namespace="pay")
FILE = b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
SCALES = (
    AccessRule(("get",), "apps", "deployments", ("web",), "shop"),
    AccessRule(("get", "patch", "update"), "apps", "deployments", ("web",), "shop", "scale"),
)


def line_of(text, *targets):
    stages = judge(text, "shop", files={"a.yaml": FILE}.get).stages
    return PermittedLine(text, stages, RiskLevel.HIGH, "R7", "shop", targets)


@pytest.mark.parametrize(
    ("text", "targets", "rules"),
    [
        ("kubectl scale deploy/web --replicas=2", [WEB], SCALES),
        ("kubectl rollout restart deploy/web", [WEB],
         (AccessRule(("get", "patch"), "apps", "deployments", ("web",), "shop"),)),
        ("kubectl label pods --all a=b", [WEB_1, OTHER], (
            AccessRule(("get", "patch"), "", "pods", ("web-1",), "shop"),
            AccessRule(("get", "patch"), "", "pods", ("pay-1",), "pay"),
        )),
        ("kubectl delete deploy web", [WEB],
         (AccessRule(("get", "delete", "list", "watch"), "apps", "deployments", ("web",), "shop"),)),
        ("kubectl exec web-1 -- ls", [WEB_1], (
            AccessRule(("get",), "", "pods", ("web-1",), "shop"),
            AccessRule(("create", "get"), "", "pods", ("web-1",), "shop", "exec"),
        )),
        ("kubectl drain n1", [NODE, WEB_1], (
            AccessRule(("get", "patch"), "", "nodes", ("n1",), None),
            AccessRule(("get",), "", "pods", ("web-1",), "shop"),
            AccessRule(("create",), "", "pods", ("web-1",), "shop", "eviction"),
        )),
        ("kubectl patch deploy web --subresource=scale -p '{}'", [WEB], (
            AccessRule(("get", "patch"), "apps", "deployments", ("web",), "shop", "scale"),
            AccessRule(("get",), "apps", "deployments", ("web",), "shop"),
        )),
        ("kubectl apply -f a.yaml", [WEB], (AccessRule(("get", "patch"), "apps", "deployments", ("web",), "shop"),)),
        ("kubectl apply --server-side -f a.yaml", [replace(WEB, uid=None)],
         (AccessRule(("get", "create", "patch"), "apps", "deployments", ("web",), "shop"),)),
    ],
)  # fmt: skip
def test_a_line_needs_rights_on_its_targets_by_name(text, targets, rules):
    found = access_rules(line_of(text, *targets))

    assert found == rules
    assert all(rule.names for rule in found)


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("kubectl apply -f a.yaml", [replace(WEB, uid=None)]),
        ("kubectl create configmap one --from-literal=a=b", [Resource("ConfigMap", "one", "shop", "v1")]),
        ("kubectl replace --force -f a.yaml", [WEB]),
        ("kubectl delete pod web-1 --force", [WEB_1]),
        ("kubectl annotate widgets.example.com one a=b", [Resource("Widget", "one", "shop", "example.com/v1", "u")]),
        ("kubectl annotate deploy web a=b", [replace(WEB, api_version="")]),
        ("kubectl debug web-1 --image=busybox", [WEB_1]),
    ],
)
def test_what_no_role_can_say_is_not_said(text, targets):
    assert access_rules(line_of(text, *targets)) is None


def test_other_programs_are_not_told_about():
    line = replace(line_of("kubectl rollout restart deploy/web", WEB), stages=(("helm", "rollback", "web"),))
    assert access_rules(line) is None
    assert access_rules(replace(line, stages=(("kubectl", "--token=x"),))) is None
