"""The identities as the manifests ship them, on the real API server, and grants made with the issuer's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.cluster.client import KubernetesCluster, open_as, open_cluster
from core.cluster.issuing import GrantIssuer, IssuedGrant
from core.cluster.runner import kubectl_path
from core.permit import PermitRule
from core.resolution import ApprovalId, ResolutionId
from tests.servers.kubernetes.server import ClusterServer
from tests.unit.core import examples

MANIFESTS = Path(__file__).parents[2] / "manifests"
GRANTS = "incident-resolver-grants"
POLICIES = ("issuer-fence", "preview-only", "grant-fence", "grant-values")
ACCOUNTS = ("issuer", "preview", "keeper")
IN_EACH_NAMESPACE = ("issuer", "keeper", "preview", "grant-reads")


def apply_identities(server: ClusterServer) -> None:
    """Everything but the policies and what is bound in each namespace."""
    names = ["namespace", "grants-namespace", "service-account", "reader-cluster-role", "reader-cluster-role-binding"]
    names += [f"{one}-service-account" for one in ACCOUNTS]
    names += [f"{one}-cluster-role" for one in IN_EACH_NAMESPACE]
    names += ["issuer-grants-role", "issuer-grants-role-binding"]
    _apply(server, names)


def apply_policies(server: ClusterServer) -> None:
    _apply(server, [f"{one}-policy{part}" for one in POLICIES for part in ("", "-binding")])


def delete_policies(server: ClusterServer) -> None:
    for one in POLICIES:
        server.kubectl("delete", "validatingadmissionpolicybinding", f"incident-resolver-{one}", "--ignore-not-found")


def bind(server: ClusterServer, namespace: str, folder: Path) -> None:
    """As the manifests say to: each example copied into the namespace."""
    for one in IN_EACH_NAMESPACE:
        text = (MANIFESTS / f"{one}-role-binding.yaml").read_text()
        file = folder / f"{one}.yaml"
        file.write_text(text.replace("  namespace: shop", f"  namespace: {namespace}", 1))
        server.kubectl("apply", "-f", str(file))


def _apply(server: ClusterServer, names: list[str]) -> None:
    flags = [part for name in names for part in ("-f", str(MANIFESTS / f"{name}.yaml"))]
    server.kubectl("apply", *flags)


@asynccontextmanager
async def open_identity(server: ClusterServer, who: str) -> AsyncIterator[KubernetesCluster]:
    kubeconfig = server.token_kubeconfig("incident-resolver", f"incident-resolver-{who}")
    async with open_cluster(kubeconfig, kubectl=kubectl_path(None)) as opened:
        yield opened


def issuer_of(cluster: KubernetesCluster) -> GrantIssuer:
    return GrantIssuer(cluster.api, cluster.credentials, namespace=GRANTS)


@dataclass
class Granted:
    """A grant and the cluster as it sees it: no gate, no toolbox, only the API server's word."""

    grant: IssuedGrant
    cluster: KubernetesCluster
    namespace: str
    folder: Path

    async def kubectl(self, *line: str) -> str:
        """What kubectl prints with the grant's token; "ok: " or "refused: " before it."""
        done = await self.cluster.run((("kubectl", *line),), folder=self.folder, seconds=30, namespace=self.namespace)
        return f"{'ok' if done.exit_code == 0 else 'refused'}: {done.output}"

    async def patch(self, kind: str, name: str, change: str) -> str:
        return await self.kubectl("patch", kind, name, "--type=strategic", "-p", change)


@asynccontextmanager
async def open_granted(issuer: GrantIssuer, approval: str, *rules: PermitRule, folder: Path) -> AsyncIterator[Granted]:
    namespace = str(rules[0].target.namespace)
    permit = examples.permit(*rules, namespace=namespace)
    grant = await issuer.issue(ApprovalId(approval), ResolutionId(f"r-{approval}"), permit)
    credentials = await issuer._credentials.with_token(grant.token)
    async with open_as(credentials, kubectl=kubectl_path(None)) as cluster:
        yield Granted(grant, cluster, namespace, folder)


def named(objects: dict[str, Any]) -> set[str]:
    return {one["metadata"]["name"] for one in objects["items"]}
