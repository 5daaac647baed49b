"""Undoing: what the worker does from the moment a rollback is asked for until it has ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core import undo_permits
from core.approval import Approval, ApprovalState, Subject
from core.approvals import ApprovalEngine
from core.assessment import RiskAssessment
from core.context import ContextGatherer
from core.errors import ResolverError
from core.evidence import keep_evidence
from core.history import Entry, Happened
from core.moving import held
from core.overview import Overview
from core.permit import Permit, PermitRule
from core.ports import Store
from core.resolution import ROLLBACK, ApprovalId, Resolution, State
from core.risk_levels import RiskLevel
from core.rollback import RollbackManager
from core.snapshot import Snapshot, UndoReport

WITHIN = timedelta(minutes=10)
"""How long after its question's deadline an approved rollback may still go beyond the resolution's own change."""
ALONG = "approved along with the first question"
OTHER_CONTENT = "What its snapshot holds is not what was approved before, so it is asked anew."


@dataclass(frozen=True, slots=True)
class Undoing:
    """Every rollback runs under a permit of its own, a row beside the resolution's first one.

    The conflict-free undo of the resolution's own change was approved with the first question, so its permit is
    approved as it is written. What goes beyond is put to people; the resolution stays ended as it is meanwhile. No
    pause, quorum, rate limit or budget is looked at.
    """

    store: Store
    gatherer: ContextGatherer
    engine: ApprovalEngine
    rollback: RollbackManager
    new_id: Callable[[], str]

    async def look(self, resolution: Resolution) -> None:
        """An ended resolution: starts the rollback that was asked for, or puts the question it needs, or ends one."""
        if resolution.waiting_for != ROLLBACK:
            await self._expire(resolution)
            return
        snapshot = await self._snapshot(resolution)
        report = await self.rollback.preview(snapshot) if snapshot is not None else None
        if snapshot is not None and report is not None:
            overview = await self._overview(resolution)
            told = [step.sentence for step in report.beyond]
            if await self._is_misnamed(overview, snapshot):
                told.append(OTHER_CONTENT)
            if told:
                await self._ask(overview, snapshot, report, told)
                return
        async with self.store.transaction() as tx:
            entry = Entry(Happened.ROLLBACK_STARTED, resolution.id, None)
            held(await tx.move(resolution, to=State.ROLLING_BACK, because=entry, wake_in_seconds=0))

    async def _overview(self, resolution: Resolution) -> Overview:
        overview = await self.store.overview(resolution.id)
        if overview is None:
            raise ResolverError("A resolution that is rolled back has lost its rows.")
        return overview

    async def _is_misnamed(self, overview: Overview, snapshot: Snapshot) -> bool:
        """Whether what people approved lately names other content than the snapshot holds."""
        async with self.store.transaction() as tx:
            standing = _standing(overview, await tx.now())
        return standing is not None and _misnames(standing.permit, snapshot)

    async def _ask(self, overview: Overview, snapshot: Snapshot, report: UndoReport, told: list[str]) -> None:
        resolution = overview.resolution
        again = {step.seq for step in report.beyond}
        affected = tuple(entry.target for entry in snapshot.entries if entry.seq in again)
        assessment = RiskAssessment(RiskLevel.HIGH, tuple(told), "", (), affected)
        is_asked = self.engine.needs_person(assessment, resolution.request, caller=resolution.requested_by)
        if not is_asked:
            raise ResolverError("What goes beyond the undo of its own change is never done without a person.")
        async with self.store.transaction() as tx:
            now = await tx.now()
            deadline = now + timedelta(seconds=self.engine.timeout_seconds(assessment.level))
            values = {step.seq: step.values for step in report.steps}
            rules = undo_permits.rules(snapshot, again=again, values=values)
            permit = _permit(overview, rules, level=assessment.level).until(deadline + WITHIN)
            approval = Approval(
                id=ApprovalId(self.new_id()),
                resolution_id=resolution.id,
                subject=Subject.ROLLBACK,
                state=ApprovalState.PENDING,
                permit=permit,
                asked_at=now,
                deadline=deadline,
            )
            await tx.add_approval(approval)
            facts = {
                "approval_id": approval.id,
                "about": "rollback",
                "level": assessment.level.value,
                "factors": told,
                "digest": permit.digest,
            }
            await tx.append(Entry(Happened.ASKED, resolution.id, None, facts))
            await tx.wait_for(resolution, None, wake_in_seconds=(deadline - now).total_seconds())

    async def _expire(self, resolution: Resolution) -> None:
        """A rollback's question that nobody answered; the resolution stays as it had ended."""
        async with self.store.transaction() as tx:
            approval = await tx.approval(resolution.approval_id) if resolution.approval_id else None
            is_open = approval is not None and approval.state is ApprovalState.PENDING
            if approval is not None and is_open and await tx.now() < approval.deadline:
                await tx.wait_for(
                    resolution, None, wake_in_seconds=(approval.deadline - await tx.now()).total_seconds()
                )
                return
            if approval is not None and is_open and approval.subject is Subject.ROLLBACK:
                await tx.end_approval(approval.id, state=ApprovalState.EXPIRED, by=None, reason=None)
                summary = "Nobody answered whether to roll back. Nothing was put back; it can be asked again."
                facts = {"approval_id": approval.id, "about": "rollback", "summary": summary}
                await tx.append(Entry(Happened.EXPIRED, resolution.id, None, facts))
            await tx.wait_for(resolution, None, wake_in_seconds=None)

    async def roll_back(self, resolution: Resolution) -> None:
        """Keeps evidence, puts back what the permit covers, and tells what came of it."""
        snapshot = await self._snapshot(resolution)
        if snapshot is None:
            raise ResolverError("The snapshot that was to be put back is gone.")
        approval = await self._approval(resolution, snapshot)
        await keep_evidence(self.store, self.gatherer, resolution)
        report = await self.rollback.rollback(snapshot, permit=approval.permit)
        await self._tell(resolution, report)

    async def _tell(self, resolution: Resolution, report: UndoReport) -> None:
        steps = [{"command": one.command, "status": one.status, "sentence": one.sentence} for one in report.steps]
        to, what, summary = (
            (State.ROLLED_BACK, Happened.ROLLED_BACK, _put_back(report))
            if report.is_success
            else (State.ROLLBACK_FAILED, Happened.ROLLBACK_FAILED, f"Not everything was put back: {report.errors[0]}")
        )
        if resolution.summary:
            summary = f"{resolution.summary.partition(' Not everything was put back: ')[0]} {summary}"
        async with self.store.transaction() as tx:
            await tx.save_undo(resolution.id, report)
            entry = Entry(what, resolution.id, None, {"steps": steps, "summary": summary})
            held(await tx.move(resolution, to=to, because=entry, summary=summary))

    async def _approval(self, resolution: Resolution, snapshot: Snapshot) -> Approval:
        """The permit this rollback runs under: one that people approved lately, or the one the first question gave."""
        overview = await self._overview(resolution)
        async with self.store.transaction() as tx:
            now = await tx.now()
            standing = _standing(overview, now)
            if standing is not None:
                return standing
            newest = _newest(overview)
            if newest is not None:
                await tx.end_approval(
                    newest.id, state=ApprovalState.CANCELLED, by=None, reason="rolled back without it"
                )
            first = next((one for one in overview.approvals if one.subject is Subject.RESOLUTION), None)
            approval = Approval(
                id=ApprovalId(self.new_id()),
                resolution_id=resolution.id,
                subject=Subject.ROLLBACK,
                state=ApprovalState.APPROVED,
                permit=_permit(overview, undo_permits.rules(snapshot, again=(), values={}), level=RiskLevel.LOW).until(
                    now + WITHIN
                ),
                asked_at=now,
                deadline=now,
                decided_by=first.decided_by if first else None,
                decided_at=now,
                reason=ALONG,
            )
            await tx.add_approval(approval)
        return approval

    async def _snapshot(self, resolution: Resolution) -> Snapshot | None:
        return await self.store.snapshot(resolution.snapshot_id) if resolution.snapshot_id else None


def _newest(overview: Overview) -> Approval | None:
    return next((one for one in reversed(overview.approvals) if one.subject is Subject.ROLLBACK), None)


def _standing(overview: Overview, now: datetime) -> Approval | None:
    """The newest one of a rollback, where its permit still allows one."""
    newest = _newest(overview)
    is_standing = newest is not None and newest.state is ApprovalState.APPROVED and now < newest.permit.ends_at
    return newest if is_standing else None


def _misnames(permit: Permit, snapshot: Snapshot) -> bool:
    left = [entry for entry in snapshot.entries if entry.state != "restored"]
    return any(undo_permits.allowed(permit, entry) is None for entry in left)


def _permit(overview: Overview, rules: tuple[PermitRule, ...], *, level: RiskLevel) -> Permit:
    request, first = overview.resolution.request, next(iter(overview.approvals), None)
    return Permit(
        action_type=request.action_type,
        cluster=first.permit.cluster if first else overview.cluster_name,
        namespace=request.namespace,
        rules=rules,
        highest_risk=level,
        token_limit=0,
        ends_at=overview.resolution.updated_at,
        policy_version=first.permit.policy_version if first else "default",
    )


def _put_back(report: UndoReport) -> str:
    if any(step.status == "success" for step in report.steps):
        return "What was changed has been put back."
    return " ".join(["Nothing was left to put back:", *(step.sentence for step in report.steps[:1])])
