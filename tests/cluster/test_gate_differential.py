"""The verdict against the truth: the pinned kubectl runs each line, and the API server's audit log says what it sent.

A line that is LOW must not have sent a changing request, nor printed a Secret's value or kubectl's own credential. A
line above LOW that kubectl carried out must have changed something.
"""

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from core.cluster.runner import kubectl_path
from core.commands.gate import judge
from core.commands.kubectl import KUBECTL
from core.risk_levels import RiskLevel
from tests.cluster import objects
from tests.servers.kubernetes.programs import find_or_build
from tests.servers.kubernetes.server import ClusterServer, open_cluster_server
from tests.servers.parts import require
from tests.unit.core.commands import corpus_rows, rule_rows, test_gate

SHOP = "shop"
SECONDS_PER_LINE = 8
TOKEN = "token-of-another-user"
VALUE = base64.b64encode(b"what the Secret holds").decode()
SUCCEEDING_AT_LEAST = 240
CHANGING_AT_LEAST = 120
"""So many lines are to have done what they say, or the corpus proves little."""
REVIEWS = frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"})
GOES_ON = re.compile(r" (-w|--watch|-f web-1|wait|rollout status)\b")
STREAMS = frozenset({"exec", "attach", "portforward", "proxy"})
MORE_LINES = """
kubectl get pods --all_namespaces
kubectl get pods -Aoname
kubectl get all,secrets
kubectl get secrets -o name
kubectl get pod web-1 --subresource=status -o yaml
kubectl config view -o yaml
kubectl config view --minify -o jsonpath='{.users}'
kubectl get deploy/web svc/web
kubectl get pods -nshop -lapp=web
kubectl describe deploy
kubectl describe node node-a
kubectl logs web-1 --tail=1
kubectl auth can-i delete pods
kubectl auth can-i '*' '*' -A
kubectl rollout history deploy/web
kubectl rollout status deploy/web --timeout=1s
kubectl diff -f web.yaml --server-side
kubectl apply -f web.yaml --dry-run=server --server-side --force-conflicts
kubectl apply -f web.yaml --dry-run
kubectl apply -f web.yaml --dry-run=client --dry-run=server
kubectl create -f new.yaml --dry-run=server
kubectl replace -f web.yaml --dry-run=server
kubectl replace --force -f web.yaml --dry-run=server
kubectl delete -f web.yaml --dry-run=server
kubectl delete deploy web --dry-run=server
kubectl delete deploy web --dry-run=client
kubectl delete pod web-1 --force --grace-period=0 --dry-run=server
kubectl delete all --all --dry-run=server
kubectl delete pod web-1 --dry_run=server
kubectl delete pod web-1 --help=true
kubectl scale deploy/web --replicas=3 --dry-run=server
kubectl autoscale deploy/api --max=3 --dry-run=server
kubectl rollout undo deploy/web --dry-run=server
kubectl set image deploy/web web=nginx:9 --dry-run=server
kubectl set env deploy/web A=b --dry-run=server
kubectl set env deploy/web --list
kubectl set env deploy --all --list
kubectl set env -f web.yaml A=b --local -o yaml
kubectl set resources deploy/web --limits=cpu=1 --dry-run=server
kubectl set serviceaccount deploy/web x --dry-run=server
kubectl label deploy/web a=b --dry-run=server
kubectl label deploy/web --list
kubectl annotate deploy/web a=b --dry-run=client
kubectl annotate deploy/web --list
kubectl patch deploy web -p '{"spec":{"replicas":2}}' --dry-run=server
kubectl patch -f web.yaml -p '{"spec":{"replicas":2}}' --local -o yaml
kubectl taint nodes node-a a=b:NoSchedule --dry-run=server
kubectl cordon node-a --dry-run=server
kubectl drain node-a --dry-run=server --ignore-daemonsets --force
kubectl drain node-a --dry-run=client --ignore-daemonsets --force
kubectl expose deploy/web --name=other --port=80 --dry-run=server
kubectl run other --image=nginx --dry-run=server
kubectl create ns other --dry-run=server
kubectl create job other --from=cronjob/tick --dry-run=server
kubectl create quota other --hard=pods=1 --dry-run=server
kubectl create rolebinding other --clusterrole=view --user=z --dry-run=server
kubectl auth reconcile -f role.yaml
kubectl cordon node-a
kubectl uncordon node-a
kubectl taint nodes node-a a=b:NoSchedule
kubectl taint nodes node-a a-
kubectl label node node-a a=b
kubectl label ns shop a=b
kubectl delete deploy web -n shop
kubectl delete pod web-1 --force
kubectl delete pod web-1 --dry-run=none
kubectl delete pods -l app=web
kubectl delete svc,cm web
kubectl delete -f web.yaml
kubectl delete -k .
kubectl apply -k .
kubectl apply -f web.yaml
kubectl apply -f folder -R
kubectl apply -f web.yaml --server-side --force-conflicts
kubectl replace -f web.yaml
kubectl replace --force -f web.yaml
kubectl create -f new.yaml
kubectl patch deploy web --patch-file=p.yaml
kubectl patch deploy web --subresource=scale --type=merge -p '{"spec":{"replicas":2}}'
kubectl patch cm web --type=json -p '[{"op":"add","path":"/data/x","value":"y"}]'
kubectl rollout restart -f web.yaml
kubectl create quota other --hard=pods=100
kubectl create job other --from=cronjob/tick
kubectl set env deploy/web A=b --list
kubectl exec web-1 -- ls
"""


def lines() -> list[str]:
    rows = [line for line, _, _ in rule_rows.rows()]
    corpus = [*rows, *test_gate.READS, *(line for line, *_ in test_gate.CHANGES), *MORE_LINES.strip().splitlines()]
    bases = [line for line in corpus if line.startswith("kubectl")]
    return list(dict.fromkeys([*bases, *_with_each_switch(bases)]))


def spelled_lines() -> list[str]:
    """The corpus, but for what waits or goes on until it is stopped: one of each kind stands among `lines`."""
    corpus = [line for line, _ in corpus_rows.corpus()]
    return [line for line in corpus if line.startswith("kubectl") and not GOES_ON.search(line)]


def _with_each_switch(bases: list[str]) -> Iterator[str]:
    """Changes with one more switch of their verb, where the gate lets that pass as LOW."""
    for line in bases:
        judged = judge(line, SHOP)
        if judged.risk in {None, RiskLevel.LOW} or " -- " in line:
            continue
        flags = KUBECTL.verbs[judged.verb.removeprefix("kubectl ")]
        for longer in (f"{line} --{name}" for name, (_, kind) in flags.items() if kind != "value"):
            if judge(longer, SHOP).risk is RiskLevel.LOW:
                yield longer


@dataclass
class Audited:
    """A cluster whose audit log is read behind each line."""

    server: ClusterServer
    folder: Path
    baseline: Path
    read_to: int = 0
    marks: int = 0
    is_dirty: bool = field(default=True)
    shown: set[tuple[str, ...]] = field(default_factory=set)
    """The lines that printed the Secret's value, or a credential of the kubeconfig."""

    def run(self, stages: tuple[tuple[str, ...], ...]) -> tuple[int | None, list[str]]:
        """kubectl's exit code, None where it had to be stopped, and the changing requests it sent."""
        if self.is_dirty:
            self.restore()
        self._requests()
        try:
            code = self._kubectl(stages[0][1:], self.folder)
        except subprocess.TimeoutExpired:
            code = None
        sent = self._requests()
        self.is_dirty = bool(sent)
        return code, sent

    def restore(self) -> None:
        for _ in range(20):
            arguments = ("apply", "--server-side", "--force-conflicts", "-f", str(self.baseline))
            if self._kubectl(arguments, self.baseline.parent) == 0:
                return
            time.sleep(0.5)

    def _kubectl(self, arguments: tuple[str, ...], folder: Path) -> int:
        done = subprocess.run(
            [str(kubectl_path(None)), *arguments],
            cwd=folder,
            env={
                "HOME": str(self.server.folder),
                "KUBECONFIG": str(self.server.folder / "shop.kubeconfig"),
                "KUBERC": "off",
                "PATH": "/usr/bin:/bin",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS_PER_LINE,
            check=False,
        )
        if any(one.encode() in done.stdout + done.stderr for one in (VALUE, TOKEN)):
            self.shown.add(arguments)
        return done.returncode

    def _requests(self) -> list[str]:
        """What kubectl sent since the last call; a request of our own marks the end of the log."""
        self.marks += 1
        mark = f"mark-{self.marks}"
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        review["spec"] = {"nonResourceAttributes": {"path": f"/{mark}", "verb": "get"}}
        self.server.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        log = self.server.folder / "audit.log"
        for _ in range(200):
            with log.open("rb") as file:
                file.seek(self.read_to)
                new = file.read()
            if mark.encode() in new and new.endswith(b"\n"):
                break
            time.sleep(0.02)
        self.read_to += len(new)
        events = [json.loads(line) for line in new.splitlines()]
        return [f"{one['verb']} {one['requestURI']}" for one in events if _is_change(one)]


def _is_change(event: dict) -> bool:
    target = event.get("objectRef", {})
    if not event.get("userAgent", "").startswith("kubectl") or target.get("resource") in REVIEWS:
        return False
    if target.get("subresource") in STREAMS:
        return True
    body = event.get("requestObject")
    options = (body.get("deleteOptions") or body) if isinstance(body, dict) else {}
    return "dryRun=All" not in event["requestURI"] and options.get("dryRun") != ["All"]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    folder, base = tmp_path_factory.mktemp("folder"), tmp_path_factory.mktemp("baseline")
    with open_cluster_server(require(find_or_build), has_audit=True) as server:
        text = server.kubeconfig.read_text().replace("context:\n", f"context:\n    namespace: {SHOP}\n")
        kubeconfig = yaml.safe_load(text)
        kubeconfig["users"].append({"name": "another", "user": {"token": TOKEN}})
        (server.folder / "shop.kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": SHOP}})
        _write_files(folder, base)
        yield Audited(server, folder, base / "all.yaml")


def _named(kind: str, name: str, version: str = "v1", **fields) -> dict:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": SHOP}, **fields}


def _write_files(folder: Path, base: Path) -> None:
    web = json.loads(json.dumps(objects.workload("Deployment", SHOP)))
    pod = web["spec"]["template"]["spec"]
    bare = _named("Pod", "web-1", spec=pod)
    bare["metadata"]["labels"] = {"app": "bare"}
    role = _named("Role", "x", "rbac.authorization.k8s.io/v1", rules=[])
    others = [
        objects.workload(kind, SHOP, name)
        for kind, name in (("StatefulSet", "db"), ("DaemonSet", "agent"), ("Deployment", "api"))
    ]
    job = {"template": {"spec": pod | {"restartPolicy": "Never"}}}
    everything = [
        *(web, *others, bare, role),
        _named("Pod", "web-2", spec=pod),
        _named("Service", "web", spec={"ports": [{"port": 80}], "selector": {"app": "web"}}),
        _named("ConfigMap", "web", data={"a": "b"}),
        _named("Secret", "db", data={"a": VALUE}),
        _named("CronJob", "tick", "batch/v1", spec={"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}),
    ]
    (base / "all.yaml").write_text(yaml.safe_dump_all(json.loads(json.dumps(everything))))
    (folder / "web.yaml").write_text(yaml.safe_dump(web))
    (folder / "new.yaml").write_text(yaml.safe_dump(_named("ConfigMap", "new", data={})))
    (folder / "role.yaml").write_text(yaml.safe_dump(role))
    (folder / "p.yaml").write_text("spec: {replicas: 2}\n")
    (folder / "kustomization.yaml").write_text("resources: [new.yaml]\n")
    (folder / "folder").mkdir()
    shutil.copy(folder / "new.yaml", folder / "folder" / "new.yaml")


def judged_lines(*, is_low: bool) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
    given = [*lines(), *spelled_lines()] if is_low else lines()
    judged = [judge(line, SHOP) for line in dict.fromkeys(given)]
    return [(one.line, one.stages) for one in judged if one.risk is not None and (one.risk is RiskLevel.LOW) == is_low]


@pytest.mark.timeout(900)
def test_no_line_that_is_low_sends_a_changing_request_or_prints_a_secret(audited: Audited):
    found = {line: audited.run(stages) for line, stages in judged_lines(is_low=True)}

    assert sum(1 for code, _ in found.values() if code == 0) >= SUCCEEDING_AT_LEAST
    assert {line: sent for line, (_, sent) in found.items() if sent} == {}
    assert audited.shown == set()


@pytest.mark.timeout(900)
def test_a_line_above_low_that_kubectl_carries_out_sends_a_changing_request(audited: Audited):
    """Nothing is judged dangerous without need: what succeeds does change something."""
    found = {line: audited.run(stages) for line, stages in judged_lines(is_low=False)}

    assert {line for line, (code, sent) in found.items() if code == 0 and not sent} <= UNCHANGED
    assert sum(1 for _, sent in found.values() if sent) >= CHANGING_AT_LEAST


UNCHANGED = frozenset(
    {
        "kubectl set env deploy/web A=b --list",
        "kubectl set subject rolebinding x --user=z",
        "kubectl rollout restart deploy -l app=web",
        "kubectl label pods -l x=y a=b",
        "kubectl label pods -A -l a=b c=d",
        "kubectl delete pods --field-selector=status.phase=Failed",
        "kubectl delete -f -",
        "kubectl auth reconcile -f web.yaml",
        "kubectl auth reconcile -f role.yaml",
    }
)
"""Lines above LOW that found nothing to change on this cluster (and --list, which the gate trusts only by itself)."""
