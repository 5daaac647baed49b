"""What the worker does with a resolution in each state: the product on one page."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from core import lines, questions
from core.approval import ApprovalState
from core.errors import LeaseLostError, ResolverError, RollbackFailedError
from core.execution import Outcome
from core.executor import RemediationExecutor
from core.findings import IncidentContext
from core.gathering import Gathering
from core.grants import taken_away
from core.history import Entry, Happened
from core.moving import fail, held, told_why
from core.permit import Permit
from core.plan import shown_line
from core.plan_execution import PlanRunner
from core.plan_progress import progress
from core.policy.policy import Policy
from core.ports import Cluster, Ledger, Memory, Store
from core.resolution import ENDED_BUT_UNDOABLE, OPEN_STATES, ActionType, ApprovalId, Person, Resolution, State
from core.revising import Revising
from core.undoing import Undoing
from core.verification import Verifier
from core.watching import Watcher


@dataclass(frozen=True, slots=True)
class Flow:
    """Advances one claimed resolution by one state; every move is a compare-and-set under its epoch."""

    store: Store
    ledger: Ledger
    policy: Policy
    gathering: Gathering
    revising: Revising
    executor: RemediationExecutor
    plan_runner: PlanRunner
    watcher: Watcher
    verifier: Verifier
    undoing: Undoing
    cluster: Cluster
    memory: Memory | None
    agents_at_once: int = 4
    day_usd: float = 20.0

    async def advance(self, resolution: Resolution) -> None:
        """LeaseLostError when another worker took it; any other error is the worker's to retry."""
        await self._advance(resolution)
        await self._remember(resolution)

    async def _advance(self, resolution: Resolution) -> None:
        match resolution.state:
            case State.GATHERING:
                await self.gathering.advance(resolution)
            case State.AWAITING_APPROVAL:
                await self._wait(resolution)
            case State.APPROVED:
                await self._execute(resolution)
            case State.EXECUTING:
                await self._take_over(resolution)
            case State.VERIFYING:
                await self._verify(resolution)
            case State.ROLLING_BACK:
                await self._roll_back(resolution)
            case ended if ended in ENDED_BUT_UNDOABLE:
                await self._undo(resolution, self.undoing.look)
            case _:
                return

    # --- awaiting approval -------------------------------------------------------------------------------------

    async def _wait(self, resolution: Resolution) -> None:
        """Ends a question whose time is up; one about exact lines is compared with the cluster until then."""
        if resolution.approval_id is None:
            raise LeaseLostError("A resolution that waits for approval has no question.")
        async with self.store.transaction() as tx:
            approval = await tx.approval(resolution.approval_id)
            is_over = approval is not None and await tx.now() >= approval.deadline
        if approval is None or approval.state is not ApprovalState.PENDING:
            return
        if is_over:
            await self._expire(resolution, approval.id)
        elif approval.permit.lines:
            await self.revising.look(resolution, approval)

    async def _expire(self, resolution: Resolution, approval_id: ApprovalId) -> None:
        async with self.store.transaction() as tx:
            approval = await tx.approval(approval_id)
            if approval is None or approval.state is not ApprovalState.PENDING or await tx.now() < approval.deadline:
                return
            await tx.end_approval(approval.id, state=ApprovalState.EXPIRED, by=None, reason=None)
            entry = Entry(Happened.EXPIRED, resolution.id, None, {"approval_id": approval.id})
            summary = "Nobody answered in time. Nothing was changed; it can be asked again."
            held(await tx.move(resolution, to=State.EXPIRED, because=entry, summary=summary))

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
        run = self._run(running, permit, context)
        kill_switch = partial(taken_away, self.executor.grants, running.approval_id)
        outcome = await self.watcher.run(running, run, at_stop=kill_switch)
        is_cut_short = outcome is not None and not outcome.is_success and await self.watcher.must_stop(running)
        if outcome is None or is_cut_short:  # a line refused because somebody asked to stop can end the run first
            await self._stopped(running)
        else:
            await self._ended(running, outcome, is_plan=bool(permit.lines))

    async def _may_start(self, resolution: Resolution, permit: Permit | None, left_out: Sequence[str]) -> bool:
        """Moves to executing before the first effect, or says why not; False when nothing is to be run now."""
        spent = await self.ledger.spent_today_usd()
        async with self.store.transaction() as tx:
            if permit is None:
                sentence = f"What was approved is not as it was; ask again to look afresh. {' '.join(left_out)}"
                await fail(tx, resolution, sentence)
                return False
            if await tx.now() > permit.ends_at:
                entry = Entry(Happened.EXPIRED, resolution.id, None, {"reason": "not started in time"})
                summary = "It was approved, but could not start before the approval's end. Nothing was changed."
                held(await tx.move(resolution, to=State.EXPIRED, because=entry, summary=summary))
                return False
            if float(spent) >= self.day_usd and not permit.lines:  # running approved lines costs no model's money
                sentence = f"The limit of {self.day_usd:g} USD a day is spent ({spent:.2f} USD); ask again tomorrow."
                await fail(tx, resolution, sentence)
                return False
            if await tx.pause() is not None or await tx.agents_at_work(resolution.id) >= self.agents_at_once:
                await tx.postpone(resolution, seconds=2.0)
                return False
            if any(permit.shares_target(other) for other in await tx.permits_at_work(resolution.id)):
                await tx.postpone(resolution, seconds=1.0)  # one writer per object at a time
                return False
            facts = {"digest": permit.digest, "left_out": list(left_out), "is_plan": bool(permit.lines)}
            entry = Entry(Happened.EXECUTION_STARTED, resolution.id, None, facts)
            held(await tx.move(resolution, to=State.EXECUTING, because=entry, wake_in_seconds=0))
        return True

    async def _run(self, resolution: Resolution, permit: Permit, context: IncidentContext) -> Outcome | None:
        """The outcome of the agent or of the approved plan, None when the lease was lost.

        What fails before an agent starts is an outcome too.
        """
        try:
            if permit.lines:
                return await self.plan_runner.run(resolution, permit=permit, context=context)
            return await self.executor.run(resolution, permit=permit, context=context)
        except LeaseLostError:
            return None
        except ResolverError as error:
            return Outcome(resolution.id, "failed", str(error))

    async def _ended(self, resolution: Resolution, outcome: Outcome, *, is_plan: bool) -> None:
        overview = await self.store.overview(resolution.id)
        async with self.store.transaction() as tx:
            await questions.close(tx, overview.question if overview else None, by=None, reason="the run has ended")
            await tx.save_outcome(outcome, transcript=outcome.transcript)
            facts = {"ending": outcome.ending, "output": outcome.output, "is_plan": is_plan}
            entry = Entry(Happened.EXECUTION_ENDED, resolution.id, None, facts)
            if outcome.is_success:
                moved = await tx.move(
                    resolution, to=State.VERIFYING, because=entry, wake_in_seconds=0, summary=outcome.output
                )
                held(moved)
                return
            await tx.append(entry)
            cause = "timeout" if outcome.ending == "timeout" else "error"
            has_changed = outcome.has_changed and cause in self.policy.undo_when
            await fail(tx, resolution, outcome.output, has_changed=has_changed)

    async def _stopped(self, resolution: Resolution) -> None:
        """The run is gone: either somebody asked, or another worker holds the resolution."""
        asked = await self.store.stop_asked(resolution.id)
        if asked is None:
            raise LeaseLostError("Another worker holds this resolution now.")
        by, reason = asked
        await self._interrupted(resolution, by=by, reason=reason, opening=told_why(f"Interrupted by {by.name}", reason))

    async def _take_over(self, resolution: Resolution) -> None:
        """A row found executing has no living owner: never run it again, say what was and was not done."""
        overview = await self.store.overview(resolution.id)
        opening = "The service stopped while the agent was at work; the agent died with it."
        if overview is not None and overview.approval is not None and overview.approval.permit.lines:
            opening = "The service stopped while the approved plan was run."
        opening += "".join(
            {await taken_away(self.executor.grants, one.id) for one in overview.approvals} if overview else ()
        )
        await self._interrupted(resolution, by=resolution.interrupt_by, reason="", opening=opening)

    async def _interrupted(self, resolution: Resolution, *, by: Person | None, reason: str, opening: str) -> None:
        overview = await self.store.overview(resolution.id)
        ran = [one for one in overview.commands if one.is_executed] if overview else []
        changes = overview.changes if overview else 0
        plans = progress(overview, is_over=True) if overview is not None else ()
        if plans:
            planned = {shown_line(line.line) for one in plans for line in one.permit.lines}
            ran = [one for one in ran if one.line in planned]
            told = " ".join((opening, *(one.sentence for one in plans)))
        else:
            done = "; ".join(f"{one.line} ({_ending(one.exit_code, is_over=one.ended_at is not None)})" for one in ran)
            told = f"{opening} What ran: {done}." if done else f"{opening} No command had run."
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
            held(moved)

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
            opening = told_why(f"Interrupted by {by.name} during verification", reason)
            await self._interrupted(resolution, by=by, reason=reason, opening=opening)
            return
        async with self.store.transaction() as tx:
            facts = {"is_healthy": False, "health": verdict.health.value, "sentences": list(verdict.sentences)}
            await tx.append(Entry(Happened.VERIFIED, resolution.id, None, facts))
            sentence = f"Not healthy after the change ({verdict.health.value}): {' '.join(verdict.sentences)}"
            is_undone = changes > 0 and verdict.health.value in self.policy.undo_when
            await fail(tx, resolution, sentence, has_changed=is_undone)

    async def _complete(self, resolution: Resolution, sentences: tuple[str, ...]) -> None:
        async with self.store.transaction() as tx:
            facts = {"is_healthy": True, "sentences": list(sentences)}
            await tx.append(Entry(Happened.VERIFIED, resolution.id, None, facts))
            entry = Entry(Happened.COMPLETED, resolution.id, None, {"summary": resolution.summary})
            held(await tx.move(resolution, to=State.COMPLETED, because=entry))

    async def give_up(self, resolution: Resolution, sentence: str) -> None:
        """The worker's last word after repeated errors: failed, or rollback_failed where an undo was at work."""
        async with self.store.transaction() as tx:
            if resolution.state is State.ROLLING_BACK:
                entry = Entry(Happened.ROLLBACK_FAILED, resolution.id, None, {"summary": sentence})
                held(await tx.move(resolution, to=State.ROLLBACK_FAILED, because=entry, summary=sentence))
            elif resolution.state in ENDED_BUT_UNDOABLE:
                entry = Entry(Happened.ROLLBACK_FAILED, resolution.id, None, {"summary": sentence})
                await tx.append(entry)
                await tx.wait_for(resolution, None, wake_in_seconds=None)
            elif resolution.state in {State.GATHERING, State.APPROVED, State.VERIFYING}:
                await fail(tx, resolution, sentence)
        await self._remember(resolution)

    # --- rolling back ------------------------------------------------------------------------------------------

    async def _roll_back(self, resolution: Resolution) -> None:
        if resolution.snapshot_id is None:
            await self.give_up(resolution, "There is no snapshot to put back.")
            return
        await self._undo(resolution, self.undoing.roll_back)

    async def _undo(self, resolution: Resolution, step: Callable[[Resolution], Awaitable[None]]) -> None:
        """A snapshot that cannot be opened is not tried again by itself: people mend that first, then ask again."""
        try:
            await step(resolution)
        except RollbackFailedError as error:
            await self.give_up(resolution, f"{resolution.summary or ''} Not rolled back: {error}".strip())

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


def _ending(exit_code: int | None, *, is_over: bool) -> str:
    if exit_code is not None:
        return f"exit code {exit_code}"
    return "stopped" if is_over else "not known to have ended"
