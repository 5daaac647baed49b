"""A rollback that would go beyond the resolution's own change is asked about first; any other is not."""

import asyncio
from decimal import Decimal

from sqlalchemy import text

from bot.demo.cluster.holds import Hold
from bot.demo.model.server import Turn
from core.approval import ApprovalState, Subject
from core.history import Happened
from core.ports import Limits
from core.resolution import ResolutionId, State
from storage.ledger import PostgresLedger
from tests.scenario.conftest import Play, buttons_of, playing

BASE = "/api/v1/incident"
BODY = {
    "client_id": "loc-01",
    "namespace": "orders",
    "action_type": "resource_scale",
    "action_description": "orders-api: queue is full",
}


async def scaled(play: Play) -> tuple[str, str]:
    """A scaling that was done, and its snapshot."""
    _, answer = await play.post(f"{BASE}/resolve", BODY)
    await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})
    done = await play.until_state(answer["resolution_id"], State.COMPLETED)
    return answer["resolution_id"], str(done.resolution.snapshot_id)


async def scaled_and_deleted(play: Play) -> tuple[str, str]:
    """And somebody deleted the workload since."""
    found = await scaled(play)
    play.stage.simulator.objects.remove("Deployment", "orders", "orders-api")
    return found


def deployments(play: Play) -> list[dict]:
    return list(play.stage.simulator.objects.of("Deployment", "orders"))


async def asked_back(play: Play, snapshot: str) -> dict:
    status, answer = await play.post(f"{BASE}/rollback", {"snapshot_id": snapshot})
    assert (status, answer["status"]) == (200, "awaiting_approval"), answer
    return answer


async def test_what_somebody_deleted_since_is_made_again_only_after_an_answer(play):
    id_, snapshot = await scaled_and_deleted(play)

    answer = await asked_back(play, snapshot)

    assert (answer["success"], answer["commands_executed"], answer["results"]) == (False, 0, [])
    asked = answer["approval"]["permit"][1]
    assert asked.startswith("make Deployment orders/orders-api again (replicas 2, image registry.example/orders/api:")
    assert asked.endswith("), which is more than putting it back")
    assert deployments(play) == []
    assert (await play.overview(id_)).resolution.state is State.COMPLETED
    _, pending = await play.get(f"{BASE}/pending-approvals")
    assert [one["approval_id"] for one in pending["pending_approvals"]] == [answer["approval_id"]]
    _, status = await play.get(f"{BASE}/status/{id_}")
    assert (status["status"], status["rollback_approval"]["approval_id"]) == ("completed", answer["approval_id"])

    status, decided = await play.post(
        f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"}
    )

    assert (status, decided["status"]) == (200, "approved")
    await play.until_state(id_, State.ROLLED_BACK)
    (made,) = deployments(play)
    assert made["spec"]["replicas"] == 2
    _, pending = await play.get(f"{BASE}/pending-approvals")
    assert pending["count"] == 0


async def test_the_card_asks_and_a_no_leaves_everything_as_it_is(play):
    id_, snapshot = await scaled_and_deleted(play)
    await asked_back(play, snapshot)
    await play.slack.until(lambda: next((one for one in play.slack.messages() if "beyond" in str(one)), None))
    card = await play.card("Resolved")
    assert {"approve", "reject", "rollback"} <= set(buttons_of(card))
    assert "make Deployment orders/orders-api again" in str(card["blocks"])
    overview = await play.overview(id_)

    status, decided = await play.post(
        f"{BASE}/approve/{overview.rollback_question.id}",
        {"approved_by": "demo", "decision": "reject", "reason": "it is gone on purpose"},
    )

    assert (status, decided["status"]) == (200, "rejected")
    assert deployments(play) == []
    assert (await play.overview(id_)).resolution.state is State.COMPLETED
    told = await play.thread_with(card, "The rollback was rejected: it is gone on purpose")
    assert "Rolling back would go beyond undoing its own change" in told
    assert (await asked_back(play, snapshot))["approval_id"] != overview.rollback_question.id


async def test_a_click_on_the_card_approves_it(play):
    id_, snapshot = await scaled_and_deleted(play)
    await asked_back(play, snapshot)
    await play.slack.until(lambda: next((one for one in play.slack.messages() if "beyond" in str(one)), None))

    await play.click(await play.card("Resolved"), "approve")

    await play.until_state(id_, State.ROLLED_BACK)
    assert [one["spec"]["replicas"] for one in deployments(play)] == [2]


async def test_nobody_answering_puts_nothing_back_and_it_can_be_asked_again(database_url):
    async with playing(database_url, approval_timeout=2.0) as play:
        id_, snapshot = await scaled_and_deleted(play)
        first = await asked_back(play, snapshot)

        async with asyncio.timeout(10):
            while (await play.overview(id_)).rollback_question is not None:
                await asyncio.sleep(0.1)

        seen = await play.overview(id_)
        assert [one.state for one in seen.approvals if one.id == first["approval_id"]] == [ApprovalState.EXPIRED]
        assert (seen.resolution.state, deployments(play)) == (State.COMPLETED, [])
        assert (await asked_back(play, snapshot))["approval_id"] != first["approval_id"]


async def test_the_undo_of_its_own_change_runs_under_a_permit_that_the_first_answer_gave(play):
    id_, snapshot = await scaled(play)

    status, answer = await play.post(f"{BASE}/rollback", {"snapshot_id": snapshot})

    assert (status, answer["success"], answer["commands_executed"]) == (200, True, 1)
    assert answer["results"][0]["command"].startswith("kubectl patch deployment orders-api -n orders --type=merge")
    first, second = (await play.overview(id_)).approvals
    assert (second.subject, second.state, second.decided_by) == (
        Subject.ROLLBACK,
        ApprovalState.APPROVED,
        first.decided_by,
    )
    assert [rule.sentence() for rule in second.permit.rules] == [
        "put Deployment orders/orders-api back as it was, where nobody else has changed it since"
    ]
    assert first.permit.digest != second.permit.digest


async def test_neither_a_pause_nor_a_spent_day_holds_an_undo_up(play):
    id_, snapshot = await scaled(play)
    await play.slack.command(play.ada, "/incident", "pause the network is on fire")
    ledger, limits = PostgresLedger(play.stage.assembled.intake._store.engine), Limits(10**9, 10**9, Decimal(10**6))
    given = {"agent": "executor", "tokens": 1, "cost_usd": Decimal(1)}
    reservation = await ledger.reserve(ResolutionId(id_), **given, limits=limits)
    await ledger.settle(reservation, tokens=10**6, cost_usd=Decimal(1_000))
    assert await ledger.spent_today_usd() > 1_000

    status, answer = await play.post(f"{BASE}/rollback", {"snapshot_id": snapshot})

    assert (status, answer["success"]) == (200, True)
    entries = await play.stage.assembled.intake._store.entries(id_)
    told = [one.entry.what for one in entries]
    assert told.index(Happened.ROLLBACK_ASKED) < told.index(Happened.EVIDENCE_KEPT) < told.index(Happened.ROLLED_BACK)


async def test_what_is_not_what_was_approved_is_not_put_back_and_asking_again_puts_the_question_anew(play):
    id_, snapshot = await scaled_and_deleted(play)
    asked = await asked_back(play, snapshot)
    async with play.stage.assembled.intake._store.engine.begin() as connection:
        changed = (
            "UPDATE approval SET permit = jsonb_set(permit, '{rules,0,content}', '\"other\"') WHERE id::text = :id"
        )
        await connection.execute(text(changed), {"id": asked["approval_id"]})

    yes = {"approved_by": "demo", "decision": "approve"}
    assert (await play.post(f"{BASE}/approve/{asked['approval_id']}", yes))[0] == 200
    seen = await play.until_state(id_, State.ROLLBACK_FAILED)

    assert "is not what the permit of this rollback names" in seen.resolution.summary
    assert deployments(play) == []
    again = await asked_back(play, snapshot)
    entries = await play.stage.assembled.intake._store.entries(id_)
    factors = [
        one.entry.facts["factors"] for one in entries if one.entry.facts.get("approval_id") == again["approval_id"]
    ]
    assert "What its snapshot holds is not what was approved before, so it is asked anew." in factors[0]
    await play.post(f"{BASE}/approve/{again['approval_id']}", yes)
    await play.until_state(id_, State.ROLLED_BACK)
    assert [one["spec"]["replicas"] for one in deployments(play)] == [2]


async def test_while_it_executes_a_rollback_and_its_dry_run_are_409(play):
    def restart_then_think(body) -> Turn:
        line = "kubectl rollout restart deployment/orders-api -n orders"
        is_first = len(play.stage.model.bodies) <= 1
        return Turn("Restarting.", (("mcp__resolver__bash", {"command": line}),), delay_seconds=0 if is_first else 60)

    play.stage.model.script = restart_then_think
    _, answer = await play.post(f"{BASE}/resolve", BODY | {"action_type": "pod_restart"})
    await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})
    async with asyncio.timeout(30):
        while (seen := await play.overview(answer["resolution_id"])).resolution.snapshot_id is None:
            await asyncio.sleep(0.1)

    for is_dry_run in (True, False):
        body = {"snapshot_id": seen.resolution.snapshot_id, "dry_run": is_dry_run}
        status, problem = await play.post(f"{BASE}/rollback", body)
        assert (status, "still running" in problem["detail"]) == (409, True)
    assert (await play.overview(answer["resolution_id"])).resolution.state is State.EXECUTING
    await play.post(f"{BASE}/interrupt/{answer['resolution_id']}")


async def test_a_rollback_of_more_than_ten_seconds_is_a_202_that_says_where_to_look(play):
    id_, snapshot = await scaled(play)
    slow = Hold(lambda request: request.method == "PUT" and "dryRun" not in request.query)
    play.stage.simulator.holds.add(slow)

    async with asyncio.timeout(30):
        url = f"{play.stage.assembled.service.url}{BASE}/rollback"
        async with play.http.post(url, json={"snapshot_id": snapshot}) as answer:
            assert answer.status == 202
            assert answer.headers["Location"] == f"{BASE}/status/{id_}"
            assert (await answer.json())["status"] == "rolling_back"

    slow.released.set()
    await play.until_state(id_, State.ROLLED_BACK)


async def test_an_edited_snapshot_is_refused_and_nothing_is_put_back(play):
    id_, snapshot = await scaled(play)
    async with play.stage.assembled.intake._store.engine.begin() as connection:
        await connection.execute(text("UPDATE snapshot_entry SET before = before || '\\x00'::bytea"))

    for is_dry_run in (True, False):
        status, problem = await play.post(f"{BASE}/rollback", {"snapshot_id": snapshot, "dry_run": is_dry_run})
        assert (status, "altered or belongs elsewhere" in problem["detail"]) == (409, True)
    assert (await play.overview(id_)).resolution.state is State.COMPLETED
    assert [one["spec"]["replicas"] for one in deployments(play)] != [2]
