"""The gate by examples: each line with its verdict, its rule and, above LOW, exactly what it would change."""

import pytest

from core.commands.gate import judge
from core.effects import Change, Effect
from core.risk_levels import RiskLevel

READS = [
    # get
    "kubectl get pods",
    "kubectl get pods -n shop",
    "kubectl -n shop get pods",
    "kubectl -nshop get pods",
    "kubectl -n=shop get pods",
    "kubectl --namespace=shop get pods",
    "kubectl --namespace shop get pods",
    "kubectl get pods -n=shop",
    "kubectl get pods -nshop",
    "kubectl get pods --namespace shop",
    "kubectl get pods -A",
    "kubectl get pods --all-namespaces",
    "kubectl get pods --all_namespaces",
    "kubectl get pods -Aowide",
    "kubectl get pods -n kube-system",
    "kubectl get pod web-1 -o yaml",
    "kubectl get pod/web-1 -oyaml",
    "kubectl get pod/web-1 -o=json",
    "kubectl get pod web-1 --output=json",
    "kubectl get pod web-1 -o jsonpath='{.status.phase}'",
    'kubectl get pod web-1 -o jsonpath="{.status.phase}"',
    "kubectl get pods -o custom-columns=NAME:.metadata.name",
    "kubectl get pods -o go-template='{{.kind}}'",
    "kubectl get pods,svc,deploy",
    "kubectl get deploy/web svc/web",
    "kubectl get deployments.apps",
    "kubectl get deployments.v1.apps",
    "kubectl get pods.v1.",
    "kubectl get all",
    "kubectl get PODS",
    "kubectl get pods -l app=web",
    "kubectl get pods -lapp=web",
    "kubectl get pods -l 'app in (web, api)'",
    "kubectl get pods --field-selector=status.phase=Pending",
    "kubectl get pods --sort-by=.metadata.creationTimestamp",
    "kubectl get nodes --show-labels --no-headers",
    "kubectl get pods --request-timeout=5s",
    "kubectl get pods --",
    "kubectl get secrets",
    "kubectl get secrets -o name",
    "kubectl get secret db -o wide",
    # describe, logs, top, events
    "kubectl describe pod web-1",
    "kubectl describe deploy/web -n shop",
    "kubectl describe node node-1",
    "kubectl logs web-1",
    "kubectl logs deploy/web -c web --tail=100 --since=1h",
    "kubectl logs web-1 --previous --timestamps",
    "kubectl logs web-1 -p",
    "kubectl logs -l app=web --all-containers --prefix",
    "kubectl logs web-1 --tail 50",
    "kubectl top pod",
    "kubectl top pods -n shop --containers",
    "kubectl top po -A",
    "kubectl top nodes",
    "kubectl top no --no-headers",
    "kubectl events",
    "kubectl events --for pod/web-1 --types=Warning",
    # rollout, wait and what tells about the cluster
    "kubectl rollout status deploy/web",
    "kubectl rollout status deployment web --timeout=30s",
    "kubectl rollout status deploy/web --watch=false",
    "kubectl rollout history deploy/web",
    "kubectl rollout history deploy/web --revision=3",
    "kubectl wait pod/web-1 --for=condition=Ready --timeout=10s",
    "kubectl explain pod.spec",
    "kubectl api-resources",
    "kubectl api-versions",
    "kubectl version",
    "kubectl cluster-info",
    "kubectl auth can-i delete pods",
    "kubectl auth whoami",
    # what stands around it
    "  kubectl get pods  ",
    "kubectl   get   pods",
    "'kubectl' get pods",
    "kube'ctl' get pods",
    "kubectl get pods 2>&1",
    "kubectl get pods 2>/dev/null",
    "kubectl get pods > /dev/null",
]

PIPED_READS = [
    "kubectl get pods | grep web",
    "kubectl get pods | grep -v Running",
    "kubectl get pods | grep -iE 'crash|error'",
    "kubectl logs web-1 | grep -A3 -B 2 panic",
    "kubectl logs web-1 | grep -5 panic",
    "kubectl get pods | head -5",
    "kubectl get pods | head -n 5",
    "kubectl get pods | tail -n +2",
    "kubectl logs web-1 | tail -20",
    "kubectl get pods | wc -l",
    "kubectl get pods | sort -k 4 -rn",
    "kubectl get pods | sort -t, -k1",
    "kubectl get pods -o name | cut -d / -f 2",
    "kubectl get pods -o name | tr a-z A-Z",
    "kubectl get pods -o name | tr -d '/'",
    "kubectl get pods | uniq -c",
    "kubectl get pods -o json | jq '.items[].metadata.name'",
    "kubectl get pods -o json | jq -r '.items | length'",
    "kubectl get pods | column -t",
    "kubectl get pods | nl",
    "kubectl get pods | cat",
    "kubectl get pods 2>&1 | grep -i error",
    "kubectl get pods | sort | uniq -c | sort -rn | head -3",
]


@pytest.mark.parametrize("line", [*READS, *PIPED_READS])
def test_a_read_is_low_and_has_no_effects(line):
    judged = judge(line, "shop")

    assert (judged.verdict, judged.rule, judged.effects) == ("LOW", "R3", ()), judged.reason
    assert judged.stages[0][0] == "kubectl"


def _effect(change, kind, name, namespace="shop", **values):
    return Effect(change, kind, name, namespace, **values)


CHANGES = [
    # one pod
    ("kubectl delete pod web-1", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pods web-1", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete po/web-1", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pods.v1. web-1", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pod web-1 -n other", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1", "other")),
    ("kubectl -n other delete pod web-1", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1", "other")),
    ("kubectl -n a delete pod web-1 -n b", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1", "b")),
    ("kubectl delete pod web-1 --wait=false", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pod web-1 --grace-period=30", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pod -- web-1", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pod 'web-1'", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pod web-1 | cat", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    # rollouts
    ("kubectl rollout restart deployment/web", "MEDIUM", _effect(Change.RESTART, "Deployment", "web")),
    ("kubectl rollout restart deploy web", "MEDIUM", _effect(Change.RESTART, "Deployment", "web")),
    ("kubectl rollout restart sts/db", "MEDIUM", _effect(Change.RESTART, "StatefulSet", "db")),
    ("kubectl rollout restart daemonset/agent", "MEDIUM", _effect(Change.RESTART, "DaemonSet", "agent")),
    ("kubectl rollout undo deploy/web", "MEDIUM", _effect(Change.UNDO, "Deployment", "web")),
    (
        "kubectl rollout undo deploy/web --to-revision=3",
        "MEDIUM",
        _effect(Change.UNDO, "Deployment", "web", to_revision=3),
    ),
    ("kubectl rollout undo deploy/web --to-revision=0", "MEDIUM", _effect(Change.UNDO, "Deployment", "web")),
    # scale: HIGH in any spelling
    ("kubectl scale deploy/web --replicas=3", "HIGH", _effect(Change.SCALE, "Deployment", "web", replicas=3)),
    ("kubectl scale --replicas 3 deploy web", "HIGH", _effect(Change.SCALE, "Deployment", "web", replicas=3)),
    ("kubectl scale sts/db --replicas=0", "HIGH", _effect(Change.SCALE, "StatefulSet", "db", replicas=0)),
    (
        "kubectl scale deploy/web --replicas=9 --replicas=2",
        "HIGH",
        _effect(Change.SCALE, "Deployment", "web", replicas=2),
    ),
    (
        "kubectl scale deploy/web --replicas=3 --current-replicas=2",
        "HIGH",
        _effect(Change.SCALE, "Deployment", "web", replicas=3),
    ),
    # images
    (
        "kubectl set image deploy/web web=nginx:1.27",
        "MEDIUM",
        _effect(Change.SET_IMAGE, "Deployment", "web", images=(("web", "nginx:1.27"),)),
    ),
    (
        "kubectl set image deployment web web=registry.example/shop/web@sha256:abc log=fluent:2",
        "MEDIUM",
        _effect(
            Change.SET_IMAGE,
            "Deployment",
            "web",
            images=(("web", "registry.example/shop/web@sha256:abc"), ("log", "fluent:2")),
        ),
    ),
    (
        "kubectl set image deploy/web '*=nginx:1.27'",
        "MEDIUM",
        _effect(Change.SET_IMAGE, "Deployment", "web", images=(("*", "nginx:1.27"),)),
    ),
    # not a dry run, whatever it looks like
    ("kubectl delete pod web-1 --dry-run=none", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pod web-1 --dry-run=false", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pod web-1 --dry_run=none", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
    ("kubectl delete pod web-1 --dry-run=server --dry-run=none", "MEDIUM", _effect(Change.DELETE_POD, "Pod", "web-1")),
]


@pytest.mark.parametrize(("line", "verdict", "effect"), CHANGES)
def test_a_change_of_one_named_object_says_exactly_what_it_changes(line, verdict, effect):
    judged = judge(line, "shop")

    assert (judged.verdict, judged.effects) == (verdict, (effect,)), judged.reason
    assert judged.rule == ("R7" if verdict == "HIGH" else "R6")


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease"])
@pytest.mark.parametrize(
    "line", ["kubectl delete pod web-1", "kubectl rollout restart ds/agent", "kubectl scale deploy/dns --replicas=2"]
)
def test_a_change_in_a_system_namespace_is_critical_wherever_the_namespace_is_written(line, namespace):
    for judged in (judge(f"{line} -n {namespace}", "shop"), judge(line, namespace)):
        assert (judged.risk, judged.rule, judged.effects[0].namespace) == (RiskLevel.CRITICAL, "R8", namespace)


@pytest.mark.parametrize(
    "line",
    [
        "kubectl delete pod web-1 --dry-run=client",
        "kubectl delete pod web-1 --dry-run=server",
        "kubectl delete pod web-1 --dry-run",
        "kubectl delete pod web-1 --dry-run=true",
        "kubectl delete pod web-1 --dry-run=none --dry-run=client",
        "kubectl rollout undo deploy/web --dry-run=server",
        "kubectl scale deploy/web --replicas=3 --dry-run=server -o yaml",
        "kubectl set image deploy/web web=nginx:1 --dry-run=client -o yaml",
        "kubectl delete pod web-1 -n kube-system --dry-run=server",
    ],
)
def test_an_effective_dry_run_is_low(line):
    judged = judge(line, "shop")

    assert (judged.verdict, judged.rule, judged.effects) == ("LOW", "R9", ()), judged.reason


def test_what_is_judged_is_the_argument_vectors_that_run():
    judged = judge("""kubectl  get 'pods' -o "name" 2>&1 | grep 'it'"'"'s'""", "shop")

    assert judged.stages == (("kubectl", "get", "pods", "-o", "name"), ("grep", "it's"))
    assert judged.line == """kubectl  get 'pods' -o "name" 2>&1 | grep 'it'"'"'s'"""


def test_a_change_without_a_namespace_of_its_own_means_the_one_it_is_judged_in():
    assert judge("kubectl delete pod web-1", "pay").effects[0].namespace == "pay"
    assert judge("kubectl delete pod web-1 -n shop", "pay").effects[0].namespace == "shop"
