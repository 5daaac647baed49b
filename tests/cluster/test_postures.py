"""What the cluster enforces, as `check` tells it: with all of it, without the policies, without an issuer."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.cli import check
from bot.identities import cluster_state, open_identities
from bot.settings import settings_from
from core.cluster.client import KubernetesCluster, open_cluster
from core.cluster.runner import kubectl_path
from core.effects import Change
from core.grants import Enforcement
from core.permit import PermitRule
from core.resources import Resource
from tests.cluster import objects, waiting
from tests.cluster.granted import issuer_of, open_granted, open_identity
from tests.servers.kubernetes.identities import (
    MANIFESTS,
    NAMESPACE,
    POLICIES,
    apply_identities,
    apply_policies,
    bind,
    kubeconfigs,
)
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


def ready_made(server: ClusterServer, *levels: str) -> dict[str, Path]:
    found = {}
    for level in levels:
        server.kubectl("apply", "-f", str(MANIFESTS / f"{level}-changer-service-account.yaml"))
        found[f"{level}_kubeconfig"] = server.token_kubeconfig(NAMESPACE, f"incident-resolver-{level}-changer")
    return found


async def test_with_an_identity_for_each_level_check_says_so_and_which_level_is_refused(cluster_server: ClusterServer):
    found = await state(cluster_server, issuer_kubeconfig=None, **ready_made(cluster_server, "medium", "high"))

    assert found.posture.enforcement is Enforcement.BY_RISK
    assert (
        found.posture.users["HIGH changes"] == "system:serviceaccount:incident-resolver:incident-resolver-high-changer"
    )
    assert found.posture.same() == ()
    (gap,) = found.posture.gaps
    assert "CRITICAL changes are refused" in gap
    assert found.changes is None


async def test_levels_of_one_and_the_same_identity_are_told(cluster_server: ClusterServer):
    one = ready_made(cluster_server, "medium")["medium_kubeconfig"]

    found = await state(
        cluster_server, issuer_kubeconfig=None, medium_kubeconfig=one, high_kubeconfig=one, critical_kubeconfig=one
    )

    assert found.posture.same() == (("MEDIUM changes", "HIGH changes", "CRITICAL changes"),)


async def test_once_an_issuer_is_set_no_ready_made_identity_is_opened(cluster_server: ClusterServer):
    settings = settings_from({**kubeconfigs(cluster_server), **ready_made(cluster_server, "medium")})

    async with open_identities(settings) as identities:
        assert identities.by_risk == {}


async def test_each_level_may_do_what_its_approvals_need_and_not_what_is_above_it(
    cluster: KubernetesCluster, cluster_server: ClusterServer, namespace: str, tmp_path: Path
):
    lines = {
        "medium": (
            "rollout restart deployment/web",
            "set env deployment/web A=b",
            "annotate cm web a=b",
            "delete pod web",
        ),
        "high": ("scale deployment/web --replicas=3", 'patch hpa web -p {"spec":{"maxReplicas":4}}'),
        "critical": ("delete deployment web", "delete cm web"),
    }
    for one in (
        objects.workload("Deployment", namespace),
        objects.config_map(namespace, "web"),
        objects.pod(namespace),
    ):
        await cluster.create(one, is_dry_run=False)
    await cluster.create(objects.autoscaler(namespace, lowest=1, highest=3), is_dry_run=False)
    opened = ready_made(cluster_server, *lines)
    for level in lines:
        text = (MANIFESTS / f"{level}-changer-role-binding.yaml").read_text()
        (tmp_path / "binding.yaml").write_text(text.replace("namespace: shop", f"namespace: {namespace}"))
        cluster_server.kubectl("apply", "-f", str(MANIFESTS / f"{level}-changer-cluster-role.yaml"))
        cluster_server.kubectl("apply", "-f", str(tmp_path / "binding.yaml"))

    done: dict[str, list[str]] = {}
    for level in lines:
        async with open_cluster(opened[f"{level}_kubeconfig"], kubectl=kubectl_path(None)) as one:
            for line in (*(each for some in lines.values() for each in some), "get secrets"):
                stages = (("kubectl", *line.split()),)
                ran = await one.run(stages, folder=tmp_path, seconds=30, namespace=namespace)
                if "within the past second" in ran.output:  # kubectl restarts a workload once a second
                    await asyncio.sleep(1.1)
                    ran = await one.run(stages, folder=tmp_path, seconds=30, namespace=namespace)
                done.setdefault(line, []).extend([level] if ran.exit_code == 0 else [])
                if ran.exit_code != 0:
                    assert "orbidden" in ran.output or "NotFound" in ran.output, (level, line, ran.output)

    assert {line: levels[0] for line, levels in done.items() if levels} == {
        line: level for level, some in lines.items() for line in some
    }
    assert done["scale deployment/web --replicas=3"] == ["high", "critical"]
