"""What undoes by itself is what the policy names, and nothing where it names nothing."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import text

from bot import work
from bot.demo.model.server import Fault, Turn
from core.agent.profiles import agent_profiles
from core.history import Happened
from core.resolution import State
from core.verification import Verifier
from tests.scenario.conftest import Play, playing
from tests.scenario.test_plans import proposing

BASE = "/api/v1/incident"
BODY = {
    "client_id": "loc-01",
    "namespace": "orders",
    "action_type": "pod_restart",
    "action_description": "orders-api: hangs",
}
LINE = "kubectl rollout restart deployment/orders-api -n orders"
RESTARTED = "kubectl.kubernetes.io/restartedAt"


async def restarted_and_thinking(play: Play) -> str:
    """A run that has made its change and waits for a model that stalls; its id."""
    has_changed = asyncio.Event()

    def restart_then_think(body) -> Turn:
        if any("tool_result" in str(one) for one in body["messages"]):
            has_changed.set()
            play.stage.model.fault = Fault(is_stall=True)
        return Turn("Restarting.", (("mcp__resolver__bash", {"command": LINE}),))

    play.stage.model.script = restart_then_think
    _, answer = await play.post(f"{BASE}/resolve", BODY)
    await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})
    async with asyncio.timeout(30):
        await has_changed.wait()
    return str(answer["resolution_id"])


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


@pytest.mark.parametrize(
    ("causes", "told", "end"),
    [
        ("", {"interrupted"}, State.INTERRUPTED),
        ("  undo_when: [error, interrupt]\n", {"rolling_back", "rolled_back"}, State.ROLLED_BACK),
    ],
    ids=["by default", "where the policy names it"],
)
async def test_an_interrupt_after_a_change_undoes_it_only_where_the_policy_names_interrupts(
    database_url, tmp_path, causes, told, end
):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\nexecution:\n  auto_rollback: true\n{causes}")
    async with playing(database_url, policy=policy) as play:
        id_ = await restarted_and_thinking(play)

        status, interrupted = await play.post(f"{BASE}/interrupt/{id_}")

        assert status == 200
        assert interrupted["status"] in told
        assert "Interrupted by demo" in interrupted["message"]
        await play.until_state(id_, end)


async def test_a_rollback_whose_snapshot_needs_another_key_ends_at_once_and_works_with_that_key(database_url, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nexecution:\n  auto_rollback: true\n  undo_when: [interrupt]\n")
    async with playing(database_url, policy=policy) as play:
        id_ = await restarted_and_thinking(play)
        engine = play.stage.assembled.intake._store.engine
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE snapshot_entry SET key_id = '-' || key_id"))
        await play.post(f"{BASE}/interrupt/{id_}")

        seen = await play.until_state(id_, State.ROLLBACK_FAILED, seconds=8)

        assert "encrypted with another key" in seen.resolution.summary
        assert "encryption rotate" in seen.resolution.summary
        entries = await play.stage.assembled.intake._store.entries(id_)
        assert [one.entry.what for one in entries].count(Happened.ROLLBACK_FAILED) == 1
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE snapshot_entry SET key_id = substr(key_id, 2)"))
        status, told = await play.post(f"{BASE}/rollback", {"snapshot_id": seen.resolution.snapshot_id})
        assert (status, told["success"]) == (200, True)


@pytest.mark.parametrize(("causes", "end"), [("[timeout]", State.ROLLED_BACK), ("[error, worse]", State.FAILED)])
async def test_a_run_that_takes_too_long_undoes_its_change_only_where_the_policy_names_timeouts(
    database_url, tmp_path, monkeypatch, causes, end
):
    monkeypatch.setattr(work, "agent_profiles", partial(agent_profiles, wall_clock_seconds=8.0))
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\nexecution:\n  auto_rollback: true\n  undo_when: {causes}\n")
    async with playing(database_url, policy=policy) as play:
        id_ = await restarted_and_thinking(play)

        seen = await play.until_state(id_, end)

        assert "Stopped after 8 s" in seen.resolution.summary
        entries = await play.stage.assembled.intake._store.entries(id_)
        assert (Happened.EVIDENCE_KEPT in [one.entry.what for one in entries]) is (end is State.ROLLED_BACK)


async def test_a_fix_that_makes_it_worse_is_left_where_the_policy_does_not_name_that(database_url, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nexecution:\n  auto_rollback: true\n  undo_when: [error, timeout]\n")
    async with playing(database_url, policy=policy, verify_seconds=4.0) as play:
        await play.ask("failing-fix")
        await play.click(await play.card("Approval needed"), "approve")

        seen = await play.until_state((await play.newest()).resolution.id, State.FAILED, seconds=40)

        assert "Not healthy after the change (worse)" in seen.resolution.summary
        entries = await play.stage.assembled.intake._store.entries(seen.resolution.id)
        assert Happened.EVIDENCE_KEPT not in [one.entry.what for one in entries]


@pytest.mark.parametrize(
    ("causes", "end"), [("[unchanged]", State.ROLLED_BACK), ("[worse, healing, error]", State.FAILED)]
)
async def test_a_change_that_helps_nothing_is_undone_only_where_the_policy_names_that(
    database_url, tmp_path, causes, end
):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\nexecution:\n  auto_rollback: true\n  undo_when: {causes}\n")
    asked = {**BODY, "namespace": "shop", "action_type": "config_fix", "action_description": "checkout: crashes"}
    async with playing(database_url, policy=policy, verify_seconds=3.0) as play:
        play.stage.model.script = proposing(["kubectl annotate deployment/checkout note=x -n shop"])
        _, answer = await play.post(f"{BASE}/resolve", asked)
        await play.until_state(answer["resolution_id"], State.AWAITING_APPROVAL)
        await play.click(await play.card("Approval needed"), "approve")

        seen = await play.until_state(answer["resolution_id"], end, seconds=40)

        assert "Not healthy after the change (unchanged)" in seen.resolution.summary
        (deployment,) = play.stage.simulator.objects.of("Deployment", "shop")
        assert ("note" in deployment["metadata"].get("annotations", {})) is (end is State.FAILED)


@pytest.mark.parametrize(
    ("causes", "end"),
    [("[healing]", State.ROLLED_BACK), ("[worse, unchanged, error]", State.FAILED)],
)
async def test_a_change_after_which_it_heals_for_ever_is_undone_only_where_the_policy_names_that(
    database_url, tmp_path, causes, end, monkeypatch
):
    monkeypatch.setattr(work, "Verifier", partial(Verifier, healing_seconds=2.0))
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"version: 1\nexecution:\n  auto_rollback: true\n  undo_when: {causes}\n")
    async with playing(database_url, policy=policy, verify_seconds=3.0) as play:
        play.stage.model.script = proposing(["kubectl set env deployment/orders-api COLOR=blue -n orders"])
        _, asked = await play.post(f"{BASE}/resolve", BODY | {"action_type": "resource_scale"})
        waiting = await play.until_state(asked["resolution_id"], State.AWAITING_APPROVAL)
        answer = {"approved_by": "demo", "decision": "approve"}
        await play.post(f"{BASE}/approve/{waiting.approval.id}", answer)

        await play.until_state(waiting.resolution.id, end)

        entries = await play.stage.assembled.intake._store.entries(waiting.resolution.id)
        (verified,) = [one.entry.facts for one in entries if one.entry.what is Happened.VERIFIED]
        assert verified["health"] == "healing"
        (deployment,) = play.stage.simulator.objects.of("Deployment", "orders")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        has_change = {"name": "COLOR", "value": "blue"} in container.get("env", [])
        assert has_change is (end is State.FAILED)
