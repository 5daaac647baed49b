"""The identities as the manifests ship them, on the real API server, and grants made with the issuer's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.cluster.client import KubernetesCluster, open_as, open_cluster
from core.cluster.issuing import GrantIssuer, IssuedGrant
from core.cluster.runner import kubectl_path
from core.permit import Permit, PermitRule
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

    async def status_of_patch(self, path: str, change: dict[str, Any]) -> int:
        """What the API server answers to a strategic merge patch with the grant's token: no gate, no kubectl."""
        client = self.cluster.api._client
        headers = {"Accept": "application/json", "Content-Type": "application/strategic-merge-patch+json"}
        request = await client.param_serialize(
            "PATCH", path, header_params=headers, body=change, auth_settings=["BearerToken"]
        )
        response = await client.call_api(*request)
        return int(response.status)

    async def patch(self, kind: str, name: str, change: str) -> str:
        return await self.kubectl("patch", kind, name, "--type=strategic", "-p", change)


@asynccontextmanager
async def open_granted(issuer: GrantIssuer, approval: str, *rules: PermitRule, folder: Path) -> AsyncIterator[Granted]:
    permit = examples.permit(*rules, namespace=str(rules[0].target.namespace))
    async with open_permitted(issuer, approval, permit, folder=folder) as granted:
        yield granted


@asynccontextmanager
async def open_permitted(issuer: GrantIssuer, approval: str, permit: Permit, *, folder: Path) -> AsyncIterator[Granted]:
    grant = await issuer.issue(ApprovalId(approval), ResolutionId(f"r-{approval}"), permit)
    credentials = await issuer._credentials.with_token(grant.token)
    async with open_as(credentials, kubectl=kubectl_path(None)) as cluster:
        yield Granted(grant, cluster, permit.namespace, folder)


def named(objects: dict[str, Any]) -> set[str]:
    return {one["metadata"]["name"] for one in objects["items"]}
