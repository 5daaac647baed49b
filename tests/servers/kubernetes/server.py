"""A whole cluster on 127.0.0.1: etcd, API server, controller-manager, scheduler and the kubelet that runs nothing."""

import http.client
import json
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.cluster.runner import kubectl_path
from tests.servers.kubernetes import certificates
from tests.servers.kubernetes.programs import Programs
from tests.servers.processes import free_ports, started, wait_until

NODES = ("node-a", "node-b")
START_SECONDS = 90
_CHECKOUT = Path(__file__).parents[3]
_CLIENTS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kubelet-client": ("apiserver-kubelet-client", "system:masters"),
}


class RefusedError(Exception):
    """The API server, or kubectl, answered a request of the test's own with a failure."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:1000]}")
        self.status = status


@dataclass(frozen=True, slots=True)
class ClusterServer:
    """The running cluster. `kubeconfig` is the administrator's; `folder` holds certificates and logs."""

    folder: Path
    url: str
    kubeconfig: Path

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, content: str = "application/json"
    ) -> dict[str, Any]:
        """A request as the administrator, independent of the product's client. RefusedError for any failure."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"Content-Type": content})
        try:
            with urllib.request.urlopen(request, timeout=15, context=self._context()) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedError(error.code, error.read().decode(errors="replace")) from error

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints, its warnings too, as the administrator. RefusedError where it fails."""
        done = subprocess.run(
            [str(kubectl_path(None)), "--kubeconfig", str(self.kubeconfig), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
            env={"HOME": str(self.folder), "KUBERC": "off", "PATH": "/usr/bin:/bin"},
        )
        if done.returncode:
            raise RefusedError(done.returncode, done.stdout)
        return done.stdout

    def token_kubeconfig(self, namespace: str, account: str, *, hours: int = 1) -> Path:
        """A kubeconfig of a service account that exists, valid for some hours."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        answer = self.request("POST", path, {"spec": {"expirationSeconds": 3600 * hours}})
        user = {"token": answer["status"]["token"]}
        return self._write_kubeconfig(f"{namespace}-{account}.kubeconfig", user)

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2, context=self._context()) as response:
                return response.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def is_populated(self) -> bool:
        """Whether pods can run: the default service account is there and every node is ready and untainted."""
        try:
            self.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
            nodes = self.request("GET", "/api/v1/nodes")["items"]
        except (OSError, RefusedError):
            return False
        return len(nodes) == len(NODES) and not any(node["spec"].get("taints") or not _is_ready(node) for node in nodes)

    def _write_kubeconfig(self, name: str, user: Mapping[str, str]) -> Path:
        cluster = {"server": self.url, "certificate-authority": str(self.folder / "ca.crt")}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test-cluster", "cluster": cluster}],
            "users": [{"name": "test-user", "user": dict(user)}],
            "contexts": [{"name": "test", "context": {"cluster": "test-cluster", "user": "test-user"}}],
        }
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(config))
        return file

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        return context


@contextmanager
def open_cluster_server(programs: Programs, *, has_audit: bool = False) -> Iterator[ClusterServer]:
    """A cluster with two nodes that accept pods, for as long as the block lasts. NotStartedError holds its log.

    With `has_audit` the administrator's changing requests stand in `audit.log` of its folder, one JSON a line.
    """
    with tempfile.TemporaryDirectory(prefix="ir-cluster-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        folder = Path(name)
        etcd, peer, api, controller, scheduler, kubelet = free_ports(6)
        _write_certificates(folder)
        server = ClusterServer(folder, f"https://127.0.0.1:{api}", folder / "admin.kubeconfig")
        for user in ("admin", "controller-manager", "scheduler"):
            files = {"client-certificate": str(folder / f"{user}.crt"), "client-key": str(folder / f"{user}.key")}
            server._write_kubeconfig(f"{user}.kubeconfig", files)
        log = folder / "etcd.log"
        process = stack.enter_context(started(_etcd(programs, folder, etcd, peer), log=log))
        url = f"http://127.0.0.1:{etcd}/health"
        wait_until(lambda: _answers(url), what="etcd", seconds=START_SECONDS, process=process, log=log)
        log = folder / "apiserver.log"
        apiserver = [*_apiserver(programs, folder, etcd, api), *(_audit(folder) if has_audit else ())]
        process = stack.enter_context(started(apiserver, log=log))
        wait_until(server.is_healthy, what="the API server", seconds=START_SECONDS, process=process, log=log)
        log = folder / "controller-manager.log"
        process = stack.enter_context(started(_controller_manager(programs, folder, controller), log=log))
        stack.enter_context(started(_scheduler(programs, folder, scheduler), log=folder / "scheduler.log"))
        stack.enter_context(
            started(
                [sys.executable, "-m", "tests.servers.kubernetes.kubelet", server.url, name, str(kubelet), *NODES],
                log=folder / "kubelet.log",
                folder=_CHECKOUT,
            )
        )
        wait_until(server.is_populated, what="nodes that are ready", seconds=START_SECONDS, process=process, log=log)
        yield server


def _write_certificates(folder: Path) -> None:
    authority = certificates.new_authority(folder)
    authority.write_server("apiserver", names=certificates.SERVER_NAMES)
    authority.write_server("kubelet", names=("127.0.0.1",))
    for file, (name, group) in _CLIENTS.items():
        authority.write_client(file, name=name, group=group)
    certificates.write_token_keys(folder)


def _etcd(programs: Programs, folder: Path, port: int, peer: int) -> Sequence[str]:
    client_url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    return [
        str(programs.etcd),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver(programs: Programs, folder: Path, etcd: int, port: int) -> Sequence[str]:
    """127.0.0.1 is no valid endpoint of the Service `kubernetes`, hence no endpoint reconciler."""
    return [
        str(programs.apiserver),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'apiserver.crt'}",
        f"--tls-private-key-file={folder / 'apiserver.key'}",
        f"--client-ca-file={folder / 'ca.crt'}",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--endpoint-reconciler-type=none",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={folder / 'kubelet-client.crt'}",
        f"--kubelet-client-key={folder / 'kubelet-client.key'}",
        f"--kubelet-certificate-authority={folder / 'ca.crt'}",
    ]


def _audit(folder: Path) -> Sequence[str]:
    """Bodies too: a dry run of delete is told by its body only."""
    streams = [
        {"group": "", "resources": ["pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "nodes/proxy"]}
    ]
    changing = ["create", "update", "patch", "delete", "deletecollection"]
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {"level": "Request", "users": ["admin"], "resources": streams},
            {"level": "Request", "users": ["admin"], "verbs": changing},
            {"level": "None"},
        ],
    }
    (folder / "audit.yaml").write_text(yaml.safe_dump(policy))
    return [f"--audit-policy-file={folder / 'audit.yaml'}", f"--audit-log-path={folder / 'audit.log'}"]


def _controller_manager(programs: Programs, folder: Path, port: int) -> Sequence[str]:
    """Without its own plugin folder it makes one in /usr; at 20 requests a second it takes 5 s longer to start."""
    return [
        str(programs.controller_manager),
        f"--kubeconfig={folder / 'controller-manager.kubeconfig'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--service-account-private-key-file={folder / 'sa.key'}",
        f"--root-ca-file={folder / 'ca.crt'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        f"--flex-volume-plugin-dir={folder / 'flexvolume'}",
        "--node-monitor-period=2s",
        "--node-monitor-grace-period=20s",
        "--horizontal-pod-autoscaler-sync-period=3s",
    ]


def _scheduler(programs: Programs, folder: Path, port: int) -> Sequence[str]:
    return [
        str(programs.scheduler),
        f"--kubeconfig={folder / 'scheduler.kubeconfig'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--leader-elect=false",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
    ]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except (OSError, http.client.HTTPException):
        return False


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
