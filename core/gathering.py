"""From a request to a question: context, risk, the permit by rules, and a plan of exact lines where policy wants it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core import permits, risk
from core.approval import POLICY, Approval, ApprovalState, Subject
from core.approvals import ApprovalEngine
from core.assessment import RiskAssessment
from core.context import ContextGatherer
from core.errors import LeaseLostError, ResolverError
from core.findings import IncidentContext
from core.history import Entry, Happened
from core.moving import fail, held
from core.permit import Permit
from core.planning import NoPlan, Plan, Planner
from core.policy.policy import Policy
from core.ports import Store, Transaction
from core.resolution import ApprovalId, Resolution, State
from core.watching import Watcher

START_WITHIN = timedelta(minutes=10)
"""How long after its deadline an approval may still start, for a paused or busy service."""
LOOK_SECONDS = 15.0
"""How often a question about exact lines is compared with the cluster while it waits."""
PAUSED_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """The first stretch of the flow. Done again from its beginning where a service died in it: it changes nothing."""

    store: Store
    gatherer: ContextGatherer
    policy: Policy
    engine: ApprovalEngine
    planner: Planner
    watcher: Watcher
    new_id: Callable[[], str]
    agents_at_once: int

    async def advance(self, resolution: Resolution) -> None:
        """Puts the question, lets policy answer it, or ends as failed with the reason."""
        if await self._must_wait_on(resolution):
            return
        request = resolution.request
        context = await self._context(resolution)
        assessment = risk.assess(request, context, self.policy)
        problem = self.policy.cluster_problem(request.client_id, context.cluster_uid)
        async with self.store.transaction() as tx:
            permit = permits.make_permit(
                request,
                context,
                assessment,
                self.policy,
                ends_at=await self._ends_at(tx, assessment),
                cluster=context.cluster_uid or context.cluster_name,
            )
            await tx.save_context(resolution.id, context)
            if permit is None or problem is not None:
                await tx.save_assessment(resolution.id, assessment)
                await fail(tx, resolution, problem or _no_target(resolution, context))
                return
            assessment = replace(assessment, level=max(assessment.level, permit.highest_risk))
            await tx.save_assessment(resolution.id, assessment)
            if not self.policy.wants_plan(request.action_type, assessment.level):
                await self._put_question(tx, resolution, assessment, permit)
                return
            if not await self._may_plan(tx, resolution):
                return
        await self._plan(resolution, context, assessment, scope=permit)

    async def _must_wait_on(self, resolution: Resolution) -> bool:
        """Whether what was gathered waits for its planning agent; the sources are asked again once that may start."""
        if await self.store.context(resolution.id) is None:
            return False
        async with self.store.transaction() as tx:
            return await self._postponed(tx, resolution)

    async def _context(self, resolution: Resolution) -> IncidentContext:
        request = resolution.request
        context = await self.gatherer.gather(request)
        target = context.affected[0].resource if context.affected else None
        failed = await self.store.failed_lately(request, target)
        return replace(context, failed_before=max(context.failed_before, failed))

    async def _ends_at(self, tx: Transaction, assessment: RiskAssessment) -> datetime:
        return await tx.now() + timedelta(seconds=self.engine.timeout_seconds(assessment.level)) + START_WITHIN

    async def _may_plan(self, tx: Transaction, resolution: Resolution) -> bool:
        """A planning agent is an agent: none starts while the service is paused, or has as many as it may."""
        if await self._postponed(tx, resolution):
            return False
        await tx.append(Entry(Happened.PLANNING_STARTED, resolution.id))
        return True

    async def _postponed(self, tx: Transaction, resolution: Resolution) -> bool:
        """Looks again in a moment where no agent may start now."""
        if await tx.pause() is None and await tx.agents_at_work(resolution.id) < self.agents_at_once:
            return False
        await tx.postpone(resolution, seconds=PAUSED_SECONDS)
        return True

    async def _plan(
        self, resolution: Resolution, context: IncidentContext, assessment: RiskAssessment, *, scope: Permit
    ) -> None:
        planned = await self.watcher.run(resolution, self._planned(resolution, context, assessment, scope=scope))
        if planned is None:
            raise LeaseLostError("It was cancelled, or another worker holds this resolution now.")
        async with self.store.transaction() as tx:
            if isinstance(planned, NoPlan):
                await fail(tx, resolution, f"No plan could be made, so nothing was asked or changed. {planned.reason}")
                return
            level = planned.permit.highest_risk
            assessment = replace(assessment, level=level, factors=(*assessment.factors, *planned.factors))
            await tx.save_assessment(resolution.id, assessment)
            permit = replace(planned.permit, ends_at=await self._ends_at(tx, assessment))
            await self._put_question(tx, resolution, assessment, permit, why=planned.why)

    async def _planned(
        self, resolution: Resolution, context: IncidentContext, assessment: RiskAssessment, *, scope: Permit
    ) -> Plan | NoPlan | None:
        """None where the lease was lost meanwhile."""
        try:
            return await self.planner.plan(resolution, scope=scope, context=context, assessment=assessment)
        except LeaseLostError:
            return None
        except ResolverError as error:
            return NoPlan(str(error))

    async def _put_question(
        self,
        tx: Transaction,
        resolution: Resolution,
        assessment: RiskAssessment,
        permit: Permit,
        *,
        why: str | None = None,
    ) -> None:
        """`why` is the plan's reason, which the card shows until there is something to say about the end."""
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
        wake = next_look(permit, (deadline - now).total_seconds()) if is_asked else 0
        held(await tx.move(resolution, to=to, because=entry, wake_in_seconds=wake, summary=why))


def next_look(permit: Permit, seconds_left: float) -> float:
    """Exact lines are looked at again while they wait; rules are not, and wake for their deadline alone."""
    return min(LOOK_SECONDS, seconds_left) if permit.lines else seconds_left


def _no_target(resolution: Resolution, context: IncidentContext) -> str:
    request = resolution.request
    missing = [gap for gap in context.gaps if not gap.is_off]
    unknown = "".join(f" {gap.source} could not say: {gap.reason}" for gap in missing)
    return (
        f"No affected resource was found in namespace {request.namespace}, so there is nothing that could be approved. "
        f"Name the workload in the description, or check the namespace and the cluster.{unknown}"
    )
