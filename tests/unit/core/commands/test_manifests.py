"""Files that a line names: judged by what they hold, once, and by the worst where they cannot be read."""

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.commands.gate import judge
from core.commands.manifests import MAX_BYTES, UnreadableError, documents
from core.effects import JudgedFile
from core.risk_levels import RiskLevel

WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}},
}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"a": "Yg=="}}


def with_pod(**fields):
    return WEB | {"spec": {"template": {"spec": {"containers": [], **fields}}}}


def of(line, *objects, text=None):
    content = (
        text if text is not None else yaml.safe_dump_all(json.loads(json.dumps(one)) for one in objects)
    ).encode()
    return judge(line, "shop", files={"web.yaml": content}.get)


@pytest.mark.parametrize(
    ("verdict", "objects"),
    [
        ("MEDIUM", [WEB]),
        ("MEDIUM", [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"replicas": "3"}}]),
        ("HIGH", [WEB, WEB]),
        (
            "HIGH",
            [
                {
                    "apiVersion": "v1",
                    "kind": "List",
                    "items": [json.loads(json.dumps(WEB)), WEB | {"metadata": {"name": "api"}}],
                }
            ],
        ),
        ("HIGH", [WEB | {"spec": {"replicas": 0}}]),
        ("HIGH", [with_pod(serviceAccountName="admin")]),
        ("HIGH", [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}}]),
        ("HIGH", [{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "x"}}]),
        ("HIGH", [SECRET]),
        ("CRITICAL", [with_pod(hostNetwork=True)]),
        ("CRITICAL", [with_pod(hostPID=True)]),
        ("CRITICAL", [with_pod(volumes=[{"name": "x", "hostPath": {"path": "/"}}])]),
        ("CRITICAL", [with_pod(initContainers=[{"securityContext": {"privileged": True}}])]),
        ("CRITICAL", [with_pod(containers=[{"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}])]),
        ("CRITICAL", [WEB | {"metadata": {"name": "web", "finalizers": []}}]),
        ("CRITICAL", [WEB | {"metadata": {"name": "web", "namespace": "kube-system"}}]),
        ("CRITICAL", [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}]),
        ("CRITICAL", [{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "x"}}]),
        ("CRITICAL", [WEB | {"apiVersion": "evil.example/v1"}]),
        ("CRITICAL", [{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Node"}]}]),
    ],
)
def test_apply_of_a_file_is_judged_by_what_it_holds(verdict, objects):
    assert of("kubectl apply -f web.yaml", *objects).verdict == verdict


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "a: [",
        "kind: [x]",
        "- 1",
        "just text",
        "a: &x 1\nkind: *x",
        "!!python/object:os.system {}",
        "kind: Deployment\nkind: Namespace\n",
        "---x: y\nkind: Deployment\n",
        "--- {kind: Deployment}\n",
        "%YAML 1.1\n---\nkind: Deployment\n",
        "[" * 100,
        "x" * (MAX_BYTES + 1),
        "kind: Deployment\x00",
    ],
)
def test_a_file_that_is_not_plain_is_judged_as_it_may_be_worst(text):
    assert of("kubectl apply -f web.yaml", text=text).risk in {RiskLevel.HIGH, RiskLevel.CRITICAL}
    assert of("kubectl get -f web.yaml -o yaml", text=text).is_denied


def test_an_unread_file_is_high_and_its_output_is_denied():
    assert judge("kubectl apply -f other.yaml", "shop", files={}.get).verdict == "HIGH"
    assert judge("kubectl apply -f other.yaml --dry-run=server", "shop", files={}.get).verdict == "LOW"
    assert judge("kubectl apply -f other.yaml --dry-run=server -o yaml", "shop", files={}.get).rule == "R4"
    assert judge("kubectl diff -f other.yaml", "shop", files={}.get).rule == "R4"


def test_a_files_secret_is_not_printed_whatever_the_verb():
    for line in (
        "get -f web.yaml -o yaml",
        "apply -f web.yaml --dry-run=server -o json",
        "replace -f web.yaml -o yaml",
        "diff -f web.yaml",
        "diff --server-side -f web.yaml --show-secrets=false",
        "describe -f web.yaml",
        "apply view-last-applied -f web.yaml",
        "apply -f web.yaml --dry-run=client --overwrite=false",
    ):
        assert of(f"kubectl {line}", SECRET).rule == "R4"
        assert not of(f"kubectl {line}", WEB).is_denied


def test_what_was_judged_is_handed_over_with_its_digest_and_read_only_once():
    asked = []

    def read(name):
        asked.append(name)
        return yaml.safe_dump(WEB).encode()

    judged = judge("kubectl apply -f web.yaml -f web.yaml --dry-run=server", "shop", files=read)

    assert asked == ["web.yaml"]
    assert judged.files == (JudgedFile("web.yaml", yaml.safe_dump(WEB).encode()),)
    assert len(judged.files[0].digest) == 64
    assert judge("kubectl get pods", "shop", files=read).files is None


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x.yaml", "a/../../x", "~/x", ".kube/config", "/proc/self/fd/3", ""]
)
def test_a_path_outside_the_workspace_is_never_read(path):
    asked = []
    judge(f"kubectl apply -f '{path}'", "shop", files=asked.append)
    assert asked == []
    assert judge(f"kubectl diff -f '{path}'", "shop").is_denied


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_patch_gets_a_verdict_and_a_privileged_one_is_critical_wherever_it_hides(value):
    hidden = {"spec": [value, {"securityContext": {"privileged": True}}]}
    line = f"kubectl patch deploy web -p '{json.dumps(hidden)}'"
    judged = judge(line, "shop")
    assert judged.is_denied or judged.verdict == "CRITICAL"


@given(st.binary(max_size=300))
def test_any_bytes_are_documents_or_unreadable(content):
    with contextlib.suppress(UnreadableError):
        assert isinstance(documents(content), list)
