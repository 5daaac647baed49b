"""The demo's incidents on a real API server, every change with a credential issued for its approval."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from bot.demo.cluster.scenarios import SCENARIOS
from core.approval import Approval, ApprovalState, Subject
from core.effects import Change
from core.history import Entry, Happened
from core.permit import Permit, PermitRule
from core.ports import HistoryFilter
from core.resolution import ActionType, ApprovalId, Person, Request, Resolution, ResolutionId, State
from core.resources import Resource
from core.risk_levels import RiskLevel
from storage.database import connected
from tests.cluster import objects
from tests.cluster.granted import issuer_of, named, open_identity
from tests.scenario.conftest import playing
from tests.scenario.test_plans import proposing
from tests.servers.demo import issue_credentials, stage
from tests.servers.kubernetes.identities import GRANTS, kubeconfigs

BY_NAME = {one.name: one for one in SCENARIOS}
ADA = Person("slack:T1/U1", "Ada")


@pytest.fixture
def staged(cluster_server):
    def put(name):
        scenario = BY_NAME[name]
        cluster_server.kubectl("delete", "namespace", scenario.namespace, "--ignore-not-found", "--timeout=60s")
        stage(cluster_server, scenario)
        issue_credentials(cluster_server, {scenario.namespace})
        return scenario

    yield put
    for scenario in SCENARIOS:
        cluster_server.kubectl("delete", "namespace", scenario.namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture
def issued(database_url, cluster_server):
    def play(**settings):
        identities = kubeconfigs(cluster_server)
        return playing(database_url, cluster=identities["reader_kubeconfig"], **identities, **settings)

    return play


def accounts(server) -> set[str]:
    return named(server.request("GET", f"/api/v1/namespaces/{GRANTS}/serviceaccounts"))


def deployment(server, scenario):
    return server.request("GET", f"/apis/apps/v1/namespaces/{scenario.namespace}/deployments/{scenario.workload}")


async def happened(store, resolution_id) -> list[Happened]:
    return [one.entry.what for one in await store.entries(ResolutionId(resolution_id))]


async def test_a_count_is_written_with_the_credential_and_put_back_by_the_keeper(cluster_server, staged, issued, store):
    scenario = staged("at-limit")
    async with issued(verify_seconds=40.0) as play:
        await play.ask("at-limit")
        card = await play.card("Approval needed")
        await play.click(card, "approve")
        await play.thread_with(card, "Resolved", seconds=60)
        assert deployment(cluster_server, scenario)["spec"]["replicas"] == 4
        one = await play.newest()

        await play.click(await play.card("Resolved"), "rollback")
        await play.slack.until(lambda: "would be put back" in str(play.slack.view(play.ada)))
        await play.slack.submit_view(play.ada)
        await play.thread_with(card, "Rolled back:", seconds=30)

    assert deployment(cluster_server, scenario)["spec"]["replicas"] == 2
    told = await happened(store, one.resolution.id)
    started = told.index(Happened.EXECUTION_STARTED)
    assert started < told.index(Happened.GRANT_ISSUED) < told.index(Happened.COMMAND_JUDGED, started)
    assert told.index(Happened.GRANT_REVOKED) < told.index(Happened.EXECUTION_ENDED)
    assert f"p-{one.resolution.approval_id}" not in accounts(cluster_server)


async def test_a_plan_that_writes_values_runs_with_a_credential_that_is_held_to_them(
    cluster_server, staged, issued, store
):
    scenario = staged("at-limit")
    where = ("-n", scenario.namespace)
    cluster_server.kubectl(
        *where, "create", "configmap", "settings", "--from-literal=pool=5", "--from-literal=log=info"
    )
    named = f"deployment/{scenario.workload}"
    lines = [
        f"kubectl scale {named} --replicas=4 -n {scenario.namespace}",
        f'kubectl patch configmap settings -n {scenario.namespace} -p \'{{"data":{{"pool":"20"}}}}\'',
        f"kubectl annotate {named} pool=20 -n {scenario.namespace}",
        f"kubectl set env {named} POOL=20 -n {scenario.namespace}",
    ]
    async with issued(verify_seconds=40.0) as play:
        play.stage.model.script = proposing(lines)
        await play.ask("at-limit")
        card = await play.card("Approval needed", seconds=40)
        assert "data.pool" in str(card["blocks"])
        await play.click(card, "approve")
        told = await play.thread_with(card, "The plan was run to its end", seconds=60)
        one = await play.newest()

    assert [f"Step {number} of 4 is done" in told for number in (1, 2, 3, 4)] == [True] * 4
    live = deployment(cluster_server, scenario)
    assert live["metadata"]["annotations"]["pool"] == "20"
    (container,) = live["spec"]["template"]["spec"]["containers"]
    assert {"name": "POOL", "value": "20"} in container["env"]
    settings = cluster_server.request("GET", f"/api/v1/namespaces/{scenario.namespace}/configmaps/settings")
    assert settings["data"] == {"pool": "20", "log": "info"}
    assert Happened.GRANT_REVOKED in await happened(store, one.resolution.id)


async def test_a_fix_that_makes_it_worse_is_put_back_by_the_keeper(cluster_server, staged, issued):
    scenario = staged("failing-fix")
    async with issued(verify_seconds=6.0) as play:
        await play.ask("failing-fix")
        card = await play.card("Approval needed")
        await play.click(card, "approve")
        await play.thread_with(card, "Rolled back:", seconds=60)

    container = deployment(cluster_server, scenario)["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == scenario.image


async def test_an_interrupt_takes_the_credential_away(cluster_server, staged, issued, store):
    staged("crashloop")
    async with issued() as play:
        await play.ask("crashloop")
        card = await play.card("Approval needed")
        await play.click(card, "approve")
        await play.thread_with(card, "A credential for this approval alone was issued", seconds=40)
        await play.click(card, "interrupt")
        await play.thread_with(card, "Interrupted", seconds=20)
        one = await play.newest()

    assert Happened.GRANT_REVOKED in await happened(store, one.resolution.id)
    assert f"p-{one.resolution.approval_id}" not in accounts(cluster_server)


async def test_whoever_takes_over_a_dead_owners_run_takes_its_credential_away_first(
    cluster_server, cluster, namespace, issued, store
):
    await cluster.create(objects.workload("Deployment", namespace), is_dry_run=False)
    issue_credentials(cluster_server, {namespace})
    resolution, approval = executing(namespace)
    async with open_identity(cluster_server, "issuer") as issuing:
        await issuer_of(issuing).issue(approval.id, resolution.id, approval.permit)
    assert f"p-{approval.id}" in accounts(cluster_server)
    async with store.transaction() as tx:
        await tx.add_resolution(resolution, dedupe_key=None)
        await tx.add_approval(approval)
        await tx.append(Entry(Happened.REQUESTED, resolution.id, ADA))
    async with connected(store.engine) as connection:
        await connection.execute(text("UPDATE resolution SET state = 'executing', lease_until = now(), epoch = 7"))

    async with issued() as play:
        card = await play.card("Interrupted", seconds=30)
        assert "within ten minutes" not in play.thread(card)

    told = await happened(store, resolution.id)
    assert told.index(Happened.GRANT_REVOKED) < told.index(Happened.INTERRUPTED)
    assert f"p-{approval.id}" not in accounts(cluster_server)
    (ended,) = await store.history(HistoryFilter())
    assert ended.resolution.state is State.INTERRUPTED


def executing(namespace) -> tuple[Resolution, Approval]:
    now = datetime.now(UTC)
    end = now + timedelta(minutes=10)
    rule = PermitRule(Change.RESTART, Resource("Deployment", "web", namespace, "apps/v1"))
    request = Request("loc-01", namespace, ActionType.POD_RESTART, "it fails")
    permit = Permit(ActionType.POD_RESTART, "c", namespace, (rule,), RiskLevel.MEDIUM, 1000, end)
    resolution = Resolution(ResolutionId(str(uuid.uuid4())), request, ADA, State.GATHERING, now, now)
    state = ApprovalState.APPROVED
    return resolution, Approval(
        ApprovalId(str(uuid.uuid4())), resolution.id, Subject.RESOLUTION, state, permit, now, end
    )
