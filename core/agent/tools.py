"""Our own in-process tools, offered by profile; and the hook that asks the gate again before each call."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from claude_agent_sdk import SdkMcpTool, ToolAnnotations, create_sdk_mcp_server, tool
from claude_agent_sdk.types import (
    HookContext,
    HookInput,
    HookJSONOutput,
    McpSdkServerConfig,
    PreToolUseHookSpecificOutput,
)

from core.agent.folder import Folder
from core.agent.prompts import framed
from core.agent.proposals import PROPOSAL, parse_proposal
from core.errors import InvalidInputError, ResolverError
from core.plan import Proposal
from core.ports import ToolAnswer, Toolbox
from core.redaction import redact

SERVER = "resolver"
PREFIX = f"mcp__{SERVER}__"
MOST_TEXT = 45_000
Bash = Callable[[str], Awaitable[ToolAnswer]]
Take = Callable[[Proposal], Awaitable[ToolAnswer]]
"""Judges a proposal and says what came of it."""


def _text(name: str, *fields: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field: {"type": "string"} for field in fields},
        "required": list(fields),
        "additionalProperties": False,
        "title": name,
    }


def tool_server(names: tuple[str, ...], *, bash: Bash, folder: Folder, take: Take) -> McpSdkServerConfig:
    """An MCP server named `resolver` with exactly the tools of a profile."""
    known = {one.name: one for one in (_bash(bash), *_files(folder), _propose(take))}
    return create_sdk_mcp_server(SERVER, "1.0", [known[name] for name in names])


def _bash(run: Bash) -> SdkMcpTool[Any]:
    @tool(
        "bash",
        "Run one line: kubectl, optionally piped into text filters (grep, head, tail, jq, …). No shell.",
        _text("bash", "command"),
    )
    async def bash(given: dict[str, Any]) -> dict[str, Any]:
        return _answer(await run(str(given["command"])))

    return bash


def _propose(take: Take) -> SdkMcpTool[Any]:
    @tool(
        "propose",
        "Hand over the plan: the exact command lines, in order. They are judged and tried by server-side dry run; a "
        "refusal says why, so that you can mend the plan and propose it again.",
        PROPOSAL,
    )
    async def propose(given: dict[str, Any]) -> dict[str, Any]:
        try:
            proposal = parse_proposal(given)
        except InvalidInputError as error:
            return _answer(ToolAnswer(str(error), is_error=True))
        return _answer(await take(proposal))

    return propose


def _files(folder: Folder) -> list[SdkMcpTool[Any]]:
    reads = ToolAnnotations(readOnlyHint=True)

    @tool("read", "Read a file of your folder.", _text("read", "path"), annotations=reads)
    async def read(given: dict[str, Any]) -> dict[str, Any]:
        return _answer(folder.read(str(given["path"])))

    @tool("edit", "Replace a text that occurs once in a file of your folder.", _text("edit", "path", "old", "new"))
    async def edit(given: dict[str, Any]) -> dict[str, Any]:
        return _answer(folder.edit(str(given["path"]), str(given["old"]), str(given["new"])))

    @tool(
        "grep",
        "Lines of a file (or '.' for all) that hold a plain text.",
        _text("grep", "pattern", "path"),
        annotations=reads,
    )
    async def grep(given: dict[str, Any]) -> dict[str, Any]:
        return _answer(folder.grep(str(given["pattern"]), str(given["path"])))

    @tool(
        "glob", "Files of your folder whose name matches, such as *.yaml.", _text("glob", "pattern"), annotations=reads
    )
    async def glob(given: dict[str, Any]) -> dict[str, Any]:
        return _answer(folder.glob(str(given["pattern"])))

    return [read, edit, grep, glob]


def _answer(answer: ToolAnswer) -> dict[str, Any]:
    """Redacted here once more, whoever made the answer; output and files inside a frame, as data."""
    text = redact(answer.text)
    text = text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}\n(cut here)"
    text = framed(text) if answer.is_data else text
    return {"content": [{"type": "text", "text": text}], "is_error": answer.is_error}


Hook = Callable[[HookInput, str | None, HookContext], Awaitable[HookJSONOutput]]


def gate_hook(names: tuple[str, ...], toolbox: Toolbox, *, is_over: Callable[[], str | None]) -> Hook:
    """Denies every tool that is not the profile's, every line the gate denies, and everything once `is_over` says so.

    A line above LOW passes here: the toolbox, which executes, asks for the permit itself.
    """

    async def before(given: HookInput, tool_use_id: str | None, context: HookContext) -> HookJSONOutput:  # noqa: ARG001  the SDK's signature
        over = is_over()
        if over is not None:
            return _decision("deny", over)
        name = str(given.get("tool_name", ""))
        if name.removeprefix(PREFIX) not in names or not name.startswith(PREFIX):
            return _decision("deny", f"There is no tool {name!r} here; there are {', '.join(names)}.")
        if name == f"{PREFIX}bash":
            return await _judged(given, toolbox)
        return _decision("allow", "inside the folder")

    return before


async def _judged(given: HookInput, toolbox: Toolbox) -> HookJSONOutput:
    arguments = given.get("tool_input")
    line = arguments.get("command") if isinstance(arguments, dict) else None
    if not isinstance(line, str):
        return _decision("deny", "bash takes {command: text}.")
    if not toolbox.judge(line).is_denied:
        return _decision("allow", "judged; the toolbox checks the permit")
    try:
        refusal = await toolbox.bash(line)
    except ResolverError as error:
        return _decision("deny", str(error))
    return _decision("deny", refusal.text)


def _decision(kind: Literal["allow", "deny"], why: str) -> HookJSONOutput:
    decided = PreToolUseHookSpecificOutput(
        hookEventName="PreToolUse", permissionDecision=kind, permissionDecisionReason=why
    )
    return {"hookSpecificOutput": decided}
