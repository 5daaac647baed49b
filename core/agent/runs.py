"""ClaudeAgents: one agent run on the Claude Agent SDK, isolated, bounded, and gone when cancelled."""

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from claude_agent_sdk import (
    AssistantMessage,
    ClaudeAgentOptions,
    ClaudeSDKClient,
    ClaudeSDKError,
    HookMatcher,
    ResultMessage,
    TextBlock,
    ToolUseBlock,
)

from core.agent.folder import Folder
from core.agent.gateway import Gateway, Run
from core.agent.process import kill_tree, write_wrapper
from core.agent.tools import PREFIX, gate_hook, tool_server
from core.errors import LeaseLostError, ResolverError
from core.execution import Outcome
from core.plan import Proposal
from core.ports import AgentTask, Propose, ToolAnswer, Toolbox
from core.redaction import redact
from core.wall_clock import WallClock

SAME_RESULT_LIMIT = 3
SETTLE_SECONDS = 1.0
"""How long an outcome waits for the count of the last call, so that its figures are whole."""
_FAILURES = {
    401: "The model key was refused (401): set ANTHROPIC_API_KEY to a valid key.",
    403: "The model key may not use this model (403): check the key and INCIDENT_RESOLVER_HAIKU_MODEL/SONNET_MODEL.",
    413: "The conversation became too long for the Messages API (413): ask again about less at a time.",
    404: "The model is not known to the Messages API (404): check INCIDENT_RESOLVER_HAIKU_MODEL/SONNET_MODEL.",
    429: "The Messages API limits the rate (429): wait a minute and ask again.",
    529: "The Messages API is overloaded (529): ask again in a few minutes.",
    0: "The Messages API does not answer: check the network and ANTHROPIC_BASE_URL.",
}
_BROKEN = (
    "The Messages API broke its answer off, or sent something that is none: check that nothing else answers at "
    "ANTHROPIC_BASE_URL, and ask again."
)


@dataclass(slots=True)
class _Progress:
    """What one run has done so far. `over` is why it may do no more."""

    run: Run
    over: str | None = None
    ending: str = "success"
    texts: list[str] = field(default_factory=list)
    rounds: set[str] = field(default_factory=set)
    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    transcript: list[str] = field(default_factory=list)
    result: ResultMessage | None = None

    def stop(self, ending: str, why: str) -> None:
        self.run.is_over = True
        if self.over is None:
            self.ending, self.over = ending, why


class ClaudeAgents:
    """Implements core.ports.Agents. Every run gets a folder and a gateway token of its own."""

    def __init__(self, gateway: Gateway, *, has_key: bool = True) -> None:
        self._gateway = gateway
        self._has_key = has_key

    async def run(self, task: AgentTask, toolbox: Toolbox, *, propose: Propose | None = None) -> Outcome:
        if not self._has_key:
            sentence = "No model key is set: set ANTHROPIC_API_KEY, then ask again."
            return Outcome(task.resolution_id, "failed", sentence)
        clock = task.clock or WallClock(task.profile.wall_clock_seconds)
        run = Run(task.resolution_id, task.agent, task.token_limit, task.profile.model, task.agent_tokens)
        progress = _Progress(run)
        with self._gateway.run(run):
            try:
                async with clock.limit():
                    await self._converse(task, toolbox, run, progress, propose=propose)
            except TimeoutError:
                progress.stop("timeout", f"Stopped after {clock.seconds:g} s{_silence(run)}.")
            except (ClaudeSDKError, OSError) as error:
                progress.stop("failed", f"The agent's process ended unexpectedly ({type(error).__name__}).")
            await run.settled(seconds=SETTLE_SECONDS)
        return _outcome(task, run, progress)

    async def _converse(
        self, task: AgentTask, toolbox: Toolbox, run: Run, progress: _Progress, *, propose: Propose | None
    ) -> None:
        async with _home() as home:
            options = self._options(task, run, home)
            options = replace(options, **_controls(task, toolbox, progress, propose))
            client = ClaudeSDKClient(options)
            try:
                await client.connect()
                await client.query(task.prompt)
                async for message in client.receive_response():
                    await _take(message, task, toolbox, progress)
                    if progress.over is not None:
                        break
            finally:
                await _end(client, home)

    def _options(self, task: AgentTask, run: Run, home: Path) -> ClaudeAgentOptions:
        return ClaudeAgentOptions(
            model=task.profile.model,
            system_prompt=task.profile.instructions,
            cli_path=write_wrapper(home),
            cwd=task.folder,
            tools=[],
            allowed_tools=[],
            permission_mode="dontAsk",
            strict_mcp_config=True,
            setting_sources=[],
            skills=[],
            verbatim_prompts=True,
            max_turns=task.profile.iterations,
            extra_args={"no-session-persistence": None},
            env=_environment(self._gateway.url, run.token, home),
        )


def _controls(task: AgentTask, toolbox: Toolbox, progress: _Progress, propose: Propose | None) -> dict[str, Any]:
    """The options that hold the agent: its tools, and the hook before each of them."""
    names = task.profile.tools

    async def bash(line: str) -> ToolAnswer:
        return await _counted(line, toolbox, progress)

    async def take(proposal: Proposal) -> ToolAnswer:
        return await _taken(proposal, propose, progress)

    server = tool_server(names, bash=bash, folder=Folder(task.folder), take=take)
    hook = gate_hook(names, toolbox, is_over=lambda: progress.over)
    return {
        "mcp_servers": {"resolver": server},
        "hooks": {"PreToolUse": [HookMatcher(hooks=[hook], on_failure="block", timeout=120)]},
    }


def _environment(url: str, token: str, home: Path) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": token,
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "CLAUDE_CONFIG_DIR": str(home / "config"),
        "CLAUDE_CODE_TMPDIR": str(home / "tmp"),
        "TMPDIR": str(home / "tmp"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
        "CLAUDE_CODE_MAX_RETRIES": "2",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "8192",
        "API_TIMEOUT_MS": "60000",
        "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS": "30000",
        "MCP_TOOL_TIMEOUT": "7200000",
        "DISABLE_AUTO_COMPACT": "1",
    }


@asynccontextmanager
async def _home() -> AsyncIterator[Path]:
    """A private folder for the CLI, removed with everything it wrote."""
    home = Path(tempfile.mkdtemp(prefix="ir-agent-"))
    for name in ("config", "tmp"):
        (home / name).mkdir(mode=0o700)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def _end(client: ClaudeSDKClient, home: Path) -> None:
    """Kills first: a closing SDK would wait seconds for the CLI, and a cancelled run must be gone in two."""
    kill_tree(home)
    with suppress(ClaudeSDKError, OSError, TimeoutError):
        async with asyncio.timeout(0.5):
            await client.disconnect()


async def _counted(line: str, toolbox: Toolbox, progress: _Progress) -> ToolAnswer:
    """Three times the same line with the same result is a loop."""
    try:
        answer = await toolbox.bash(line)
    except LeaseLostError as error:
        progress.stop("failed", str(error))
        return ToolAnswer(str(error), is_error=True)
    except ResolverError as error:
        answer = ToolAnswer(f"Not run: {error}", is_error=True)
    progress.results[(line, answer.text)] += 1
    if progress.results[(line, answer.text)] >= SAME_RESULT_LIMIT:
        progress.stop("failed", f"Stopped: the same command gave the same result {SAME_RESULT_LIMIT} times: {line}")
    return answer


async def _taken(proposal: Proposal, propose: Propose | None, progress: _Progress) -> ToolAnswer:
    """A plan that is taken ends the run, and so does the last refusal."""
    if propose is None:
        return ToolAnswer("There is nothing to propose here.", is_error=True)
    try:
        answered = await propose(proposal)
    except LeaseLostError as error:
        progress.stop("failed", str(error))
        return ToolAnswer(str(error), is_error=True)
    except ResolverError as error:
        return ToolAnswer(f"The plan was not looked at: {error}", is_error=True)
    if answered.is_final:
        progress.stop("failed" if answered.answer.is_error else "success", answered.answer.text)
    return answered.answer


async def _take(message: object, task: AgentTask, toolbox: Toolbox, progress: _Progress) -> None:
    if isinstance(message, ResultMessage):
        progress.result = message
        return
    if not isinstance(message, AssistantMessage) or message.model == "<synthetic>":
        return
    progress.rounds.add(str(getattr(message, "message_id", None) or len(progress.rounds)))
    has_tools = any(isinstance(block, ToolUseBlock) for block in message.content)
    for block in message.content:
        if isinstance(block, TextBlock) and block.text.strip():
            progress.texts.append(block.text.strip())
            progress.transcript.append(json.dumps({"agent": block.text}))
            await toolbox.said(block.text.strip())
        elif isinstance(block, ToolUseBlock):
            progress.transcript.append(json.dumps({"tool": block.name.removeprefix(PREFIX), "input": block.input}))
    if has_tools and len(progress.rounds) > task.profile.iterations:
        progress.stop("failed", f"Stopped after {task.profile.iterations} rounds.")


def _outcome(task: AgentTask, run: Run, progress: _Progress) -> Outcome:
    """`is_error` tells, not the subtype: a failed API call calls itself a success."""
    last = progress.texts[-1] if progress.texts else ""
    result = progress.result
    ending, output = progress.ending, progress.over or last
    if run.spent is not None:
        ending, output = "budget", f"{run.spent} {last}".strip()
    elif progress.over is not None:
        output = f"{progress.over} {last}".strip()
    elif result is None:
        ending, output = "failed", "The agent ended without a result."
    elif result.subtype == "error_max_turns":
        ending, output = "failed", f"Stopped after {task.profile.iterations} rounds. {last}".strip()
    elif result.is_error:
        ending, output = "failed", _failure(run, result)
    transcript = redact("\n".join(progress.transcript))[:1_000_000]
    return Outcome(task.resolution_id, ending, redact(output) or "The agent said nothing.", transcript=transcript)


def _silence(run: Run) -> str:
    """What is told of a model call that had no answer yet; empty where none was open."""
    if run.silent_since is None:
        return ""
    seconds = asyncio.get_running_loop().time() - run.silent_since
    return f": the Messages API had not answered for {seconds:.0f} s" if seconds >= 1 else ""


def _failure(run: Run, result: ResultMessage) -> str:
    status = run.last_status
    if run.problem is not None:
        return f"The model could not be asked: {run.problem} Ask again once that is mended."
    if status is not None and status in _FAILURES:
        return _FAILURES[status]
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"The Messages API failed ({status}): ask again in a few minutes."
    if status is not None and status != HTTPStatus.OK:
        return f"The Messages API refused the request ({status}): check ANTHROPIC_BASE_URL and the names of the models."
    if result.subtype == "success":
        return _BROKEN
    return f"The agent ended with an error ({result.subtype})."
