"""Replanner: after a surprise the agent may report, or propose what is left as a new revision that people answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.approval import Approval, ApprovalState
from core.errors import LeaseLostError, ResolverError
from core.execution import AgentProfile
from core.findings import IncidentContext
from core.permit import Permit
from core.planning import REPORTER, NoPlan, Plan, Planner
from core.ports import AgentTask, Toolbox
from core.questions import Asking, Questions, who_and_why
from core.resolution import ActionType, Resolution


@dataclass(frozen=True, slots=True)
class WhatNext:
    """`words` are for people, "" where there are none; `approval` is of a further plan, to be run now."""

    words: str
    approval: Approval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replanner:
    """`further` are the agents that may propose, `reporting` the one that has no tools, where nobody may be asked."""

    planner: Planner
    further: Mapping[ActionType, AgentProfile]
    reporting: Callable[[ActionType], AgentProfile]
    asking: Asking | None

    def questions(self, resolution: Resolution, permit: Permit) -> Questions | None:
        """Those of one run; None where the policy lets nobody be asked mid-run."""
        if self.asking is None or not self.asking.is_allowed:
            return None
        planner = self.planner
        return Questions(
            resolution=resolution, permit=permit, store=planner.store, clock=planner.clock, asking=self.asking
        )

    async def next(
        self,
        resolution: Resolution,
        permit: Permit,
        context: IncidentContext,
        *,
        toolbox: Toolbox,
        questions: Questions | None,
        told: str,
    ) -> WhatNext:
        """Waits for people where a further plan is proposed. What happened is told without an agent too.

        LeaseLostError where this run may ask nothing any more.
        """
        profile = self.further.get(resolution.request.action_type)
        if questions is None or questions.are_used_up or profile is None:
            return WhatNext(await self._report(resolution, permit, toolbox, told=told))
        try:
            found = await self.planner.plan_further(
                resolution, permit=permit, context=context, profile=profile, told=told
            )
            return WhatNext(found.reason) if isinstance(found, NoPlan) else await self._asked(found, questions)
        except LeaseLostError:
            raise
        except ResolverError as error:
            return WhatNext(f"No further plan could be made: {error}")

    async def _asked(self, plan: Plan, questions: Questions) -> WhatNext:
        ended = await questions.ask_plan(plan.permit, why=plan.why)
        if ended.state is ApprovalState.APPROVED:
            return WhatNext("", ended)
        return WhatNext(_words(ended))

    async def _report(self, resolution: Resolution, permit: Permit, toolbox: Toolbox, *, told: str) -> str:
        planner = self.planner
        task = AgentTask(
            resolution_id=resolution.id,
            agent=REPORTER,
            profile=self.reporting(resolution.request.action_type),
            prompt=planner.prompt(told),
            folder=planner.workspaces / resolution.id,
            token_limit=permit.token_limit,
        )
        reported = await planner.agents.run(task, toolbox)
        return f"The agent's report: {reported.output}" if reported.is_success else ""


def _words(ended: Approval) -> str:
    """What came of a further plan that was not approved."""
    if ended.state is ApprovalState.EXPIRED:
        return "A further plan was proposed, and nobody answered in time."
    who, why = who_and_why(ended)
    verb = "rejected" if ended.state is ApprovalState.REJECTED else "closed"
    return f"A further plan was proposed; {who} {verb} it{why}."
