"""What undoes by itself is what the policy names, and nothing where it names nothing."""

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
