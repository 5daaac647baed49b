"""RemediationExecutor: lets an agent work inside a permit and says what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from core.briefing import brief
from core.effects import Judged
from core.execution import AgentProfile, Outcome
from core.findings import IncidentContext
from core.grants import Commands, Grants, granted
from core.permit import Permit
from core.ports import Agents, AgentTask, Clock, Cluster, Store
from core.questions import Asking, Questions
from core.resolution import ActionType, Resolution
from core.toolbox import GatedToolbox
from core.wall_clock import WallClock
from core.workspace import read_workspace_file


class Judge(Protocol):
    """The gate, as `core.commands.gate.judge`, with the programs and the policy of this service."""

    def __call__(self, line: str, namespace: str, *, files: Callable[[str], bytes | None] | None) -> Judged: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationExecutor:
    """Prepares the workspace, runs the agent with the gated toolbox, and reports what was executed.

    `judge` is the gate, `prompt` frames the context as data. `cluster` is read from; `at_work` is what the toolbox
    works on, and its changes run with what `grants` issues for the approval. Without `asking` nobody is asked mid-run.
    """

    store: Store
    cluster: Cluster
    at_work: Cluster
    grants: Grants
    agents: Agents
    judge: Judge
    profiles: Mapping[ActionType, AgentProfile]
    prompt: Callable[[str], str]
    workspaces: Path
    clock: Clock
    asking: Asking | None = None

    async def run(self, resolution: Resolution, *, permit: Permit, context: IncidentContext) -> Outcome:
        """Runs to an end. Cancelling stops the agent and raises CancelledError once it is gone.

        The commands that ran are rows of the store, whatever the end.
        """
        request = resolution.request
        folder = self.workspaces / resolution.id
        text = await brief(self.cluster, folder, request=request, context=context, permit=permit)
        async with granted(self.grants, resolution.approval_id, permit) as changes:
            return await self._at_work(resolution, permit, changes, text=text)

    async def _at_work(self, resolution: Resolution, permit: Permit, changes: Commands, *, text: str) -> Outcome:
        request, folder = resolution.request, self.workspaces / resolution.id
        profile = self.profiles[request.action_type]
        wall_clock = WallClock(profile.wall_clock_seconds)
        toolbox = GatedToolbox(
            resolution=resolution,
            permit=permit,
            gate=lambda line: self.judge(line, request.namespace, files=partial(read_workspace_file, folder)),
            store=self.store,
            cluster=self.at_work,
            changes=changes,
            grants=self.grants,
            folder=folder,
            clock=self.clock,
            questions=self._questions(resolution, permit),
            wall_clock=wall_clock,
        )
        task = AgentTask(
            resolution_id=resolution.id,
            agent="executor",
            profile=profile,
            prompt=self.prompt(text),
            folder=folder,
            clock=wall_clock,
            token_limit=permit.token_limit,
        )
        try:
            outcome = await self.agents.run(task, toolbox)
        finally:
            await toolbox.end()
        return replace(outcome, commands_executed=tuple(toolbox.executed), has_changed=toolbox.has_changed)

    def hint(self) -> None:
        """Somebody may have answered: whoever waits for it looks at once."""
        if self.asking is not None:
            self.asking.bell.ring()

    def _questions(self, resolution: Resolution, permit: Permit) -> Questions | None:
        if self.asking is None:
            return None
        return Questions(resolution=resolution, permit=permit, store=self.store, clock=self.clock, asking=self.asking)
