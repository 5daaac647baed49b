"""PlanRunner: runs the lines people approved, one by one, without a model, and stops at the first surprise."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import LeaseLostError, ResolverError
from core.execution import Outcome
from core.executor import Judge
from core.findings import IncidentContext
from core.grants import Commands, Grants, NoChanges, granted
from core.history import Entry, Happened
from core.lines import changes_since
from core.permit import Permit, PermittedLine
from core.plan import Check, shown_line
from core.ports import Clock, Cluster, Store
from core.previews import Previewer
from core.replanning import Replanner
from core.resolution import ApprovalId, Resolution
from core.resources import Resource, Workload
from core.toolbox import GatedToolbox
from core.verification import Verifier

_OUTPUT = 1_500


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRunner:
    """Before each line everything that was approved about it is looked at again; the toolbox runs it.

    `cluster` is what the toolbox works on; its changes run with what `grants` issues for the approval. Where a plan
    stopped, `replanner` gives the agent the word.
    """

    store: Store
    cluster: Cluster
    grants: Grants
    previewer: Previewer
    judge: Judge
    verifier: Verifier
    replanner: Replanner
    workspaces: Path
    clock: Clock

    async def run(self, resolution: Resolution, *, permit: Permit, context: IncidentContext) -> Outcome:
        """Runs to an end, or to the first surprise after which people approve no further plan.

        Cancelling stops the line that runs. LeaseLostError where another worker holds the resolution: then nothing
        more is said or done here.
        """
        folder = self.workspaces / resolution.id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        toolbox = self._toolbox(resolution, permit)
        questions = self.replanner.questions(resolution, permit)
        approval_id: ApprovalId | None = resolution.approval_id
        output = ""
        while True:
            surprise, told = await self._stretch(resolution, permit, context, approval_id=approval_id, toolbox=toolbox)
            output = f"{output} {told}".strip()
            if surprise is None:
                break
            following = await self.replanner.next(
                resolution, permit, context, toolbox=toolbox, questions=questions, told=output
            )
            output = f"{output} {following.words}".strip()
            if following.approval is None:
                break
            approval_id, permit = following.approval.id, following.approval.permit
        ending = "success" if surprise is None else "failed"
        return Outcome(resolution.id, ending, output, tuple(toolbox.executed), toolbox.has_changed)

    async def _stretch(
        self,
        resolution: Resolution,
        permit: Permit,
        context: IncidentContext,
        *,
        approval_id: ApprovalId | None,
        toolbox: GatedToolbox,
    ) -> tuple[str | None, str]:
        """One plan with a credential of its own: what stopped it, None at its end, and what is told of it."""
        async with granted(self.grants, approval_id, permit) as changes:
            steps = _Steps(self, resolution, permit, context, toolbox, changes)
            surprise = await steps.run()
        return surprise, _told(permit, steps, surprise)

    def _toolbox(self, resolution: Resolution, permit: Permit) -> GatedToolbox:
        return GatedToolbox(
            resolution=resolution,
            permit=permit,
            gate=lambda line: self.judge(line, resolution.request.namespace, files=None),
            store=self.store,
            cluster=self.cluster,
            changes=NoChanges(),
            grants=self.grants,
            folder=self.workspaces / resolution.id,
            clock=self.clock,
        )


@dataclass(slots=True)
class _Steps:
    """One run of a plan. `started` counts the steps that were run, `done` those of them that ended well."""

    runner: PlanRunner
    resolution: Resolution
    permit: Permit
    context: IncidentContext
    toolbox: GatedToolbox
    changes: Commands
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
        await self._tell(Happened.STEP_STARTED, number, line=shown_line(line.line))
        self.started = number
        answer = await self.toolbox.run_line(self.toolbox.judge(line.line), line, changes=self.changes)
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
        place = {"step": number, "of": len(self.permit.lines), "revision": self.permit.revision}
        entry = Entry(what, self.resolution.id, None, {**place, **facts})
        async with self.runner.store.transaction() as tx:
            await tx.append(entry)


_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"})


def _told(permit: Permit, steps: _Steps, surprise: str | None) -> str:
    lines = [shown_line(one.line) for one in permit.lines]
    if surprise is None:
        return f"The approved plan was run: {'; '.join(lines)}."
    done = f"Done: {'; '.join(lines[: steps.done])}." if steps.done else "No step was completed."
    left = lines[steps.started :]
    return f"{surprise} {done}" + (f" Not run: {'; '.join(left)}." if left else "")


def _flat(text: str) -> str:
    return " ".join(text.split())[:_OUTPUT]
