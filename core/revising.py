"""A question about exact lines is compared with the cluster while it waits; what changed is shown before an answer."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.approval import Approval, ApprovalState
from core.approvals import ApprovalEngine
from core.errors import LeaseLostError, ResolverError, StaleError, UnavailableError
from core.gathering import START_WITHIN, next_look
from core.history import Entry, Happened
from core.moving import held
from core.permit import Permit, PermittedLine
from core.plan import Check, ProposedStep
from core.planning import Planner, is_same
from core.ports import Store, Transaction
from core.resolution import Resolution, State

MOST_REVISIONS = 5
"""A plan whose objects keep changing is not worth asking about any longer."""


@dataclass(frozen=True, slots=True)
class Revising:
    """No model is asked: the same lines are judged, resolved and tried again."""

    store: Store
    planner: Planner
    engine: ApprovalEngine

    async def look(self, resolution: Resolution, approval: Approval) -> None:
        """Puts a new revision where targets, values or the dry run's answer differ; withdraws what fits no more."""
        permit = approval.permit
        try:
            lines = tuple([await self._again(resolution, one) for one in permit.lines])
        except LeaseLostError:
            raise
        except (StaleError, UnavailableError):
            lines = permit.lines  # the next look may have an answer, and everything is read again before it runs
        except ResolverError as error:
            await self._withdraw(resolution, approval, f"The plan no longer fits: {error}")
            return
        highest = max([permit.highest_risk, *(one.verdict for one in lines)])
        fresh = replace(permit, lines=lines, highest_risk=highest)
        if fresh.digest == permit.digest:
            async with self.store.transaction() as tx:
                await self._look_later(tx, resolution, permit, approval.deadline)
        elif permit.revision >= MOST_REVISIONS:
            await self._withdraw(resolution, approval, "What the plan is about keeps changing, so it was withdrawn.")
        else:
            await self._revise(resolution, approval, fresh)

    async def _again(self, resolution: Resolution, line: PermittedLine) -> PermittedLine:
        step = ProposedStep(line.line, Check(line.check), line.undo)
        return await self.planner.line_again(step, resolution=resolution)

    async def _revise(self, resolution: Resolution, approval: Approval, fresh: Permit) -> None:
        async with self.store.transaction() as tx:
            if not await _is_open(tx, approval):
                return
            deadline = await tx.now() + timedelta(seconds=self.engine.timeout_seconds(fresh.highest_risk))
            permit = replace(fresh, revision=fresh.revision + 1, ends_at=deadline + START_WITHIN)
            await tx.revise_approval(approval.id, permit=permit, deadline=deadline)
            facts = {
                "approval_id": approval.id,
                "revision": permit.revision,
                "digest": permit.digest,
                "changes": changes(approval.permit, permit),
            }
            await tx.append(Entry(Happened.PLAN_REVISED, resolution.id, None, facts))
            await self._look_later(tx, resolution, permit, deadline)

    async def _withdraw(self, resolution: Resolution, approval: Approval, sentence: str) -> None:
        async with self.store.transaction() as tx:
            if not await _is_open(tx, approval):
                return
            await tx.end_approval(approval.id, state=ApprovalState.CANCELLED, by=None, reason=sentence)
            entry = Entry(Happened.CANCELLED, resolution.id, None, {"reason": sentence})
            summary = f"{sentence} Nothing was changed; ask again for a new plan."
            held(await tx.move(resolution, to=State.CANCELLED, because=entry, summary=summary))

    async def _look_later(self, tx: Transaction, resolution: Resolution, permit: Permit, deadline: datetime) -> None:
        left = (deadline - await tx.now()).total_seconds()
        await tx.postpone(resolution, seconds=max(0.0, next_look(permit, left)))


def changes(old: Permit, new: Permit) -> list[str]:
    """A sentence for each step that is not what it was."""
    told = []
    for number, (before, after) in enumerate(zip(old.lines, new.lines, strict=True), start=1):
        if before.diff != after.diff:
            told.append(f"Step {number} would now do this: {' '.join(after.diff.split())}")
        elif not is_same(before, after):
            told.append(f"The objects of step {number}, or the values it starts from, are not the same any more.")
    return told


async def _is_open(tx: Transaction, approval: Approval) -> bool:
    """Whether it still waits, as it was looked at: nobody answered meanwhile."""
    now = await tx.approval(approval.id)
    return now is not None and now.state is ApprovalState.PENDING and now.permit.digest == approval.permit.digest
