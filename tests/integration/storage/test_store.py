"""Resolutions, decisions, history and the queue on a real PostgreSQL."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from core.approval import Approval, ApprovalState, Subject
from core.assessment import RiskAssessment
from core.effects import Change
from core.errors import BudgetExceededError, LeaseLostError, RollbackFailedError, UnprocessableError
from core.execution import CommandRecord
from core.history import Entry, Happened
from core.permit import Permit, PermitRule
from core.ports import HistoryFilter, Limits
from core.resolution import ActionType, ApprovalId, Person, Request, Resolution, ResolutionId, State
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.snapshot import SnapshotEntry
from storage.cards import PostgresCards
from storage.figures import Figures
from storage.ledger import PostgresLedger
from storage.sealing import Sealer
from storage.store import PostgresStorage, open_storage
from tests.postgres import SNAPSHOT_KEY

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA = Person("slack:T1/U1", "Ada")
POD = Resource("Pod", "web-1", "shop", "v1", "uid-1")


def request(**changes) -> Request:
    return Request(
        **{
            "client_id": "loc-01",
            "namespace": "shop",
            "action_type": ActionType.POD_RESTART,
            "action_description": "restart \x00 web \ud800",
            **changes,
        }
    )


def new_resolution(**changes) -> Resolution:
    return Resolution(ResolutionId(str(uuid.uuid4())), request(**changes), ADA, State.GATHERING, NOW, NOW)


def permit() -> Permit:
    rule = PermitRule(Change.DELETE_POD, POD)
    end = datetime(2100, 1, 1, tzinfo=UTC)
    return Permit(ActionType.POD_RESTART, "c", "shop", (rule,), RiskLevel.MEDIUM, 1000, end)


def question(resolution: Resolution) -> Approval:
    return Approval(
        ApprovalId(str(uuid.uuid4())),
        resolution.id,
        Subject.RESOLUTION,
        ApprovalState.PENDING,
        permit(),
        NOW,
        datetime(2100, 1, 1, tzinfo=UTC),
    )


async def added(store: PostgresStorage, **changes) -> Resolution:
    async with store.transaction() as tx:
        stored = await tx.add_resolution(new_resolution(**changes), dedupe_key=None)
        await tx.append(Entry(Happened.REQUESTED, stored.id, ADA))
    return stored


async def claimed(store: PostgresStorage) -> Resolution:
    (one,) = await store.claim("w1", limit=1)
    return one


async def executing(store: PostgresStorage) -> Resolution:
    """A resolution that a worker holds and runs."""
    await added(store)
    one = await claimed(store)
    for origin, to in ((State.GATHERING, State.APPROVED), (State.APPROVED, State.EXECUTING)):
        async with store.transaction() as tx:
            held = Resolution(**{**_fields(one), "state": origin})
            assert await tx.move(held, to=to, because=Entry(Happened.APPROVED, one.id), wake_in_seconds=0)
    return Resolution(**{**_fields(one), "state": State.EXECUTING})


def _fields(one: Resolution) -> dict[str, object]:
    return {name: getattr(one, name) for name in Resolution.__dataclass_fields__}


async def test_what_was_stored_is_read_back(store):
    stored = await added(store)

    overview = await store.overview(stored.id)

    assert overview is not None
    assert overview.resolution.request.namespace == "shop"
    assert overview.resolution.request.action_description == "restart \ufffd web ?"
    assert overview.history_seq == 1


async def test_an_open_resolution_with_the_same_key_is_returned_instead_of_a_second(store):
    async with store.transaction() as tx:
        first = await tx.add_resolution(new_resolution(), dedupe_key="k")
    async with store.transaction() as tx:
        second = await tx.add_resolution(new_resolution(), dedupe_key="k")

    assert second.id == first.id


async def test_an_idempotency_key_gives_the_first_answer_and_refuses_another_body(store):
    async with store.transaction() as tx:
        assert await tx.answered_before("k", client="c", body_digest="a") is None
        await tx.keep_answer("k", client="c", body_digest="a", answer="one")
    async with store.transaction() as tx:
        assert await tx.answered_before("k", client="c", body_digest="a") == "one"
        assert await tx.answered_before("k", client="other", body_digest="b") is None
    with pytest.raises(UnprocessableError):
        async with store.transaction() as tx:
            await tx.answered_before("k", client="c", body_digest="b")


async def test_two_workers_never_claim_the_same_resolution(store):
    for _ in range(5):
        await added(store)

    async with asyncio.TaskGroup() as group:
        claims = [group.create_task(store.claim(f"w{n}", limit=2)) for n in range(6)]

    ids = [one.id for claim in claims for one in claim.result()]
    assert len(ids) == len(set(ids)) == 5


async def test_a_row_that_others_are_only_just_naming_is_claimed_at_once(store):
    """A card's first row names its resolution in the very moment that both are woken by the same notification."""
    one = await added(store)
    async with store.engine.begin() as naming:
        statement = "INSERT INTO card (resolution_id, nonce) VALUES (CAST(:id AS uuid), 'n')"
        await naming.execute(text(statement), {"id": one.id})

        (claimed_one,) = await store.claim("w1", limit=1)

    assert claimed_one.id == one.id


async def test_a_lost_epoch_moves_nothing(store):
    await added(store)
    one = await claimed(store)
    stale = Resolution(**{**_fields(one), "epoch": one.epoch - 1})

    async with store.transaction() as tx:
        assert not await tx.move(stale, to=State.FAILED, because=Entry(Happened.FAILED, one.id))

    overview = await store.overview(one.id)
    assert overview.resolution.state is State.GATHERING
    assert [entry.entry.what for entry in await store.entries(one.id)] == [Happened.REQUESTED]


async def test_a_move_that_the_table_does_not_list_is_refused(store):
    await added(store)
    one = await claimed(store)

    with pytest.raises(ValueError, match="not an allowed move"):
        async with store.transaction() as tx:
            await tx.move(one, to=State.COMPLETED, because=Entry(Happened.COMPLETED, one.id))


async def test_forty_decisions_at_once_have_one_winner(store):
    stored = await added(store)
    asked = question(stored)
    async with store.transaction() as tx:
        await tx.add_approval(asked)
        await tx.move(stored, to=State.AWAITING_APPROVAL, because=Entry(Happened.ASKED, stored.id), wake_in_seconds=60)

    async def decide(number: int) -> bool:
        async with store.transaction() as tx:
            approval = await tx.approval(asked.id)
            if approval.state is not ApprovalState.PENDING:
                return False
            resolution = await tx.resolution(stored.id)
            await tx.end_approval(asked.id, state=ApprovalState.APPROVED, by=Person(f"u{number}", "x"), reason=None)
            return await tx.move(resolution, to=State.APPROVED, because=Entry(Happened.APPROVED, stored.id))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(decide(number)) for number in range(40)]

    assert sum(task.result() for task in tasks) == 1
    assert (await store.verify_history()).broken_at is None


async def test_commands_and_snapshots_need_the_lease(store):
    one = await executing(store)
    record = CommandRecord(0, "kubectl get pods", "LOW", "R3", "", is_executed=True, asked_at=NOW)
    assert await store.add_command(one, record) == 1
    stale = Resolution(**{**_fields(one), "epoch": one.epoch - 1})

    with pytest.raises(LeaseLostError):
        await store.add_command(stale, record)
    with pytest.raises(LeaseLostError):
        await store.add_snapshot_entries(stale, [SnapshotEntry(1, POD, Change.DELETE_POD, {"kind": "Pod"})])
    async with store.transaction() as tx:
        assert await tx.ask_interrupt(one.id, by=ADA, reason="stop")
        assert not await tx.ask_interrupt(one.id, by=ADA, reason="again")
    with pytest.raises(LeaseLostError):
        await store.add_command(one, record)


async def test_a_snapshot_comes_back_and_an_altered_or_foreign_one_is_refused(store, database_url):
    one = await executing(store)
    secret = {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}
    snapshot_id = await store.add_snapshot_entries(one, [SnapshotEntry(1, POD, Change.DELETE_POD, secret)])
    done = SnapshotEntry(1, POD, Change.DELETE_POD, secret, after=None, is_after_read=True, state="done")
    await store.update_snapshot_entries(snapshot_id, [done])

    snapshot = await store.snapshot(snapshot_id)
    assert snapshot.entries[0].before == secret
    assert snapshot.entries[0].is_after_read
    assert snapshot.entries[0].state == "done"
    async with store.engine.begin() as connection:
        raw = await connection.scalar(text("SELECT before FROM snapshot_entry"))
        assert b"hunter2" not in raw
        assert b"aHVudGVyMg" not in raw
        await connection.execute(
            text("UPDATE snapshot_entry SET before = set_byte(before, 20, get_byte(before, 20) # 1)")
        )
    with pytest.raises(RollbackFailedError, match="altered"):
        await store.snapshot(snapshot_id)
    async with open_storage(database_url, snapshot_key=bytes(32)) as other:
        with pytest.raises(RollbackFailedError, match="another key"):
            await other.snapshot(snapshot_id)


@pytest.mark.parametrize("tamper", ["UPDATE history SET body = '{}'", "DELETE FROM history", "TRUNCATE history"])
async def test_history_is_append_only_even_for_its_owner(store, tamper):
    await added(store)
    with pytest.raises(Exception, match="append-only"):
        async with store.engine.begin() as connection:
            await connection.execute(text("SET session_replication_role = replica"))
            await connection.execute(text(tamper))


async def test_tampering_is_found_with_its_number(store):
    for _ in range(3):
        await added(store)
    assert (await store.verify_history()).broken_at is None
    async with store.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE history DISABLE TRIGGER ALL"))
        await connection.execute(text("UPDATE history SET body = replace(body, 'requested', 'approved') WHERE seq = 2"))

    assert (await store.verify_history()).broken_at == 2


async def test_a_cut_tail_is_found_against_the_head(store):
    for _ in range(3):
        await added(store)
    async with store.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE history DISABLE TRIGGER ALL"))
        await connection.execute(text("DELETE FROM history WHERE seq = 3"))

    assert (await store.verify_history()).broken_at == 3


async def test_twenty_reservations_at_once_never_exceed_the_limit(store):
    stored = await added(store)
    ledger = PostgresLedger(store.engine)
    limits = Limits(incident_tokens=1000, agent_tokens=1000, day_usd=Decimal(20))

    async def reserve() -> bool:
        try:
            await ledger.reserve(stored.id, agent="executor", tokens=100, cost_usd=Decimal("0.01"), limits=limits)
        except BudgetExceededError:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(reserve()) for _ in range(20)]

    assert sum(task.result() for task in tasks) == 10


async def test_money_of_the_day_bounds_every_resolution(store):
    ledger = PostgresLedger(store.engine)
    limits = Limits(incident_tokens=10_000, agent_tokens=10_000, day_usd=Decimal(1))
    first, second = await added(store), await added(store)
    reservation = await ledger.reserve(first.id, agent="a", tokens=10, cost_usd=Decimal("0.9"), limits=limits)
    await ledger.settle(reservation, tokens=7, cost_usd=Decimal("0.8"))

    with pytest.raises(BudgetExceededError, match="USD of today"):
        await ledger.reserve(second.id, agent="a", tokens=10, cost_usd=Decimal("0.3"), limits=limits)
    assert (await ledger.usage(first.id)).total_tokens == 7
    assert await ledger.spent_today_usd() == Decimal("0.8")


async def test_what_was_set_aside_and_never_settled_counts_whole_however_long_ago(store):
    ledger = PostgresLedger(store.engine)
    limits = Limits(incident_tokens=100, agent_tokens=100, day_usd=Decimal(1))
    one, other = await added(store), await added(store)
    await ledger.reserve(one.id, agent="a", tokens=60, cost_usd=Decimal("0.9"), limits=limits)
    async with store.engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE reservation SET at = greatest(at - interval '16 minutes', _DAY)".replace(
                    "_DAY", "date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"
                )
            )
        )

    assert await ledger.spent_today_usd() == Decimal("0.9")
    with pytest.raises(BudgetExceededError, match="USD of today"):
        await ledger.reserve(other.id, agent="a", tokens=1, cost_usd=Decimal("0.2"), limits=limits)
    with pytest.raises(BudgetExceededError, match="incident"):
        await ledger.reserve(one.id, agent="b", tokens=50, cost_usd=Decimal(0), limits=limits)


async def test_figures_are_counted_from_the_rows_and_an_overdue_lease_is_seen(store):
    one = await executing(store)
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE resolution SET lease_until = now() - interval '1 second'"))

    counts = await Figures(store.engine).by_word()

    assert counts["state"] == {one.state.value: 1}
    assert counts["verdict"] == {}
    assert (counts[""]["executions"], counts[""]["leases_overdue"]) == (1, 1)
    assert (counts[""]["questions_open"], counts[""]["question_oldest_seconds"]) == (0, 0)


async def test_history_pages_do_not_overlap(store):
    ids = [(await added(store, client_id=f"c{number}")).id for number in range(5)]
    first = await store.history(HistoryFilter(limit=3))
    last = first[-1].resolution
    second = await store.history(HistoryFilter(limit=3, before=(last.created_at, last.id)))

    assert sorted(one.resolution.id for one in [*first, *second]) == sorted(ids)
    (only,) = await store.history(HistoryFilter(client_id="c2"))
    assert only.resolution.request.client_id == "c2"


async def test_a_card_is_due_until_its_newest_history_was_sent_and_has_one_sender(store):
    stored = await added(store)
    cards = PostgresCards(store.engine)
    assert await cards.claim_cards("a", limit=5) == []  # in its first second it may still become a question
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE resolution SET created_at = created_at - interval '1 second'"))
    (slot,) = await cards.claim_cards("a", limit=5)
    assert await cards.claim_cards("b", limit=5) == []

    assert await cards.card_sent(replace(slot, channel="C1", ts="1.0", sent_seq=1, thread_seq=1), next_in_seconds=0)
    assert await cards.claim_cards("a", limit=5) == []
    assert await cards.card_place(stored.id) == ("C1", "1.0")
    assert await cards.resolution_at("C1", "1.0") == stored.id
    async with store.transaction() as tx:
        await tx.append(Entry(Happened.AGENT_SAID, stored.id, None, {"text": "hi"}))
    (again,) = await cards.claim_cards("a", limit=5)
    assert not await cards.card_sent(replace(slot, ts="2.0"), next_in_seconds=0)
    assert again.ts == "1.0"


async def test_a_card_is_due_again_when_its_assessment_comes_without_an_entry_of_history(store):
    """While the service is paused the assessment is stored, and nothing else happens for as long as that lasts."""
    stored = await added(store)
    cards = PostgresCards(store.engine)
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE resolution SET created_at = created_at - interval '1 second'"))
    (slot,) = await cards.claim_cards("a", limit=5)
    assert await cards.card_sent(replace(slot, channel="C1", ts="1.0", sent_seq=1), next_in_seconds=0)

    for is_due in (True, False):
        async with store.transaction() as tx:
            await tx.save_assessment(stored.id, RiskAssessment(RiskLevel.HIGH, (), "", (), ()))
        found = await cards.claim_cards("a", limit=5)
        assert bool(found) is is_due
        for one in found:
            assert await cards.card_sent(replace(one, sent_seq=1), next_in_seconds=0)


async def test_cards_of_what_has_ended_are_drawn_after_those_that_wait(store):
    ended, waiting = await added(store, client_id="old"), await added(store)
    cards = PostgresCards(store.engine)
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE resolution SET created_at = created_at - interval '1 second'"))
    await cards.claim_cards("a", limit=5)
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE card SET lease_until = NULL"))
        for one, change in ((ended, "wake_at = NULL"), (waiting, "wake_at = now()")):
            statement = f"UPDATE resolution SET {change} WHERE id = CAST(:id AS uuid)"
            await connection.execute(text(statement), {"id": one.id})
        statement = "UPDATE card SET next_at = now() - interval '1 hour' WHERE resolution_id = CAST(:id AS uuid)"
        await connection.execute(text(statement), {"id": ended.id})

    (first,) = await cards.claim_cards("a", limit=1)
    (second,) = await cards.claim_cards("a", limit=1)

    assert (first.resolution_id, second.resolution_id) == (waiting.id, ended.id)


async def test_deadlines_are_judged_by_the_databases_clock(store):
    async with store.transaction() as tx:
        now = await tx.now()
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_snapshot_key_is_not_its_own_name():
    assert Sealer(SNAPSHOT_KEY).key_id not in SNAPSHOT_KEY.hex()


@pytest.mark.parametrize("text_", ["\0", "\\u0000", "\\\\u0000", "\\\0", "a\\\\\0b", "\ud800"])
async def test_any_text_from_a_cluster_can_be_kept(store, text_):
    stored = await added(store)
    async with store.transaction() as tx:
        await tx.append(Entry(Happened.AGENT_SAID, stored.id, None, {"text": text_}))

    entry = (await store.entries(stored.id))[-1]

    assert entry.entry.facts["text"] == text_.replace("\0", "\ufffd").replace("\ud800", "?")
