"""The demo's incidents from the typed line to a healthy workload, on a real API server with its controllers."""

import pytest

from bot.demo.cluster.scenarios import SCENARIOS
from core.resolution import State
from tests.scenario.conftest import playing
from tests.servers.demo import stage

BY_NAME = {one.name: one for one in SCENARIOS}


def deployment(server, scenario):
    return server.request("GET", f"/apis/apps/v1/namespaces/{scenario.namespace}/deployments/{scenario.workload}")


@pytest.fixture
def staged(cluster_server):
    def put(name):
        scenario = BY_NAME[name]
        stage(cluster_server, scenario)
        return scenario

    yield put
    for scenario in SCENARIOS:
        cluster_server.kubectl("delete", "namespace", scenario.namespace, "--ignore-not-found", "--wait=false")


async def test_a_crashing_pod_is_deleted_and_replaced(database_url, cluster_server, staged):
    scenario = staged("crashloop")
    async with playing(database_url, cluster=cluster_server.kubeconfig) as play:
        await play.ask("crashloop")
        card = await play.card("Approval needed")
        await play.click(card, "approve")
        told = await play.thread_with(card, "Resolved", seconds=60)

    assert "kubectl delete pod checkout-" in told
    assert "2 of 2 replicas ready" in told
    assert deployment(cluster_server, scenario)["status"]["readyReplicas"] == 2


async def test_a_scaled_service_is_healthy_and_its_undo_puts_the_count_back(database_url, cluster_server, staged):
    scenario = staged("at-limit")
    async with playing(database_url, cluster=cluster_server.kubeconfig, verify_seconds=40.0) as play:
        await play.ask("at-limit")
        card = await play.card("Approval needed")
        await play.click(card, "approve")
        await play.thread_with(card, "Resolved", seconds=60)
        assert deployment(cluster_server, scenario)["spec"]["replicas"] == 4

        await play.click(await play.card("Resolved"), "rollback")
        await play.slack.until(lambda: "would be put back" in str(play.slack.view(play.ada)))
        await play.slack.submit_view(play.ada)
        await play.thread_with(card, "Rolled back:", seconds=30)

    assert deployment(cluster_server, scenario)["spec"]["replicas"] == 2


async def test_a_fix_that_makes_it_worse_is_put_back_by_itself(database_url, cluster_server, staged):
    scenario = staged("failing-fix")
    async with playing(database_url, cluster=cluster_server.kubeconfig, verify_seconds=6.0) as play:
        await play.ask("failing-fix")
        card = await play.card("Approval needed")
        await play.click(card, "approve")
        await play.thread_with(card, "Rolled back:", seconds=60)
        assert (await play.newest()).resolution.state is State.ROLLED_BACK

    container = deployment(cluster_server, scenario)["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == scenario.image
