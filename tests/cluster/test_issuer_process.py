"""The issuer as a process: what it asks the database, whom it answers, and what it removes."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from bot.identities import IssuerChild, open_ways
from bot.issuer import GrantDesk
from bot.settings import settings_from
from core.approval import Approval, ApprovalState, Subject
from core.cluster.client import KubernetesCluster
from core.cluster.grants import IssuerAddress, IssuerClient
from core.effects import Change
from core.errors import NotAllowedError, NotFoundError, StaleError, UnavailableError
from core.grants import Enforcement
from core.history import Entry, Happened
from core.permit import Permit, PermitRule, PermittedLine
from core.resolution import ActionType, ApprovalId, Person, Request, Resolution, ResolutionId, State
from core.resources import Resource
from core.risk_levels import RiskLevel
from storage.database import connected
from storage.grants import GrantRecords
from storage.store import PostgresStorage
from tests.cluster import objects
from tests.cluster.granted import issuer_of, named, open_identity
from tests.servers.kubernetes.identities import GRANTS, apply_identities, apply_policies, bind, kubeconfigs
from tests.servers.kubernetes.server import ClusterServer

ADA = Person("slack:T1/U1", "Ada")
ROOT = Path(__file__).parents[2]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Bench:
    """The issuer's process, its client, and an approval at work."""

    client: IssuerClient
    process: psutil.Process
    socket: Path
    store: PostgresStorage
    server: ClusterServer
    namespace: str

    async def approved(
        self, *, state: ApprovalState = ApprovalState.APPROVED, ends: int = 600, line: str | None = None
    ) -> Approval:
        """A resolution that executes under a lease, with this question; `line` is one asked for mid-run."""
        now = utc_now()
        request = Request("loc-01", self.namespace, ActionType.POD_RESTART, "web fails")
        resolution = Resolution(ResolutionId(str(uuid.uuid4())), request, ADA, State.GATHERING, now, now)
        rule = PermitRule(Change.RESTART, Resource("Deployment", "web", self.namespace, "apps/v1"))
        end = now + timedelta(seconds=ends)
        permit = Permit(ActionType.POD_RESTART, "c", self.namespace, (rule,), RiskLevel.MEDIUM, 1000, end)
        subject = Subject.RESOLUTION
        if line is not None:
            stages = (tuple(line.split()),)
            one = PermittedLine(line, stages, RiskLevel.HIGH, "R", self.namespace, (rule.target,))
            subject, permit = Subject.COMMAND, replace(permit, rules=(), lines=(one,))
        approval = Approval(ApprovalId(str(uuid.uuid4())), resolution.id, subject, state, permit, now, end)
        async with self.store.transaction() as tx:
            await tx.add_resolution(resolution, dedupe_key=None)
            await tx.add_approval(approval)
            await tx.append(Entry(Happened.REQUESTED, resolution.id, ADA))
        await self.sql(
            "UPDATE resolution SET state = 'executing', epoch = 1, lease_until = now() + interval '1 hour'"
            f" WHERE id = '{resolution.id}'"
        )
        return approval

    async def sql(self, statement: str) -> None:
        async with connected(self.store.engine) as connection:
            await connection.execute(text(statement))

    async def happened(self, approval: Approval) -> list[Entry]:
        found = await self.store.entries(approval.resolution_id)
        return [one.entry for one in found if one.entry.what.value.startswith("grant_")]

    def accounts(self) -> set[str]:
        return named(self.server.request("GET", f"/api/v1/namespaces/{GRANTS}/serviceaccounts"))


@pytest.fixture(scope="module")
def identities(cluster_server: ClusterServer) -> None:
    apply_identities(cluster_server)
    apply_policies(cluster_server)


@pytest.fixture
def managed(cluster_server: ClusterServer, identities: None, namespace: str) -> str:
    bind(cluster_server, namespace)
    return namespace


@pytest.fixture
async def bench(
    cluster_server: ClusterServer, cluster: KubernetesCluster, managed: str, database_url: str, store: PostgresStorage
) -> AsyncIterator[Bench]:
    await cluster.create(objects.workload("Deployment", managed), is_dry_run=False)
    kubeconfig = cluster_server.token_kubeconfig("incident-resolver", "incident-resolver-issuer")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "INCIDENT_RESOLVER_ISSUER_KUBECONFIG": str(kubeconfig),
    }
    with tempfile.TemporaryDirectory(prefix="ir-t-") as folder:
        child = IssuerChild(Path(folder) / "socket", environment)
        await child.start()
        client = IssuerClient(IssuerAddress(child.socket), cluster.credentials, cluster.runner, utc_now)
        try:
            yield Bench(client, psutil.Process(child.process.pid), child.socket, store, cluster_server, managed)
        finally:
            await child.stop()


async def test_an_approval_at_work_gets_one_credential_once_and_history_tells_its_id(bench: Bench, tmp_path: Path):
    approval = await bench.approved()

    grant = await bench.client.issue(approval.id, RiskLevel.MEDIUM)
    done = await grant.commands.run(
        (("kubectl", "rollout", "restart", "deployment/web"),), folder=tmp_path, seconds=30, namespace=bench.namespace
    )
    refused = await grant.commands.run(
        (("kubectl", "get", "secrets"),), folder=tmp_path, seconds=30, namespace=bench.namespace
    )

    assert done.exit_code == 0, done.output
    assert refused.exit_code != 0
    (entry,) = await bench.happened(approval)
    assert entry.what is Happened.GRANT_ISSUED
    assert entry.facts["approval_id"] == approval.id
    assert len(str(entry.facts["token_id"])) == 36
    assert grant.commands.token.value not in str(entry.facts)
    with pytest.raises(NotAllowedError, match="once"):
        await bench.client.issue(approval.id, RiskLevel.MEDIUM)
    assert f"p-{approval.id}" in bench.accounts()

    await bench.client.revoke(approval.id)
    after = await grant.commands.run(
        (("kubectl", "rollout", "restart", "deployment/web"),), folder=tmp_path, seconds=30, namespace=bench.namespace
    )

    assert after.exit_code != 0
    assert f"p-{approval.id}" not in bench.accounts()
    assert [one.what for one in await bench.happened(approval)] == [Happened.GRANT_ISSUED, Happened.GRANT_REVOKED]
    with pytest.raises(NotAllowedError, match="once"):
        await bench.client.issue(approval.id, RiskLevel.MEDIUM)


async def test_of_two_that_ask_at_once_one_is_refused_and_the_other_keeps_its_credential(bench: Bench, tmp_path: Path):
    approval = await bench.approved()

    answers = await asyncio.gather(
        bench.client.issue(approval.id, RiskLevel.MEDIUM),
        bench.client.issue(approval.id, RiskLevel.MEDIUM),
        return_exceptions=True,
    )

    (grant,) = [one for one in answers if not isinstance(one, Exception)]
    (refusal,) = [one for one in answers if isinstance(one, Exception)]
    assert isinstance(refusal, StaleError | NotAllowedError)
    line = (("kubectl", "get", "deployment", "web"),)
    done = await grant.commands.run(line, folder=tmp_path, seconds=30, namespace=bench.namespace)
    assert done.exit_code == 0, done.output


async def test_a_line_that_was_asked_for_has_a_credential_for_itself_alone(bench: Bench, tmp_path: Path):
    line = "kubectl scale deployment/web --replicas=1"
    approval = await bench.approved(line=line)
    grant = await bench.client.issue(approval.id, RiskLevel.MEDIUM)

    async def run(text: str) -> int | None:
        stages = (tuple(text.split()),)
        return (await grant.commands.run(stages, folder=tmp_path, seconds=30, namespace=bench.namespace)).exit_code

    assert await run("kubectl scale deployment/web --replicas=3") != 0
    assert await run("kubectl rollout restart deployment/web") != 0
    assert await run(line) == 0


async def test_a_line_that_no_role_can_say_has_none(bench: Bench):
    approval = await bench.approved(line="kubectl annotate deployment/web a=b")

    with pytest.raises(NotAllowedError, match="No credential can be made"):
        await bench.client.issue(approval.id, RiskLevel.MEDIUM)

    assert f"p-{approval.id}" not in bench.accounts()


@pytest.mark.parametrize("state", [ApprovalState.PENDING, ApprovalState.REJECTED, ApprovalState.CANCELLED])
async def test_what_was_not_approved_gets_none(bench: Bench, state: ApprovalState):
    approval = await bench.approved(state=state)

    with pytest.raises(NotAllowedError, match=state.value):
        await bench.client.issue(approval.id, RiskLevel.MEDIUM)

    assert f"p-{approval.id}" not in bench.accounts()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE approval SET digest = repeat('0', 64)", "digest differs"),
        (
            "UPDATE approval SET permit = jsonb_set(permit, '{rules,0,target,name}', '\"other\"')",
            "digest differs",
        ),
        ("UPDATE resolution SET state = 'completed'", "completed"),
        ("UPDATE resolution SET lease_until = now() - interval '1 second'", "No living worker"),
        ('UPDATE resolution SET interrupt_by = \'{"id": "x", "name": "X"}\'', "interrupt"),
    ],
)
async def test_what_is_not_as_it_was_approved_or_not_at_work_gets_none(bench: Bench, change: str, told: str):
    approval = await bench.approved()
    await bench.sql(change)

    with pytest.raises(NotAllowedError, match=told):
        await bench.client.issue(approval.id, RiskLevel.MEDIUM)

    assert f"p-{approval.id}" not in bench.accounts()


async def test_an_expired_approval_and_one_that_nobody_knows_get_none(bench: Bench):
    expired = await bench.approved(ends=-1)

    with pytest.raises(NotAllowedError, match="expired"):
        await bench.client.issue(expired.id, RiskLevel.MEDIUM)
    with pytest.raises(NotFoundError):
        await bench.client.issue(ApprovalId(str(uuid.uuid4())), RiskLevel.MEDIUM)
    with pytest.raises(NotFoundError):
        await bench.client.issue(ApprovalId("../../etc"), RiskLevel.MEDIUM)


async def test_a_token_is_renewed_in_time_while_the_execution_is_at_work_and_not_after(bench: Bench, tmp_path: Path):
    approval = await bench.approved()
    grant = await bench.client.issue(approval.id, RiskLevel.MEDIUM)
    first = grant.commands.token.value
    grant.commands.token.expires_at = utc_now() + timedelta(seconds=30)
    line = (("kubectl", "get", "deployment", "web"),)

    done = await grant.commands.run(line, folder=tmp_path, seconds=30, namespace=bench.namespace)

    assert done.exit_code == 0, done.output
    assert grant.commands.token.value != first
    assert [one.facts.get("is_renewal") for one in await bench.happened(approval)] == [None, True]
    await bench.sql("UPDATE resolution SET state = 'completed'")
    with pytest.raises(NotAllowedError, match="completed"):
        await bench.client.renew(approval.id)


async def test_the_socket_is_its_owners_alone(bench: Bench):
    assert stat.S_IMODE(bench.socket.stat().st_mode) == 0o600


def test_the_process_loads_neither_the_agent_nor_slack():
    loaded = "import sys, bot.cli.main, bot.cli.issuer; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "bot.issuer" in done.stdout.split()
    others = ("claude_agent_sdk", "anthropic", "slack_sdk", "slack_bolt", "core.agent", "bot.slack", "bot.wiring")
    assert not [one for one in done.stdout.split() if one.startswith(others)]


async def test_a_killed_issuer_changes_nothing_and_is_said_to_be_away(bench: Bench):
    approval = await bench.approved()
    bench.process.send_signal(signal.SIGKILL)
    bench.process.wait(5)

    with pytest.raises(UnavailableError, match="nothing is changed"):
        await bench.client.issue(approval.id, RiskLevel.MEDIUM)

    assert f"p-{approval.id}" not in bench.accounts()


async def test_what_an_execution_left_behind_is_swept_and_told_and_what_is_at_work_stays(
    bench: Bench, cluster_server: ClusterServer
):
    left, working = await bench.approved(), await bench.approved()
    grant = await bench.client.issue(left.id, RiskLevel.MEDIUM)
    await bench.client.issue(working.id, RiskLevel.MEDIUM)
    bench.process.send_signal(signal.SIGKILL)
    await bench.sql(f"UPDATE resolution SET state = 'interrupted' WHERE id = '{left.resolution_id}'")

    async with open_identity(cluster_server, "issuer") as issuing:
        desk = GrantDesk(GrantRecords(bench.store.engine), issuer_of(issuing))
        assert await desk.sweep() == 1
        assert await desk.sweep() == 0

    assert f"p-{left.id}" not in bench.accounts()
    assert f"p-{working.id}" in bench.accounts()
    assert [one.what for one in await bench.happened(left)] == [Happened.GRANT_ISSUED, Happened.GRANT_SWEPT]
    done = await grant.commands.run(
        (("kubectl", "get", "deployment", "web"),), folder=Path("/"), seconds=30, namespace=bench.namespace
    )
    assert done.exit_code != 0


@asynccontextmanager
async def serving(cluster_server: ClusterServer, database_url: str, folder: Path):
    settings = settings_from({**kubeconfigs(cluster_server), "data": folder, "database_url": database_url})
    async with open_ways(settings, database_url=database_url, clock=utc_now) as ways:
        yield ways


def issuers_below(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for one in process.children():
        with contextlib.suppress(psutil.Error):  # ended, or waits to be reaped
            if "issuer" in one.cmdline() and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
    return found


async def test_the_service_starts_its_issuer_starts_it_again_when_it_dies_and_ends_it(
    cluster_server: ClusterServer, managed: str, database_url: str, store: PostgresStorage, tmp_path: Path
):
    here = psutil.Process()
    async with serving(cluster_server, database_url, tmp_path) as ways, asyncio.TaskGroup() as group:
        (keep_running,) = ways.parts
        watching = group.create_task(keep_running())
        (first,) = issuers_below(here)
        assert (await ways.client.status()).problem is None
        assert ways.told == (str(Enforcement.VALUES),)

        first.kill()
        async with asyncio.timeout(40):
            while (await ways.client.status()).problem is not None:
                await asyncio.sleep(0.2)

        (second,) = issuers_below(here)
        assert second.pid != first.pid
        watching.cancel()

    assert not second.is_running()
