"""Each request of an execution goes by the identity it is meant for, and the API server knows them apart."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from core.cluster.at_work import ClusterAtWork
from core.cluster.client import KubernetesCluster
from core.cluster.kinds import KINDS
from core.errors import InvalidInputError, NotAllowedError
from core.resources import Resource
from tests.cluster import objects, waiting
from tests.cluster.granted import open_identity
from tests.servers.kubernetes.identities import apply_identities, apply_policies, bind
from tests.servers.kubernetes.server import ClusterServer


@pytest.fixture
async def at_work(cluster_server: ClusterServer) -> AsyncIterator[ClusterAtWork]:
    apply_identities(cluster_server)
    apply_policies(cluster_server)
    async with AsyncExitStack() as using:
        opened = [
            await using.enter_async_context(open_identity(cluster_server, who))
            for who in ("reader", "preview", "keeper")
        ]
        yield ClusterAtWork(*opened, namespaces=("test-*",))


@pytest.fixture
def managed(cluster_server: ClusterServer, at_work: ClusterAtWork, namespace: str) -> str:
    bind(cluster_server, namespace)
    return namespace


async def made(cluster: KubernetesCluster, namespace: str) -> Resource:
    one = await cluster.create(objects.workload("Deployment", namespace), is_dry_run=False)
    await cluster.create(objects.secret(namespace, a="b"), is_dry_run=False)
    return Resource("Deployment", "web", namespace, "apps/v1", one["metadata"]["uid"])


async def test_what_the_agent_runs_reads_no_secret_and_changes_nothing(
    cluster: KubernetesCluster, at_work: ClusterAtWork, managed: str, tmp_path: Path
):
    await made(cluster, managed)

    async def run(*line: str) -> int | None:
        return (await at_work.run((("kubectl", *line),), folder=tmp_path, seconds=30, namespace=managed)).exit_code

    assert await run("get", "deployment", "web") == 0
    assert await run("get", "secrets") != 0
    assert await run("rollout", "restart", "deployment/web") != 0
    assert await run("rollout", "restart", "deployment/web", "--dry-run=server") != 0


async def test_the_keeper_takes_and_restores_what_nobody_else_may(
    cluster: KubernetesCluster, at_work: ClusterAtWork, managed: str
):
    web = await made(cluster, managed)
    keys = Resource("Secret", "keys", managed, "v1")

    before = await at_work.read(keys)
    assert before is not None
    await at_work.check_kept(keys)
    await at_work.check_kept(web)
    await at_work.replace(before, is_dry_run=False)
    for other in (at_work.reader, at_work.preview):
        with pytest.raises(NotAllowedError):
            await other.read(keys)


async def test_dry_runs_go_by_the_preview_identity(cluster: KubernetesCluster, at_work: ClusterAtWork, managed: str):
    web = await made(cluster, managed)

    await at_work.delete(web, is_dry_run=True)

    names = iter(range(100))

    async def is_held() -> bool:
        try:
            manifest = objects.config_map(managed, f"one-{next(names)}")
            await at_work.preview.create(manifest, is_dry_run=False)
        except NotAllowedError as refusal:
            return "may only try changes" in str(refusal)
        return False

    await waiting.eventually(is_held, bool)
    assert await cluster.read(web) is not None


async def test_where_the_keeper_is_not_bound_a_change_is_refused_with_the_role_line(
    cluster: KubernetesCluster, at_work: ClusterAtWork, namespace: str
):
    web = await made(cluster, namespace)

    with pytest.raises(NotAllowedError, match=r"Add to its Role: .*deployments"):
        await at_work.check_kept(web)
    with pytest.raises(NotAllowedError, match=r"Add to its Role: .*deployments"):
        await at_work.read(web)


async def test_a_kind_outside_the_keepers_role_is_refused_with_the_role_line(at_work: ClusterAtWork, managed: str):
    with pytest.raises(NotAllowedError, match=r"Add to its Role: .*resourcequotas"):
        await at_work.check_kept(Resource("ResourceQuota", "limits", managed, "v1"))


async def test_a_namespace_that_the_policy_does_not_list_is_refused_however_it_is_bound(at_work: ClusterAtWork):
    with pytest.raises(NotAllowedError, match="snapshot_namespaces"):
        await at_work.check_kept(Resource("Deployment", "web", "other", "apps/v1"))


async def test_what_the_api_server_quotes_of_an_object_is_cut_and_redacted(
    cluster: KubernetesCluster, at_work: ClusterAtWork, managed: str
):
    """A strict refusal quotes the whole object, managed fields and values included."""
    token = "ghp_" + "a1B2" * 9
    await cluster.create(objects.config_map(managed, token=token, filler="x" * 3_000), is_dry_run=False)
    kind = KINDS["ConfigMap"]

    with pytest.raises(InvalidInputError) as refusal:
        await cluster.api.send(
            "PATCH",
            kind,
            path=kind.path(managed, "settings"),
            namespace=managed,
            query=[("fieldValidation", "Strict")],
            body={"unheard": "of"},
        )

    told = str(refusal.value)
    assert "refuses the object" in told
    assert token not in told
    assert len(told) < 700
