"""An agent that runs the lines a test gives it, through the real toolbox."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.execution import Outcome
from core.plan import Proposal
from core.ports import AgentTask, Propose, ToolAnswer, Toolbox


@dataclass
class ScriptedAgent:
    """`hangs` makes it wait for ever after its lines, until it is cancelled.

    `proposals` are handed over one after the other until one ends the work, where it has the tool.
    """

    lines: Sequence[str] = ()
    ending: str = "success"
    words: str = "Restarted the pod."
    hangs: bool = False
    proposals: Sequence[Proposal] = ()
    answers: list[ToolAnswer] = field(default_factory=list)
    tasks: list[AgentTask] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    is_gone: bool = False

    async def run(self, task: AgentTask, toolbox: Toolbox, *, propose: Propose | None = None) -> Outcome:
        self.tasks.append(task)
        try:
            for line in self.lines:
                self.answers.append(await toolbox.bash(line))
            for proposal in self.proposals if propose is not None else ():
                answered = await propose(proposal)
                self.answers.append(answered.answer)
                if answered.is_final:
                    break
            self.started.set()
            if self.hangs:
                await asyncio.Event().wait()
        finally:
            self.is_gone = True
        return Outcome(task.resolution_id, self.ending, self.words)
