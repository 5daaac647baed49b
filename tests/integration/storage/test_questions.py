"""Questions mid-run on a real PostgreSQL: put under the lease, answered once, closed with the run."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from core import questions
from core.actor import Actor, Right
from core.approval import Answer, Approval, ApprovalState, Subject
from core.approvals import ApprovalEngine
from core.errors import LeaseLostError, NotAllowedError, StaleError
from core.history import Entry, Happened
from core.intake import Intake
from core.permit import PermittedLine, Precondition
from core.questions import Asking, Questions
from core.resolution import Person, State
from core.resources import Resource
from core.risk_levels import RiskLevel
from storage.database import connected
from tests.integration.storage.test_store import ADA, executing, permit

WEB = Resource("Deployment", "web", "shop", "apps/v1", "uid-web")
LINE = PermittedLine(
    line="kubectl scale deploy/web --replicas=5",
    stages=(("kubectl", "scale", "deploy/web", "--replicas=5"),),
    verdict=RiskLevel.HIGH,
    rule="R7",
    namespace="shop",
    targets=(WEB,),
    preconditions=(Precondition(WEB, ("spec", "replicas"), "3"),),
    files=(("a.yaml", "0" * 64),),
    undo="What it holds is lost",
)
BEN = Actor(Person("key:ben", "ben"), frozenset({Right.APPROVE}), is_approver=True)


def clock() -> datetime:
    return datetime.now(UTC)


def asked_by(store, resolution, *, seconds=300.0) -> Questions:
    asking = Asking(lambda level: seconds, lambda: str(uuid.uuid4()))
    return Questions(resolution=resolution, permit=permit(), store=store, clock=clock, asking=asking)


def clerk(store) -> Intake:
    return Intake(store=store, engine=ApprovalEngine(), rollback=None, clock=clock, new_id=str)


def answer(question: Approval, *, is_approval=True, digest=None) -> Answer:
    return Answer(
        question.id, BEN.person, is_approval=is_approval, reason="fine", digest=digest or question.permit.digest
    )


async def put_by(questions: Questions) -> Approval:
    """Asks without waiting for the answer."""
    return await questions._put(replace(questions.permit, lines=(LINE,), highest_risk=RiskLevel.HIGH), why="")


async def put(store, resolution) -> Approval:
    return await put_by(asked_by(store, resolution))


async def test_a_question_is_a_row_of_its_own_and_the_resolution_waits_without_moving(store):
    running = await executing(store)

    question = await put(store, running)

    seen = await store.overview(running.id)
    assert (seen.resolution.state, seen.resolution.waiting_for) == (State.EXECUTING, "approval")
    assert seen.question == await store.approval(question.id)
    assert seen.question.permit == question.permit
    assert seen.question.permit.digest == question.permit.digest
    assert seen.question.permit.lines == (LINE,)
    assert seen.approval is None
    assert [one.resolution.id for one in await store.pending(None)] == [running.id]
    assert (await store.entries(running.id))[-1].entry.what is Happened.QUESTION_ASKED


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE resolution SET epoch = epoch + 1",
        "UPDATE resolution SET lease_until = now() - interval '1 second'",
        'UPDATE resolution SET interrupt_by = \'{"id":"x","name":"x"}\'',
        "UPDATE resolution SET state = 'verifying'",
    ],
)
async def test_a_run_that_may_not_go_on_puts_no_question(store, sql):
    running = await executing(store)
    async with connected(store.engine) as connection:
        await connection.execute(text(sql))

    with pytest.raises(LeaseLostError):
        await put(store, running)

    seen = await store.overview(running.id)
    assert (seen.question, seen.resolution.waiting_for) == (None, None)


@pytest.mark.parametrize(("is_approval", "state"), [(True, ApprovalState.APPROVED), (False, ApprovalState.REJECTED)])
async def test_an_answer_ends_the_question_and_leaves_the_resolution_at_work(store, is_approval, state):
    running = await executing(store)
    question = await put(store, running)

    seen = await clerk(store).decide(answer(question, is_approval=is_approval), actor=BEN)

    assert (seen.resolution.state, seen.resolution.waiting_for, seen.question) == (State.EXECUTING, None, None)
    (ended,) = seen.approvals
    assert (ended.state, ended.decided_by, ended.reason) == (state, BEN.person, "fine")
    last = (await store.entries(running.id))[-1].entry
    assert (last.what, last.by, last.facts["state"]) == (Happened.QUESTION_ENDED, BEN.person, state.value)
    with pytest.raises(StaleError, match="already"):
        await clerk(store).decide(answer(question), actor=BEN)


async def test_an_answer_to_another_digest_or_by_nobody_who_may_counts_not(store):
    running = await executing(store)
    question = await put(store, running)

    with pytest.raises(StaleError, match="plan has changed"):
        await clerk(store).decide(answer(question, digest="0" * 64), actor=BEN)
    with pytest.raises(NotAllowedError):
        await clerk(store).decide(answer(question), actor=replace(BEN, is_approver=False))
    assert (await store.overview(running.id)).question is not None


async def test_forty_answers_at_once_are_one(store):
    running = await executing(store)
    question = await put(store, running)

    async def answered() -> bool:
        try:
            await clerk(store).decide(answer(question), actor=BEN)
        except StaleError:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(answered()) for _ in range(40)]

    assert sum(task.result() for task in tasks) == 1


async def test_the_waiting_run_sees_the_answer(store):
    running = await executing(store)
    asked = asked_by(store, running)

    async def later():
        while (seen := await store.overview(running.id)).question is None:
            await asyncio.sleep(0.01)
        await clerk(store).decide(answer(seen.question), actor=BEN)
        asked.asking.bell.ring()

    async with asyncio.TaskGroup() as group:
        group.create_task(later())
        ended = await asked.ask(LINE, level=RiskLevel.HIGH)

    assert (ended.state, ended.decided_by) == (ApprovalState.APPROVED, BEN.person)


async def test_a_waiting_run_holds_no_connection(store):
    running = await executing(store)
    asked = asked_by(store, running)
    waiting = asyncio.create_task(asked.ask(LINE, level=RiskLevel.HIGH))
    while (await store.overview(running.id)).question is None:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)

    assert store.engine.pool.checkedout() == 0
    waiting.cancel()


async def test_a_question_that_nobody_answers_expires_and_says_so(store):
    running = await executing(store)

    ended = await asked_by(store, running, seconds=0.2).ask(LINE, level=RiskLevel.HIGH)

    assert ended.state is ApprovalState.EXPIRED
    assert ended.deadline - ended.asked_at == timedelta(seconds=0.2)
    assert (await store.overview(running.id)).resolution.waiting_for is None
    assert (await store.entries(running.id))[-1].entry.facts["state"] == "expired"


async def test_however_long_policy_lets_a_question_wait_it_ends_before_the_agents_call_does(store):
    running = await executing(store)

    question = await put_by(asked_by(store, running, seconds=604_800))

    assert question.deadline - question.asked_at == timedelta(seconds=questions.LONGEST_WAIT_SECONDS)


async def test_an_interrupt_closes_the_question_at_once_and_a_late_answer_is_refused(store):
    running = await executing(store)
    question = await put(store, running)

    seen = await clerk(store).interrupt(running.id, by=ADA, reason="wrong")

    (closed,) = seen.approvals
    assert (closed.state, closed.reason, closed.decided_by) == (ApprovalState.CANCELLED, questions.INTERRUPTED, ADA)
    assert seen.resolution.waiting_for is None
    with pytest.raises(StaleError, match="already cancelled by Ada"):
        await clerk(store).decide(answer(question), actor=BEN)


async def test_an_answer_after_the_run_was_asked_to_stop_is_refused(store):
    running = await executing(store)
    question = await put(store, running)
    async with store.transaction() as tx:
        await tx.ask_interrupt(running.id, by=ADA, reason="")

    with pytest.raises(StaleError, match="The run that asked is over"):
        await clerk(store).decide(answer(question), actor=BEN)


async def test_what_was_approved_mid_run_counts_as_at_work_and_what_was_not_does_not(store):
    running = await executing(store)
    question = await put(store, running)
    async with store.transaction() as tx:
        assert await tx.permits_at_work("00000000-0000-4000-8000-000000000000") == ()
    await clerk(store).decide(answer(question), actor=BEN)
    async with store.transaction() as tx:
        (at_work,) = await tx.permits_at_work("00000000-0000-4000-8000-000000000000")

    assert at_work.targets == (WEB,)


async def test_an_object_that_is_at_work_elsewhere_is_not_asked_for(store):
    other = await executing(store)
    question = await put(store, other)
    await clerk(store).decide(answer(question), actor=BEN)
    running = await executing(store)

    with pytest.raises(StaleError, match="Another resolution is at work"):
        await put_by(asked_by(store, running))


async def test_of_two_questions_about_one_object_only_one_is_approved_until_its_run_has_ended(store):
    first, second = await executing(store), await executing(store)
    asked, waiting = await put(store, first), await put(store, second)
    await clerk(store).decide(answer(asked), actor=BEN)

    with pytest.raises(StaleError, match="Another resolution is at work"):
        await clerk(store).decide(answer(waiting), actor=BEN)

    assert (await store.approval(waiting.id)).state is ApprovalState.PENDING
    async with store.transaction() as tx:
        assert await tx.move(first, to=State.INTERRUPTED, because=Entry(Happened.INTERRUPTED, first.id))
    await clerk(store).decide(answer(waiting), actor=BEN)
    assert (await store.approval(waiting.id)).state is ApprovalState.APPROVED


async def test_a_question_about_an_object_that_is_at_work_elsewhere_can_be_rejected(store):
    first, second = await executing(store), await executing(store)
    asked, waiting = await put(store, first), await put(store, second)
    await clerk(store).decide(answer(asked), actor=BEN)

    await clerk(store).decide(answer(waiting, is_approval=False), actor=BEN)

    assert (await store.approval(waiting.id)).state is ApprovalState.REJECTED


async def test_an_approval_mid_run_waits_for_whoever_is_about_to_start(store):
    question = await put(store, await executing(store))

    async with asyncio.TaskGroup() as group, store.transaction() as starting:
        await starting.agents_at_work("00000000-0000-4000-8000-000000000000")
        deciding = group.create_task(clerk(store).decide(answer(question), actor=BEN))
        await asyncio.sleep(0.3)
        assert not deciding.done()

    assert (await store.approval(question.id)).state is ApprovalState.APPROVED


async def test_the_first_question_of_a_resolution_stays_its_own(store):
    running = await executing(store)
    first = Approval(
        "bbbbbbbb-0000-4000-8000-000000000000",
        running.id,
        Subject.RESOLUTION,
        ApprovalState.APPROVED,
        permit(),
        clock(),
        clock() + timedelta(minutes=5),
    )
    async with store.transaction() as tx:
        await tx.add_approval(first)
    await put(store, running)

    seen = await store.overview(running.id)

    assert (seen.resolution.approval_id, seen.approval.id) == (first.id, first.id)
    assert seen.question.subject is Subject.COMMAND
