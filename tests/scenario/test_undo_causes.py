"""What undoes by itself is what the policy names, and nothing where it names nothing."""

import asyncio

import pytest

from bot.demo.model.server import Fault, Turn
from core.history import Happened
from core.resolution import State
from tests.scenario.conftest import playing

BASE = "/api/v1/incident"
BODY = {
    "client_id": "loc-01",
    "namespace": "orders",
    "action_type": "resource_scale",
    "action_description": "orders-api: queue is full",
}
LINE = "kubectl scale deployment/orders-api --replicas=3 -n orders"


@pytest.mark.parametrize(
    ("causes", "end", "replicas"),
    [("[error]", State.ROLLED_BACK, 2), ("[worse, timeout, interrupt]", State.FAILED, 3)],
)
async def test_an_error_after_a_change_undoes_it_only_where_the_policy_names_errors(
    database_url, tmp_path, causes, end, replicas
):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\nexecution:\n  auto_rollback: true\n  undo_when: {causes}\n")
    async with playing(database_url, policy=policy) as play:

        def scale_then_fail(body) -> Turn:
            play.stage.model.fault = Fault(401) if len(play.stage.model.bodies) > 1 else None
            return Turn("Scaling.", (("mcp__resolver__bash", {"command": LINE}),))

        play.stage.model.script = scale_then_fail
        _, answer = await play.post(f"{BASE}/resolve", BODY)
        await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})

        await play.until_state(answer["resolution_id"], end)

        (deployment,) = play.stage.simulator.objects.of("Deployment", "orders")
        assert deployment["spec"]["replicas"] == replicas
        entries = await play.stage.assembled.intake._store.entries(answer["resolution_id"])
        assert (Happened.EVIDENCE_KEPT in [one.entry.what for one in entries]) is (end is State.ROLLED_BACK)


@pytest.mark.parametrize(
    ("causes", "told", "end", "replicas"),
    [
        ("", {"interrupted"}, State.INTERRUPTED, 3),
        ("  undo_when: [error, interrupt]\n", {"rolling_back", "rolled_back"}, State.ROLLED_BACK, 2),
    ],
    ids=["by default", "where the policy names it"],
)
async def test_an_interrupt_after_a_change_undoes_it_only_where_the_policy_names_interrupts(
    database_url, tmp_path, causes, told, end, replicas
):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\nexecution:\n  auto_rollback: true\n{causes}")
    async with playing(database_url, policy=policy) as play:
        has_changed = asyncio.Event()

        def scale_then_think(body) -> Turn:
            if len(play.stage.model.bodies) > 1:
                has_changed.set()
                play.stage.model.fault = Fault(is_stall=True)
            return Turn("Scaling.", (("mcp__resolver__bash", {"command": LINE}),))

        play.stage.model.script = scale_then_think
        _, answer = await play.post(f"{BASE}/resolve", BODY)
        await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})
        async with asyncio.timeout(30):
            await has_changed.wait()

        status, interrupted = await play.post(f"{BASE}/interrupt/{answer['resolution_id']}")

        assert status == 200
        assert interrupted["status"] in told
        assert "Interrupted by demo" in interrupted["message"]
        await play.until_state(answer["resolution_id"], end)
        (deployment,) = play.stage.simulator.objects.of("Deployment", "orders")
        assert deployment["spec"]["replicas"] == replicas
