"""An Execution: the agent at work inside a permit, its commands and its result."""

from dataclasses import dataclass
from datetime import datetime

from core.resolution import ActionType, ResolutionId


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """One line the agent asked for. `verdict` is a risk level or DENY. `ended_at` is None while it runs or did not run.

    `is_executed` says whether a process was started; `exit_code` is None where none was, or it was killed.
    """

    seq: int
    line: str
    verdict: str
    rule: str
    reason: str
    is_executed: bool
    asked_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """Model, tools and limits of the agent for an action type. `tools` are names of our own in-process tools."""

    action_type: ActionType
    model: str
    tools: tuple[str, ...]
    instructions: str
    iterations: int = 10
    wall_clock_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an agent run ended. `ending`: "success", "failed", "interrupted", "timeout" or "budget".

    `output` is the agent's last words, or what went wrong; `commands_executed` are the lines that ran, in order.
    """

    resolution_id: ResolutionId
    ending: str
    output: str
    commands_executed: tuple[str, ...] = ()
    has_changed: bool = False
    """Whether a line above LOW was started, whatever came of it."""
    transcript: str = ""
    """The conversation with the model as JSON lines, redacted."""

    @property
    def is_success(self) -> bool:
        return self.ending == "success"
