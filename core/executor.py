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
from core.permit import Permit
from core.ports import Agents, AgentTask, Clock, Cluster, Store
from core.resolution import ActionType, Resolution
from core.toolbox import GatedToolbox
from core.workspace import read_workspace_file


class Judge(Protocol):
    """The gate, as `core.commands.gate.judge`, with the programs and the policy of this service."""

    def __call__(self, line: str, namespace: str, *, files: Callable[[str], bytes | None] | None) -> Judged: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationExecutor:
    """Prepares the workspace, runs the agent with the gated toolbox, and reports what was executed.

    `judge` is the gate, `prompt` frames the context as data.
    """

    store: Store
    cluster: Cluster
    agents: Agents
    judge: Judge
    profiles: Mapping[ActionType, AgentProfile]
    prompt: Callable[[str], str]
    workspaces: Path
    clock: Clock

    async def run(self, resolution: Resolution, *, permit: Permit, context: IncidentContext) -> Outcome:
        """Runs to an end. Cancelling stops the agent and raises CancelledError once it is gone.

        The commands that ran are rows of the store, whatever the end.
        """
        request = resolution.request
        folder = self.workspaces / resolution.id
        text = await brief(self.cluster, folder, request=request, context=context, permit=permit)
        toolbox = GatedToolbox(
            resolution=resolution,
            permit=permit,
            gate=lambda line: self.judge(line, request.namespace, files=partial(read_workspace_file, folder)),
            store=self.store,
            cluster=self.cluster,
            folder=folder,
            clock=self.clock,
        )
        task = AgentTask(
            resolution_id=resolution.id,
            agent="executor",
            profile=self.profiles[request.action_type],
            prompt=self.prompt(text),
            folder=folder,
            token_limit=permit.token_limit,
        )
        outcome = await self.agents.run(task, toolbox)
        return replace(outcome, commands_executed=tuple(toolbox.executed), has_changed=toolbox.has_changed)
