"""PlanRunner: runs the lines people approved, one by one, without a model, and stops at the first surprise."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import LeaseLostError, ResolverError
from core.execution import AgentProfile, Outcome
from core.executor import Judge
from core.findings import IncidentContext
from core.grants import Commands, Grants, granted
from core.history import Entry, Happened
from core.lines import changes_since
from core.permit import Permit, PermittedLine
from core.plan import Check
from core.ports import Agents, AgentTask, Clock, Cluster, Store
from core.previews import Previewer
from core.resolution import ActionType, Resolution
from core.resources import Resource, Workload
from core.toolbox import GatedToolbox
from core.verification import Verifier

REPORTER = "reporter"
_OUTPUT = 1_500


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRunner:
    """Before each line everything that was approved about it is looked at again; the toolbox runs it.

    `profile` is the agent that may say a few words where a plan stopped; it has no tools. `cluster` is what the toolbox
    works on; its changes run with what `grants` issues for the approval.
    """

    store: Store
    cluster: Cluster
    grants: Grants
    previewer: Previewer
    agents: Agents
    judge: Judge
    verifier: Verifier
    profile: Callable[[ActionType], AgentProfile]
    prompt: Callable[[str], str]
    workspaces: Path
    clock: Clock

    async def run(self, resolution: Resolution, *, permit: Permit, context: IncidentContext) -> Outcome:
        """Runs to an end or to the first surprise. Cancelling stops the line that runs.

        LeaseLostError where another worker holds the resolution: then nothing more is said or done here.
        """
        folder = self.workspaces / resolution.id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with granted(self.grants, resolution.approval_id, permit) as changes:
            return await self._run(resolution, permit, context, changes)

    async def _run(
        self, resolution: Resolution, permit: Permit, context: IncidentContext, changes: Commands
    ) -> Outcome:
        toolbox = GatedToolbox(
            resolution=resolution,
            permit=permit,
            gate=lambda line: self.judge(line, resolution.request.namespace, files=None),
            store=self.store,
            cluster=self.cluster,
            changes=changes,
            grants=self.grants,
            folder=self.workspaces / resolution.id,
            clock=self.clock,
        )
        steps = _Steps(self, resolution, permit, context, toolbox)
        surprise = await steps.run()
        output = _told(permit, steps, surprise)
        if surprise is not None:
            output += await self._words(resolution, permit, toolbox, told=output)
        return Outcome(
            resolution.id,
            "success" if surprise is None else "failed",
            output,
            tuple(toolbox.executed),
            toolbox.has_changed,
        )

    async def _words(self, resolution: Resolution, permit: Permit, toolbox: GatedToolbox, *, told: str) -> str:
        """The agent's report after a surprise, "" where it has none: what happened is told without it too."""
        profile = self.profile(resolution.request.action_type)
        task = AgentTask(
            resolution_id=resolution.id,
            agent=REPORTER,
            profile=profile,
            prompt=self.prompt(told),
            folder=toolbox.folder,
            token_limit=permit.token_limit,
        )
        reported = await self.agents.run(task, toolbox)
        return f" The agent's report: {reported.output}" if reported.is_success else ""


@dataclass(slots=True)
class _Steps:
    """One run of a plan. `started` counts the steps that were run, `done` those of them that ended well."""

    runner: PlanRunner
    resolution: Resolution
    permit: Permit
    context: IncidentContext
    toolbox: GatedToolbox
    started: int = 0
    done: int = 0

    async def run(self) -> str | None:
        """What stopped it, None at the end of the plan."""
        for number, line in enumerate(self.permit.lines, start=1):
            try:
                drift = await self._drift(line)
            except LeaseLostError:
                raise
            except ResolverError as error:
                drift = str(error)
            if drift is not None:
                await self._tell(Happened.STEP_ENDED, number, is_success=False, is_run=False, sentence=drift)
                return f"Stopped before step {number}: {drift}"
            surprise = await self._step(number, line)
            if surprise is not None:
                return surprise
        return None

    async def _drift(self, line: PermittedLine) -> str | None:
        """What is not as it was approved, None where all is."""
        judged = self.toolbox.judge(line.line)
        if judged.is_denied or judged.aim is None:
            return f"it is judged {judged.verdict} now ({judged.rule}): {judged.reason}"
        changed = await changes_since(line, judged, self.runner.cluster)
        if changed:
            return " ".join(changed)
        preview = await self.runner.previewer.preview(
            judged, folder=self.toolbox.folder, namespace=self.resolution.request.namespace
        )
        told = preview.diff
        if told != line.diff:
            return (
                f"it would do something else now than was approved. Approved: {_flat(line.diff)}. Now: {_flat(told)}."
            )
        return None

    async def _step(self, number: int, line: PermittedLine) -> str | None:
        is_last = number == len(self.permit.lines)
        before = [] if is_last else await self._touched(line)
        await self._tell(Happened.STEP_STARTED, number, line=line.line)
        self.started = number
        answer = await self.toolbox.run_line(self.toolbox.judge(line.line), line)
        await self._tell(Happened.STEP_ENDED, number, is_success=not answer.is_error, is_run=True)
        if answer.is_error:
            return f"Step {number} failed: {_flat(answer.text[-_OUTPUT:])}"
        self.done = number
        if is_last:  # what follows the last step is the verification of the whole
            return None
        return await self._check(number, line, before)

    async def _check(self, number: int, line: PermittedLine, before: list[Workload]) -> str | None:
        verdict = await self.runner.verifier.check(
            before,
            is_whole=Check(line.check) is Check.HEALTHY,
            stop=lambda: self.runner.store.stop_asked(self.resolution.id),
        )
        await self._tell(Happened.STEP_CHECKED, number, is_healthy=verdict.holds, sentences=list(verdict.sentences))
        if verdict.holds:
            return None
        return (
            f"After step {number} its check did not hold ({Check(line.check).sentence}): {' '.join(verdict.sentences)}"
        )

    async def _touched(self, line: PermittedLine) -> list[Workload]:
        """The workloads of the line's targets as they are before it; those of the request where it names none."""
        found: dict[Resource, Workload] = {}
        for target in line.targets:
            live = await self.runner.cluster.workload(target) if target.kind in _WORKLOADS else None
            owner = next((pod.controller for pod in live.pods if pod.controller), None) if live else None
            if target.kind == "Pod" and owner is not None:
                live = await self.runner.cluster.workload(owner)
            if live is not None:
                found[live.resource] = live
        if found:
            return list(found.values())
        live_now = [await self.runner.cluster.workload(one.resource) for one in self.context.affected]
        return [one for one in live_now if one is not None]

    async def _tell(self, what: Happened, number: int, **facts: object) -> None:
        entry = Entry(what, self.resolution.id, None, {"step": number, "of": len(self.permit.lines), **facts})
        async with self.runner.store.transaction() as tx:
            await tx.append(entry)


_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"})


def _told(permit: Permit, steps: _Steps, surprise: str | None) -> str:
    lines = [one.line for one in permit.lines]
    if surprise is None:
        return f"The approved plan was run: {'; '.join(lines)}."
    done = f"Done: {'; '.join(lines[: steps.done])}." if steps.done else "No step was completed."
    left = lines[steps.started :]
    return f"{surprise} {done}" + (f" Not run: {'; '.join(left)}." if left else "")


def _flat(text: str) -> str:
    return " ".join(text.split())[:_OUTPUT]
