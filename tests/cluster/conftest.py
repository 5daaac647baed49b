"""One real cluster for the session, a namespace of its own for each test."""

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from core.cluster.client import KubernetesCluster, open_cluster
from core.cluster.issuing import GrantIssuer
from core.cluster.runner import kubectl_path
from tests.cluster.granted import issuer_of, open_identity
from tests.cluster.story import Story
from tests.servers.kubernetes.identities import apply_identities, apply_policies, bind
from tests.servers.kubernetes.programs import find_or_build
from tests.servers.kubernetes.server import ClusterServer, RefusedError, open_cluster_server
from tests.servers.parts import require

SECONDS_PER_TEST = 120
_numbers = itertools.count(1)
_approvals = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The limit is each test's own: the first one also pays for the build, which has a limit of its own."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS_PER_TEST, func_only=True))


@pytest.fixture(scope="session")
def cluster_server() -> Iterator[ClusterServer]:
    with open_cluster_server(require(find_or_build)) as server:
        yield server


@pytest.fixture
def namespace(cluster_server: ClusterServer) -> Iterator[str]:
    """Empty, and ready for pods: the service account that pods run as is there."""
    name = f"test-{next(_numbers)}"
    cluster_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    for _ in range(100):
        try:
            cluster_server.request("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default")
            break
        except RefusedError:
            time.sleep(0.05)
    yield name
    cluster_server.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
async def cluster(cluster_server: ClusterServer) -> AsyncIterator[KubernetesCluster]:
    """The product's own door, as the cluster's administrator."""
    async with open_cluster(cluster_server.kubeconfig, kubectl=kubectl_path(None)) as opened:
        yield opened


@pytest.fixture
def story(cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str, tmp_path: Path) -> Story:
    return Story(cluster, cluster_server, namespace, tmp_path)


@pytest.fixture(scope="module")
def identities(cluster_server: ClusterServer) -> None:
    apply_identities(cluster_server)
    apply_policies(cluster_server)


@pytest.fixture
async def issuing(cluster_server: ClusterServer, identities: None) -> AsyncIterator[KubernetesCluster]:
    async with open_identity(cluster_server, "issuer") as opened:
        yield opened


@pytest.fixture
def issuer(issuing: KubernetesCluster) -> GrantIssuer:
    return issuer_of(issuing)


@pytest.fixture
def managed(cluster_server: ClusterServer, identities: None, namespace: str) -> str:
    bind(cluster_server, namespace)
    return namespace


@pytest.fixture
def approval() -> str:
    return f"00000000-0000-0000-0000-{next(_approvals):012}"
