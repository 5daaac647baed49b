"""What the worker does with a resolution in each state: the product on one page."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from core import lines, permits, questions, risk
from core.approval import Approval, ApprovalState, Subject
from core.approvals import ApprovalEngine
from core.assessment import RiskAssessment
from core.context import ContextGatherer
from core.errors import LeaseLostError, ResolverError, UnavailableError
from core.execution import Outcome
from core.executor import RemediationExecutor
from core.findings import IncidentContext
from core.history import Entry, Happened
from core.permit import Permit
from core.policy.policy import Policy
from core.ports import Cluster, Ledger, Memory, Store, Transaction
from core.resolution import ENDED_BUT_UNDOABLE, OPEN_STATES, ActionType, ApprovalId, Person, Resolution, State
from core.undoing import Undoing
from core.verification import Verifier

POLICY = Person("policy", "the policy")
"""Who approves what needs no person."""

WATCH_SECONDS = 0.3
START_WITHIN = timedelta(minutes=10)
"""How long after its deadline an approval may still start, for a paused or busy service."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Advances one claimed resolution by one state; every move is a compare-and-set under its epoch."""

    store: Store
    ledger: Ledger
    gatherer: ContextGatherer
    policy: Policy
    engine: ApprovalEngine
    executor: RemediationExecutor
    verifier: Verifier
    undoing: Undoing
    cluster: Cluster
    memory: Memory | None
    new_id: Callable[[], str]
    agents_at_once: int = 4
    day_usd: float = 20.0

    async def advance(self, resolution: Resolution) -> None:
        """LeaseLostError when another worker took it; any other error is the worker's to retry."""
        await self._advance(resolution)
        await self._remember(resolution)

    async def _advance(self, resolution: Resolution) -> None:
        match resolution.state:
            case State.GATHERING:
                await self._assess(resolution)
            case State.AWAITING_APPROVAL:
                await self._expire(resolution)
            case State.APPROVED:
                await self._execute(resolution)
            case State.EXECUTING:
                await self._take_over(resolution)
            case State.VERIFYING:
                await self._verify(resolution)
            case State.ROLLING_BACK:
                await self._roll_back(resolution)
            case ended if ended in ENDED_BUT_UNDOABLE:
                await self.undoing.look(resolution)
            case _:
                return

    # --- gathering ---------------------------------------------------------------------------------------------

    async def _assess(self, resolution: Resolution) -> None:
        request = resolution.request
        context = await self.gatherer.gather(request)
        target = context.affected[0].resource if context.affected else None
        failed = await self.store.failed_lately(request, target)
        context = replace(context, failed_before=max(context.failed_before, failed))
        assessment = risk.assess(request, context, self.policy)
        problem = self._problem(resolution, context)
        async with self.store.transaction() as tx:
            deadline = await tx.now() + timedelta(seconds=self.engine.timeout_seconds(assessment.level))
            permit = permits.make_permit(
                request,
                context,
                assessment,
                self.policy,
                ends_at=deadline + START_WITHIN,
                cluster=context.cluster_uid or context.cluster_name,
            )
            await tx.save_context(resolution.id, context)
            if permit is None or problem is not None:
                await tx.save_assessment(resolution.id, assessment)
                await self._fail(tx, resolution, problem or _no_target(resolution, context))
                return
            assessment = replace(assessment, level=max(assessment.level, permit.highest_risk))
            await tx.save_assessment(resolution.id, assessment)
            await self._put_question(tx, resolution, assessment, permit)

    def _problem(self, resolution: Resolution, context: IncidentContext) -> str | None:
        """Why this cluster may not be touched for this client (DESIGN 3.10), None when it may."""
        return self.policy.cluster_problem(resolution.request.client_id, context.cluster_uid)

    async def _put_question(
        self, tx: Transaction, resolution: Resolution, assessment: RiskAssessment, permit: Permit
    ) -> None:
        now = await tx.now()
        deadline = permit.ends_at - START_WITHIN
        is_asked = self.engine.needs_person(assessment, resolution.request, caller=resolution.requested_by)
        approval = Approval(
            id=ApprovalId(self.new_id()),
            resolution_id=resolution.id,
            subject=Subject.RESOLUTION,
            state=ApprovalState.PENDING if is_asked else ApprovalState.APPROVED,
            permit=permit,
            asked_at=now,
            deadline=deadline,
            decided_by=None if is_asked else POLICY,
            decided_at=None if is_asked else now,
        )
        await tx.add_approval(approval)
        facts = {"level": assessment.level.value, "factors": list(assessment.factors), "digest": permit.digest}
        await tx.append(Entry(Happened.ASSESSED, resolution.id, None, facts))
        what, to = (Happened.ASKED, State.AWAITING_APPROVAL) if is_asked else (Happened.AUTO_APPROVED, State.APPROVED)
        entry = Entry(what, resolution.id, None if is_asked else POLICY, {"approval_id": approval.id, **facts})
        wake = (deadline - now).total_seconds() if is_asked else 0
        _held(await tx.move(resolution, to=to, because=entry, wake_in_seconds=wake))

    # --- awaiting approval -------------------------------------------------------------------------------------

    async def _expire(self, resolution: Resolution) -> None:
        if resolution.approval_id is None:
            raise LeaseLostError("A resolution that waits for approval has no question.")
        async with self.store.transaction() as tx:
            approval = await tx.approval(resolution.approval_id)
            if approval is None or approval.state is not ApprovalState.PENDING or await tx.now() < approval.deadline:
                return
            await tx.end_approval(approval.id, state=ApprovalState.EXPIRED, by=None, reason=None)
            entry = Entry(Happened.EXPIRED, resolution.id, None, {"approval_id": approval.id})
            summary = "Nobody answered in time. Nothing was changed; it can be asked again."
            _held(await tx.move(resolution, to=State.EXPIRED, because=entry, summary=summary))

    # --- approved, executing -----------------------------------------------------------------------------------

    async def _execute(self, resolution: Resolution) -> None:
        overview = await self.store.overview(resolution.id)
        context = await self.store.context(resolution.id)
        if overview is None or overview.approval is None or context is None:
            raise ResolverError("An approved resolution has lost its question or its context.")
        permit, left_out = await lines.narrowed(overview.approval.permit, self.cluster)
        if not await self._may_start(resolution, permit, left_out) or permit is None:
            return
        running = replace(resolution, state=State.EXECUTING)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            run = group.create_task(self._run(running, permit, context))
            watch = group.create_task(self._watch(running, stop))
            await asyncio.wait({run, watch}, return_when=asyncio.FIRST_COMPLETED)
            run.cancel()
            outcome = await _outcome(run)
            stop.set()
        if outcome is None:
            await self._stopped(running)
        else:
            await self._ended(running, outcome)

    async def _may_start(self, resolution: Resolution, permit: Permit | None, left_out: Sequence[str]) -> bool:
        """Moves to executing before the first effect, or says why not; False when nothing is to be run now."""
        spent = await self.ledger.spent_today_usd()
        async with self.store.transaction() as tx:
            if permit is None:
                sentence = f"What was approved is not as it was; ask again to look afresh. {' '.join(left_out)}"
                await self._fail(tx, resolution, sentence)
                return False
            if await tx.now() > permit.ends_at:
                entry = Entry(Happened.EXPIRED, resolution.id, None, {"reason": "not started in time"})
                summary = "It was approved, but could not start before the approval's end. Nothing was changed."
                _held(await tx.move(resolution, to=State.EXPIRED, because=entry, summary=summary))
                return False
            if float(spent) >= self.day_usd:
                sentence = f"The limit of {self.day_usd:g} USD a day is spent ({spent:.2f} USD); ask again tomorrow."
                await self._fail(tx, resolution, sentence)
                return False
            if await tx.pause() is not None or await tx.agents_at_work() >= self.agents_at_once:
                await tx.postpone(resolution, seconds=2.0)
                return False
            if any(permit.shares_target(other) for other in await tx.permits_at_work(resolution.id)):
                await tx.postpone(resolution, seconds=1.0)  # one writer per object at a time
                return False
            facts = {"digest": permit.digest, "left_out": list(left_out)}
            entry = Entry(Happened.EXECUTION_STARTED, resolution.id, None, facts)
            _held(await tx.move(resolution, to=State.EXECUTING, because=entry, wake_in_seconds=0))
        return True

    async def _run(self, resolution: Resolution, permit: Permit, context: IncidentContext) -> Outcome | None:
        """The agent's outcome; None when the lease was lost. What fails before the agent starts is an outcome too."""
        try:
            return await self.executor.run(resolution, permit=permit, context=context)
        except LeaseLostError:
            return None
        except ResolverError as error:
            return Outcome(resolution.id, "failed", str(error))

    async def _watch(self, resolution: Resolution, stop: asyncio.Event) -> None:
        """Returns when somebody asked to stop, when the lease is lost, or once `stop` is set."""
        while not stop.is_set():
            if await self._must_stop(resolution):
                return
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _must_stop(self, resolution: Resolution) -> bool:
        """A database that does not answer is no order to stop: the lease runs out by itself, and no change starts."""
        try:
            return await self.store.stop_asked(resolution.id) is not None or not await self.store.is_held(resolution)
        except UnavailableError:
            return False

    async def _ended(self, resolution: Resolution, outcome: Outcome) -> None:
        overview = await self.store.overview(resolution.id)
        async with self.store.transaction() as tx:
            await questions.close(tx, overview.question if overview else None, by=None, reason="the run has ended")
            await tx.save_outcome(outcome, transcript=outcome.transcript)
            facts = {"ending": outcome.ending, "output": outcome.output}
            entry = Entry(Happened.EXECUTION_ENDED, resolution.id, None, facts)
            if outcome.is_success:
                moved = await tx.move(
                    resolution, to=State.VERIFYING, because=entry, wake_in_seconds=0, summary=outcome.output
                )
                _held(moved)
                return
            await tx.append(entry)
            cause = "timeout" if outcome.ending == "timeout" else "error"
            has_changed = outcome.has_changed and cause in self.policy.undo_when
            await self._fail(tx, resolution, outcome.output, has_changed=has_changed)

    async def _stopped(self, resolution: Resolution) -> None:
        """The run is gone: either somebody asked, or another worker holds the resolution."""
        asked = await self.store.stop_asked(resolution.id)
        if asked is None:
            raise LeaseLostError("Another worker holds this resolution now.")
        by, reason = asked
        await self._interrupted(resolution, by=by, reason=reason, opening=f"Interrupted by {by.name}.")

    async def _take_over(self, resolution: Resolution) -> None:
        """A row found executing has no living owner: never run it again, say what was and was not done."""
        opening = "The service stopped while the agent was at work; the agent died with it."
        await self._interrupted(resolution, by=resolution.interrupt_by, reason="", opening=opening)

    async def _interrupted(self, resolution: Resolution, *, by: Person | None, reason: str, opening: str) -> None:
        overview = await self.store.overview(resolution.id)
        ran = [one for one in overview.commands if one.is_executed] if overview else []
        changes = overview.changes if overview else 0
        done = "; ".join(f"{one.line} ({_ending(one.exit_code, is_over=one.ended_at is not None)})" for one in ran)
        told = f"{opening} {reason}".strip()
        told += f" What ran: {done}." if done else " No command had run."
        told += questions.approved_in_vain(overview) if overview else ""
        made = "1 change" if changes == 1 else f"{changes} changes"
        told += f" {made} can be rolled back." if changes else " Nothing was changed."
        outcome = Outcome(resolution.id, "interrupted", told, tuple(one.line for one in ran), bool(changes))
        async with self.store.transaction() as tx:
            await questions.close(tx, overview.question if overview else None, by=by, reason=questions.INTERRUPTED)
            await tx.save_outcome(outcome, transcript="")
            facts = {"summary": told, "reason": reason}
            cause = "error" if by is None else "interrupt"
            if resolution.auto_rollback and changes and cause in self.policy.undo_when:
                entry = Entry(Happened.ROLLBACK_STARTED, resolution.id, None, facts)
                moved = await tx.move(resolution, to=State.ROLLING_BACK, because=entry, wake_in_seconds=0, summary=told)
            else:
                entry = Entry(Happened.INTERRUPTED, resolution.id, by, facts)
                moved = await tx.move(resolution, to=State.INTERRUPTED, because=entry, summary=told)
            _held(moved)

    # --- verifying ---------------------------------------------------------------------------------------------

    async def _verify(self, resolution: Resolution) -> None:
        context = await self.store.context(resolution.id) or IncidentContext()
        overview = await self.store.overview(resolution.id)
        changes = overview.changes if overview else 0
        if resolution.request.action_type is ActionType.INVESTIGATION:
            await self._complete(resolution, ("An investigation changes nothing; there is nothing to verify.",))
            return
        verdict = await self.verifier.verify(context.affected, stop=lambda: self.store.stop_asked(resolution.id))
        if verdict.is_healthy:
            await self._complete(resolution, verdict.sentences)
            return
        asked = await self.store.stop_asked(resolution.id)
        if asked is not None:
            by, reason = asked
            opening = f"Interrupted by {by.name} during verification."
            await self._interrupted(resolution, by=by, reason=reason, opening=opening)
            return
        async with self.store.transaction() as tx:
            facts = {"is_healthy": False, "health": verdict.health.value, "sentences": list(verdict.sentences)}
            await tx.append(Entry(Happened.VERIFIED, resolution.id, None, facts))
            sentence = f"Not healthy after the change ({verdict.health.value}): {' '.join(verdict.sentences)}"
            is_undone = changes > 0 and verdict.health.value in self.policy.undo_when
            await self._fail(tx, resolution, sentence, has_changed=is_undone)

    async def _complete(self, resolution: Resolution, sentences: tuple[str, ...]) -> None:
        async with self.store.transaction() as tx:
            facts = {"is_healthy": True, "sentences": list(sentences)}
            await tx.append(Entry(Happened.VERIFIED, resolution.id, None, facts))
            entry = Entry(Happened.COMPLETED, resolution.id, None, {"summary": resolution.summary})
            _held(await tx.move(resolution, to=State.COMPLETED, because=entry))

    async def _fail(self, tx: Transaction, resolution: Resolution, sentence: str, *, has_changed: bool = False) -> None:
        """Ends as failed; where something was changed and the policy says so, goes on to roll it back."""
        facts = {"summary": sentence}
        if has_changed and resolution.auto_rollback:
            entry = Entry(Happened.ROLLBACK_STARTED, resolution.id, None, facts)
            moved = await tx.move(resolution, to=State.ROLLING_BACK, because=entry, wake_in_seconds=0, summary=sentence)
        else:
            entry = Entry(Happened.FAILED, resolution.id, None, facts)
            moved = await tx.move(resolution, to=State.FAILED, because=entry, summary=sentence)
        _held(moved)

    async def give_up(self, resolution: Resolution, sentence: str) -> None:
        """The worker's last word after repeated errors: failed, or rollback_failed where an undo was at work."""
        async with self.store.transaction() as tx:
            if resolution.state is State.ROLLING_BACK:
                entry = Entry(Happened.ROLLBACK_FAILED, resolution.id, None, {"summary": sentence})
                _held(await tx.move(resolution, to=State.ROLLBACK_FAILED, because=entry, summary=sentence))
            elif resolution.state in ENDED_BUT_UNDOABLE:
                entry = Entry(Happened.ROLLBACK_FAILED, resolution.id, None, {"summary": sentence})
                await tx.append(entry)
                await tx.wait_for(resolution, None, wake_in_seconds=None)
            elif resolution.state in {State.GATHERING, State.APPROVED, State.VERIFYING}:
                await self._fail(tx, resolution, sentence)
        await self._remember(resolution)

    # --- rolling back ------------------------------------------------------------------------------------------

    async def _roll_back(self, resolution: Resolution) -> None:
        if resolution.snapshot_id is None:
            await self.give_up(resolution, "There is no snapshot to put back.")
            return
        await self.undoing.roll_back(resolution)

    async def _remember(self, resolution: Resolution) -> None:
        """Writes an end back to the graph; a graph that does not answer holds nothing up."""
        if self.memory is None:
            return
        overview = await self.store.overview(resolution.id)
        if overview is None or overview.resolution.state in OPEN_STATES:
            return
        try:
            await self.memory.remember(overview)
        except ResolverError:
            return


async def _outcome(run: "asyncio.Task[Outcome | None]") -> Outcome | None:
    """The run's outcome, None if it was stopped."""
    try:
        return await run
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        return None


def _held(moved: bool) -> None:  # noqa: FBT001  the one positional answer of move()
    if not moved:
        raise LeaseLostError("Another worker moved this resolution.")


def _ending(exit_code: int | None, *, is_over: bool) -> str:
    if exit_code is not None:
        return f"exit code {exit_code}"
    return "stopped" if is_over else "not known to have ended"


def _no_target(resolution: Resolution, context: IncidentContext) -> str:
    request = resolution.request
    missing = [gap for gap in context.gaps if not gap.is_off]
    unknown = "".join(f" {gap.source} could not say: {gap.reason}" for gap in missing)
    return (
        f"No affected resource was found in namespace {request.namespace}, so there is nothing that could be approved. "
        f"Name the workload in the description, or check the namespace and the cluster.{unknown}"
    )
