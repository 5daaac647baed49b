"""What plans ask of the database: reads while gathering, no change before an execution, one question in revisions."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from core.approval import ApprovalState
from core.effects import Change
from core.errors import LeaseLostError
from core.execution import CommandRecord
from core.history import Entry, Happened
from core.permit import PermittedLine, Precondition
from core.resolution import State
from core.risk_levels import RiskLevel
from core.snapshot import SnapshotEntry
from storage.database import connected
from tests.integration.storage.test_store import ADA, NOW, POD, added, claimed, executing, question

LINE = PermittedLine(
    "kubectl delete pod web-1",
    (("kubectl", "delete", "pod", "web-1"),),
    RiskLevel.MEDIUM,
    "R6",
    "shop",
    (POD,),
    (Precondition(POD, ("spec", "x"), '"\x00"'),),
    diff="Pod shop/web-1\n  is deleted → \ud800",
    check="healthy",
    undo="Its controller makes another one.",
)
READ = CommandRecord(0, "kubectl get pods", "LOW", "R3", "", is_executed=True, asked_at=NOW)
LATER = datetime(2101, 1, 1, tzinfo=UTC)


async def test_a_planning_agents_reads_are_recorded_while_it_is_gathering(store):
    await added(store)
    one = await claimed(store)

    assert await store.add_command(one, READ) == 1
    assert (await store.overview(one.id)).commands[0].line == "kubectl get pods"


async def test_nothing_is_snapshotted_and_so_nothing_changed_before_the_execution(store):
    await added(store)
    one = await claimed(store)
    entry = SnapshotEntry(1, POD, Change.DELETE_POD, {"kind": "Pod"})

    with pytest.raises(LeaseLostError):
        await store.add_snapshot_entries(one, [entry])


async def test_a_cancelled_planning_may_record_nothing_more_and_is_not_held(store):
    await added(store)
    one = await claimed(store)
    assert await store.is_held(one)
    async with store.transaction() as tx:
        assert await tx.move(one, to=State.CANCELLED, because=Entry(Happened.CANCELLED, one.id, ADA))

    assert not await store.is_held(one)
    with pytest.raises(LeaseLostError):
        await store.add_command(one, READ)


async def test_a_planning_agent_counts_as_one_at_work_for_everybody_else(store):
    await added(store)
    one = await claimed(store)
    other = await executing(store)
    async with store.transaction() as tx:
        assert await tx.agents_at_work(other.id) == 0
        await tx.append(Entry(Happened.PLANNING_STARTED, one.id))
    async with store.transaction() as tx:
        assert await tx.agents_at_work(other.id) == 1
        assert await tx.agents_at_work(one.id) == 1


async def test_an_agent_counts_until_somebody_took_it_over_however_late_its_lease_is_renewed(store):
    """A starved service renews late: meanwhile its agents work on, and others in their place would be too many."""
    await added(store)
    planning = await claimed(store)
    at_work = await executing(store)
    async with store.transaction() as tx:
        await tx.append(Entry(Happened.PLANNING_STARTED, planning.id))
    async with connected(store.engine) as connection:
        await connection.execute(text("UPDATE resolution SET lease_until = now() - interval '1 second'"))

    async with store.transaction() as tx:
        assert await tx.agents_at_work(at_work.id) == 1
        assert await tx.agents_at_work(planning.id) == 1


async def test_who_let_go_of_a_planning_is_no_agent(store):
    await added(store)
    one = await claimed(store)
    other = await executing(store)
    async with store.transaction() as tx:
        await tx.append(Entry(Happened.PLANNING_STARTED, one.id))
    await store.release(one)

    async with store.transaction() as tx:
        assert await tx.agents_at_work(other.id) == 0


async def test_a_revision_takes_the_place_of_the_permit_and_its_time(store):
    stored = await added(store)
    approval = question(stored)
    revised = replace(approval.permit, rules=(), lines=(LINE,), revision=2)
    async with store.transaction() as tx:
        await tx.add_approval(approval)
    async with store.transaction() as tx:
        await tx.revise_approval(approval.id, permit=revised, deadline=LATER)

    (found,) = (await store.overview(stored.id)).approvals
    assert (found.id, found.state, found.deadline) == (approval.id, ApprovalState.PENDING, LATER)
    assert found.permit.revision == 2
    assert found.permit.digest != approval.permit.digest
    assert found.permit.lines[0].line == LINE.line
    assert [one.uid for one in found.permit.lines[0].targets] == ["uid-1"]


async def test_a_question_that_was_answered_is_not_revised(store):
    stored = await added(store)
    approval = question(stored)
    async with store.transaction() as tx:
        await tx.add_approval(approval)
        await tx.end_approval(approval.id, state=ApprovalState.APPROVED, by=ADA, reason=None)
        await tx.revise_approval(approval.id, permit=replace(approval.permit, revision=2), deadline=LATER)

    (found,) = (await store.overview(stored.id)).approvals
    assert (found.state, found.permit.revision) == (ApprovalState.APPROVED, 1)


async def test_the_end_of_a_command_is_written_once(store):
    one = await executing(store)
    seq = await store.add_command(one, READ)

    await store.end_command(one, seq, exit_code=0, output="web-1", is_executed=True)
    await store.end_command(one, seq, exit_code=None, output="stopped", is_executed=True)

    (command,) = (await store.overview(one.id)).commands
    assert (command.exit_code, command.output) == (0, "web-1")
    happened = [entry.entry.what for entry in await store.entries(one.id)]
    assert happened.count(Happened.COMMAND_ENDED) == 1
