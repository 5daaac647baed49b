"""What the cluster enforces, as `check` tells it: with all of it, without the policies, without an issuer."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.cli import check
from bot.identities import cluster_state
from bot.settings import settings_from
from core.cluster.client import KubernetesCluster
from core.effects import Change
from core.grants import Enforcement
from core.permit import PermitRule
from core.resources import Resource
from tests.cluster import objects, waiting
from tests.cluster.granted import issuer_of, open_granted, open_identity
from tests.servers.kubernetes.identities import POLICIES, apply_identities, apply_policies, bind, kubeconfigs
from tests.servers.kubernetes.server import ClusterServer


def utc_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(autouse=True)
def identities(cluster_server: ClusterServer) -> Iterator[None]:
    apply_identities(cluster_server)
    apply_policies(cluster_server)
    yield
    apply_policies(cluster_server)


def without_policies(server: ClusterServer, *names: str) -> None:
    for one in names:
        server.kubectl("delete", "validatingadmissionpolicybinding", f"incident-resolver-{one}", "--ignore-not-found")


async def state(server: ClusterServer, **changed: object):
    settings = settings_from({**kubeconfigs(server), **changed})
    return await cluster_state(settings, utc_now, namespace=None)


async def test_with_everything_applied_the_api_server_holds_values_and_no_two_identities_are_one(
    cluster_server: ClusterServer,
):
    found = await state(cluster_server)

    assert found.posture.enforcement is Enforcement.VALUES
    assert found.posture.gaps == ()
    assert found.posture.same() == ()
    assert found.posture.users["issuer"] == "system:serviceaccount:incident-resolver:incident-resolver-issuer"
    assert found.reads.may_read_secrets is False
    assert found.changes is None


@pytest.mark.parametrize("missing", POLICIES)
async def test_without_a_policy_the_cluster_is_weaker_and_what_to_apply_is_named(
    missing: str, cluster_server: ClusterServer
):
    without_policies(cluster_server, missing)

    found = await state(cluster_server)

    assert found.posture.enforcement is Enforcement.NAMES
    (gap,) = found.posture.gaps
    assert f"manifests/{missing}-policy" in gap


async def test_a_policy_that_only_warns_or_is_about_another_user_is_no_policy(cluster_server: ClusterServer):
    warns = '{"spec": {"validationActions": ["Warn"]}}'
    cluster_server.kubectl(
        "patch",
        "validatingadmissionpolicybinding",
        "incident-resolver-grant-values",
        "--type=merge",
        "-p",
        warns,
    )
    admin = cluster_server.kubeconfig

    found = await state(cluster_server, issuer_kubeconfig=admin)

    told = " ".join(found.posture.gaps)
    assert "grant-values only warns" in told
    assert "issuer-fence is not about admin" in told


async def test_a_grant_says_itself_that_its_values_are_not_held(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str, tmp_path: Path
):
    bind(cluster_server, namespace)
    await cluster.create(objects.workload("Deployment", namespace), is_dry_run=False)
    without_policies(cluster_server, "grant-values", "grant-fence")
    rule = PermitRule(Change.RESTART, Resource("Deployment", "web", namespace, "apps/v1"))
    numbers = iter(range(100))
    async with open_identity(cluster_server, "issuer") as issuing:

        async def is_held() -> bool:
            approval = f"10000000-0000-0000-0000-{next(numbers):012}"
            async with open_granted(issuer_of(issuing), approval, rule, folder=tmp_path) as granted:
                return granted.grant.has_value_rules

        await waiting.eventually(is_held, lambda held: not held)
        apply_policies(cluster_server)
        await waiting.eventually(is_held, bool)


async def test_one_identity_for_everything_is_named_so(cluster_server: ClusterServer):
    settings = settings_from({"kubeconfig": cluster_server.kubeconfig})

    found = await cluster_state(settings, utc_now, namespace=None)

    assert found.posture.enforcement is Enforcement.ONE_IDENTITY
    assert found.posture.same() == (("reader", "preview", "keeper", "changes"),)


async def test_a_reader_apart_from_what_changes_is_a_ready_made_identity(cluster_server: ClusterServer):
    reader = kubeconfigs(cluster_server)["reader_kubeconfig"]
    settings = settings_from({"kubeconfig": cluster_server.kubeconfig, "reader_kubeconfig": reader})

    found = await cluster_state(settings, utc_now, namespace=None)

    assert found.posture.enforcement is Enforcement.READY_MADE
    assert found.posture.same() == (("preview", "keeper", "changes"),)
    assert found.changes is not None


async def test_two_kubeconfigs_of_one_user_are_one_identity(cluster_server: ClusterServer, tmp_path: Path):
    copy = tmp_path / "copy"
    copy.write_bytes(cluster_server.kubeconfig.read_bytes())
    settings = settings_from({"kubeconfig": cluster_server.kubeconfig, "reader_kubeconfig": copy})

    found = await cluster_state(settings, utc_now, namespace=None)

    assert found.posture.enforcement is Enforcement.ONE_IDENTITY


async def test_check_prints_the_mode_and_that_nothing_can_be_issued(cluster_server: ClusterServer):
    reader = kubeconfigs(cluster_server)["reader_kubeconfig"]
    settings = settings_from({**kubeconfigs(cluster_server), "issuer_kubeconfig": reader})

    told = await check._cluster(settings, None)

    lines = [f"{one.state} {one.told}" for one in told]
    assert any(one.startswith("warning") and "reader and issuer are one" in one for one in lines), lines
    assert any("nothing can be issued now" in one and "serviceaccounts" in one for one in lines), lines
