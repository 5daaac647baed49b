"""Planner: a read-only agent proposes exact lines, each judged, resolved and tried before people are asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from core.assessment import RiskAssessment
from core.briefing import brief
from core.effects import WHOLE, FieldPath, Judged
from core.errors import InvalidInputError, LeaseLostError, ResolverError, StaleError
from core.execution import AgentProfile, Outcome
from core.executor import Judge
from core.findings import IncidentContext
from core.grants import Grants, NoChanges, NoGrants
from core.history import Entry, Happened
from core.lines import permitted_line
from core.permit import Permit, PermittedLine, Precondition
from core.plan import Proposal, ProposedStep, shown_line
from core.ports import Agents, AgentTask, Clock, Cluster, ProposalAnswer, Store, ToolAnswer
from core.previews import Previewer
from core.resolution import ActionType, Resolution
from core.risk_levels import RiskLevel
from core.toolbox import GatedToolbox
from core.workspace import read_workspace_file

MENDINGS = 2
"""How often a refused plan may be mended: so three proposals in all."""
PLANNER = "planner"
REPORTER = "reporter"
"""The agent that has the word after a plan stopped."""
SHARE = 0.5
"""Of the incident's tokens, what planning may use at most."""
_VERSION_PATHS = (WHOLE, ("metadata", "resourceVersion"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is put to people: `permit` holds its lines and nothing else; `factors` say why the level is what it is."""

    why: str
    permit: Permit
    factors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoPlan:
    """Why there is no plan, in a sentence for people."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """`cluster` speaks with the reader identity; the agent gets LOW lines only, whatever it asks for.

    `grants` are those that the plan will be run with: a step that none can be held to is no part of a plan.
    """

    store: Store
    cluster: Cluster
    grants: Grants
    previewer: Previewer
    agents: Agents
    judge: Judge
    profiles: Mapping[ActionType, AgentProfile]
    prompt: Callable[[str], str]
    workspaces: Path
    clock: Clock

    async def plan(
        self, resolution: Resolution, *, scope: Permit, context: IncidentContext, assessment: RiskAssessment
    ) -> Plan | NoPlan:
        """Cancelling stops the agent. LeaseLostError where another worker holds the resolution now.

        `scope` is what the action type allows by rules. A plan that goes beyond it is at least HIGH, so that no policy
        approves it by itself.
        """
        profile = self.profiles[resolution.request.action_type]
        share = max(1, int(scope.token_limit * SHARE))
        told = await self._earlier(resolution)
        draft, outcome = await self._drafted(
            resolution, scope, context, agent=PLANNER, profile=profile, told=told, agent_tokens=share
        )
        if not draft.lines:
            return NoPlan(draft.refusal or _words(outcome.ending, outcome.output))
        return _narrowed(draft, scope, assessment)

    async def plan_further(
        self, resolution: Resolution, *, permit: Permit, context: IncidentContext, profile: AgentProfile, told: str
    ) -> Plan | NoPlan:
        """What the agent says of a plan that stopped: the lines that would still help, or its report, "" without one.

        `permit` is that of the plan that stopped, `told` what became of it.
        """
        told = f"\n## The plan that stopped\n\n> {' '.join(told.split())}\n"
        draft, outcome = await self._drafted(resolution, permit, context, agent=REPORTER, profile=profile, told=told)
        if draft.lines:
            level = max(permit.highest_risk, *(one.verdict for one in draft.lines))
            return Plan(draft.why, replace(permit, lines=draft.lines, highest_risk=level))
        if outcome.is_success:
            return NoPlan(f"The agent's report: {outcome.output}")
        return NoPlan(f"The agent's further plan was refused: {draft.refusal}" if draft.refusal else "")

    async def _drafted(  # noqa: PLR0913  what one run of an agent that proposes is made of
        self,
        resolution: Resolution,
        scope: Permit,
        context: IncidentContext,
        *,
        agent: str,
        profile: AgentProfile,
        told: str,
        agent_tokens: int | None = None,
    ) -> tuple["Draft", Outcome]:
        folder = self.workspaces / f"{resolution.id}-plan"
        text = await brief(self.cluster, folder, request=resolution.request, context=context, permit=scope)
        draft = Draft(self, resolution, scope, folder)
        toolbox = GatedToolbox(
            resolution=resolution,
            permit=replace(scope, rules=(), lines=(), highest_risk=RiskLevel.LOW),
            gate=draft.gate,
            store=self.store,
            cluster=self.cluster,
            changes=NoChanges(),
            grants=NoGrants(),
            folder=folder,
            clock=self.clock,
        )
        task = AgentTask(
            resolution_id=resolution.id,
            agent=agent,
            profile=profile,
            prompt=self.prompt(text + told),
            folder=folder,
            token_limit=scope.token_limit,
            agent_tokens=agent_tokens,
        )
        try:
            return draft, await self.agents.run(task, toolbox, propose=draft.propose)
        finally:
            await toolbox.end()

    async def _earlier(self, resolution: Resolution) -> str:
        """What came of the resolution that this one was asked after."""
        replaces = resolution.request.replaces
        old = await self.store.overview(replaces) if replaces else None
        summary = old.resolution.summary if old is not None else None
        return f"\n## The try before this one\n\n> {' '.join(summary.split())}\n" if summary else ""

    async def line_again(self, step: ProposedStep, *, resolution: Resolution) -> PermittedLine:
        """A step that was taken before, as it is now."""
        namespace = resolution.request.namespace
        folder = self.workspaces / f"{resolution.id}-plan"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return await self.line(
            step, resolution=resolution, gate=lambda line: self.judge(line, namespace, files=None), folder=folder
        )

    async def line(
        self, step: ProposedStep, *, resolution: Resolution, gate: Callable[[str], Judged], folder: Path
    ) -> PermittedLine:
        """The step as people are asked about it. ResolverError says why it cannot be part of a plan."""
        judged = gate(step.line)
        _check(judged)
        namespace = resolution.request.namespace
        found = await permitted_line(judged, self.cluster)
        preview = await self.previewer.preview(judged, folder=folder, namespace=namespace)
        if not is_same(found, await permitted_line(judged, self.cluster)):
            raise StaleError("What it changes was changed by somebody else while it was being looked at.")
        undo = " ".join([step.undo, *(f"{one}." for one in preview.losses)])
        verdict = max(found.verdict, preview.least_risk)
        held = self.grants.held(found, preview.touched)
        return replace(held, verdict=verdict, diff=preview.diff, check=step.check.value, undo=undo)


@dataclass(slots=True)
class Draft:
    """What the agent's `propose` calls back into; `lines` is the plan once one was taken, `refusal` why none was."""

    planner: Planner
    resolution: Resolution
    scope: Permit
    folder: Path
    lines: tuple[PermittedLine, ...] = ()
    wider: tuple[str, ...] = ()
    why: str = ""
    refusal: str = ""
    _refused: int = 0

    def gate(self, line: str) -> Judged:
        files = partial(read_workspace_file, self.folder)
        return self.planner.judge(line, self.resolution.request.namespace, files=files)

    async def propose(self, proposal: Proposal) -> ProposalAnswer:
        """All steps or none. The third refusal is the last."""
        lines: list[PermittedLine] = []
        try:
            for number, step in enumerate(proposal.steps, start=1):
                lines.append(await self._line(number, step))
            check_order(lines)
        except LeaseLostError:
            raise
        except ResolverError as error:
            return await self._refuse(proposal, str(error))
        await self._record(Happened.PLAN_PROPOSED, {"why": proposal.why, "steps": [_told(one) for one in lines]})
        self.lines, self.why, self.refusal = tuple(lines), proposal.why, ""
        self.wider = tuple(one.line for one in lines if not self._is_in_scope(one))
        return ProposalAnswer(ToolAnswer("The plan is taken; people are asked about it now."), is_final=True)

    async def _line(self, number: int, step: ProposedStep) -> PermittedLine:
        try:
            return await self.planner.line(step, resolution=self.resolution, gate=self.gate, folder=self.folder)
        except LeaseLostError:
            raise
        except ResolverError as error:
            raise InvalidInputError(f"Step {number} ({shown_line(step.line)}): {error}") from error

    def _is_in_scope(self, line: PermittedLine) -> bool:
        return self.scope.covers(self.gate(line.line).effects)

    async def _refuse(self, proposal: Proposal, reason: str) -> ProposalAnswer:
        self._refused += 1
        self.refusal = reason
        is_final = self._refused > MENDINGS
        lines = [shown_line(one.line)[:600] for one in proposal.steps]
        facts = {"reason": reason, "lines": lines, "is_final": is_final}
        await self._record(Happened.PLAN_REFUSED, facts)
        left = MENDINGS + 1 - self._refused
        more = "No further plan is looked at." if is_final else f"Mend it and propose it again; {left} more time(s)."
        return ProposalAnswer(ToolAnswer(f"Refused: {reason} {more}", is_error=True), is_final)

    async def _record(self, what: Happened, facts: dict[str, object]) -> None:
        if not await self.planner.store.is_held(self.resolution):
            raise LeaseLostError("Another worker holds this resolution now.")
        async with self.planner.store.transaction() as tx:
            await tx.append(Entry(what, self.resolution.id, None, facts))


def is_same(one: PermittedLine, other: PermittedLine) -> bool:
    """Whether both mean the same objects, by uid too, with the same values."""
    uids = [[target.uid for target in line.targets] for line in (one, other)]
    return one == other and uids[0] == uids[1]


def _check(judged: Judged) -> None:
    if judged.is_denied:
        raise InvalidInputError(f"Judged DENY ({judged.rule}): {judged.reason}")
    if judged.risk is RiskLevel.LOW:
        raise InvalidInputError("It only reads. A plan holds changes alone; health is checked after each step.")
    if judged.aim is not None and judged.aim.releases:
        raise InvalidInputError("What helm would change cannot be shown field by field beforehand; use kubectl.")
    if judged.files is not None:
        raise InvalidInputError("A step names no file: write the values into the line, so that people can read them.")
    if len(judged.stages) > 1:
        raise InvalidInputError("A step is one command without a pipe.")


def check_order(lines: Sequence[PermittedLine]) -> None:
    """InvalidInputError where a later step changes what an earlier one did: what is shown of it would not hold then."""
    for number, later in enumerate(lines, start=1):
        for before, earlier in enumerate(lines[: number - 1], start=1):
            if any(_overlap(one, two) for one in earlier.preconditions for two in later.preconditions):
                raise InvalidInputError(
                    f"Steps {before} and {number} change the same fields of the same object, so what the later would "
                    "do cannot be shown beforehand: put them into one step, or leave it to a later request."
                )


def _overlap(one: Precondition, two: Precondition) -> bool:
    if one.target != two.target:
        return False
    is_whole = one.path in _VERSION_PATHS or two.path in _VERSION_PATHS
    return is_whole or _starts(one.path, two.path) or _starts(two.path, one.path)


def _starts(path: FieldPath, start: FieldPath) -> bool:
    return path[: len(start)] == start


def _narrowed(draft: Draft, scope: Permit, assessment: RiskAssessment) -> Plan:
    highest = max([assessment.level, *(one.verdict for one in draft.lines)])
    factors = [f"Step {number} is judged {one.verdict.value} ({one.rule})" for number, one in enumerate(draft.lines, 1)]
    if draft.wider:
        highest = max(highest, RiskLevel.HIGH)
        factors.append(f"{len(draft.wider)} step(s) go beyond what this kind of request allows by itself")
    permit = replace(scope, rules=(), lines=draft.lines, highest_risk=highest)
    return Plan(draft.why, permit, tuple(factors))


def _told(line: PermittedLine) -> dict[str, object]:
    return {
        "line": shown_line(line.line),
        "risk": line.verdict.value,
        "rule": line.rule,
        "targets": [str(one) for one in line.targets],
        "diff": line.diff[:2_000],
        "check": line.check,
        "undo": line.undo,
    }


def _words(ending: str, output: str) -> str:
    if ending == "success":
        return f"The planning agent proposed nothing: {output}"
    return output
