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
    "action_type": "pod_restart",
    "action_description": "orders-api: queue is full",
}
LINE = "kubectl rollout restart deployment/orders-api -n orders"
RESTARTED = "kubectl.kubernetes.io/restartedAt"


@pytest.mark.parametrize(
    ("causes", "end"),
    [("[error]", State.ROLLED_BACK), ("[worse, timeout, interrupt]", State.FAILED)],
)
async def test_an_error_after_a_change_undoes_it_only_where_the_policy_names_errors(
    database_url, tmp_path, causes, end
):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\nexecution:\n  auto_rollback: true\n  undo_when: {causes}\n")
    async with playing(database_url, policy=policy) as play:

        def restart_then_fail(body) -> Turn:
            play.stage.model.fault = Fault(401) if len(play.stage.model.bodies) > 1 else None
            return Turn("Restarting.", (("mcp__resolver__bash", {"command": LINE}),))

        play.stage.model.script = restart_then_fail
        _, answer = await play.post(f"{BASE}/resolve", BODY)
        await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})

        await play.until_state(answer["resolution_id"], end)

        (deployment,) = play.stage.simulator.objects.of("Deployment", "orders")
        notes = deployment["spec"]["template"]["metadata"].get("annotations", {})
        assert RESTARTED in notes  # the change was made; what a rollback of a restart puts back is none of this test
        entries = await play.stage.assembled.intake._store.entries(answer["resolution_id"])
        assert (Happened.EVIDENCE_KEPT in [one.entry.what for one in entries]) is (end is State.ROLLED_BACK)
