"""How the bundled CLI is started (clean environment, dying with this service) and killed with all its children."""

import os
import shlex
import signal
from pathlib import Path

import claude_agent_sdk

from core.dying import dying_with_us

KEPT = (
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_API_KEY",
    "HOME",
    "PATH",
    "LANG",
    "CLAUDE_CONFIG_DIR",
    "CLAUDE_CODE_TMPDIR",
    "TMPDIR",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_AGENT_SDK_VERSION",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS",
    "CLAUDE_CODE_MAX_RETRIES",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "API_TIMEOUT_MS",
    "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS",
    "MCP_TOOL_TIMEOUT",
    "DISABLE_AUTO_COMPACT",
)
"""The SDK merges this process's whole environment into the CLI's; the wrapper lets only these through."""


def bundled_cli() -> Path:
    return Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"


def write_wrapper(folder: Path) -> Path:
    """A script that starts the CLI with nothing but KEPT in its environment; `pid` in the folder names its process."""
    kept = " ".join(f'${{{name}+{name}="${name}"}}' for name in KEPT)
    command = shlex.join(dying_with_us([str(bundled_cli())], by="TERM"))
    wrapper = folder / "claude"
    wrapper.write_text(
        f'#!/bin/sh\necho $$ > {shlex.quote(str(folder / "pid"))}\nexec /usr/bin/env -i {kept} {command} "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o700)
    return wrapper


def kill_tree(folder: Path) -> None:
    """Kills the CLI of this folder and everything below it, by pid; nothing happens if it is gone."""
    try:
        root = int((folder / "pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    if _parent_of(root) != os.getpid():
        return
    for pid in [*_below(root), root]:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _below(root: int) -> list[int]:
    """All descendants, deepest first; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        parent = _parent_of(int(entry.name))
        if parent is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = list(children.get(root, []))
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found[::-1]


def _parent_of(pid: int) -> int | None:
    try:
        return int((Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
