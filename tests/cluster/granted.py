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
from tests.servers.kubernetes.identities import ACCOUNTS, GRANTS, NAMESPACE
from tests.servers.kubernetes.server import ClusterServer
from tests.unit.core import examples


@asynccontextmanager
async def open_identity(server: ClusterServer, who: str) -> AsyncIterator[KubernetesCluster]:
    kubeconfig = server.token_kubeconfig(NAMESPACE, ACCOUNTS[who])
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
