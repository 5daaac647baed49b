"""Makes `kubectl_flags.json` from the pinned kubectl's own help: `python -m core.commands.generate_flags KUBECTL`."""

import json
import re
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).parent / "kubectl_flags.json"
VERBS = (
    "get",
    "describe",
    "logs",
    "top pod",
    "top node",
    "events",
    "explain",
    "api-resources",
    "api-versions",
    "version",
    "cluster-info",
    "wait",
    "auth can-i",
    "auth whoami",
    "rollout status",
    "rollout history",
    "rollout restart",
    "rollout undo",
    "delete",
    "scale",
    "set image",
)
_FLAG = re.compile(r"^ {4}(?:-(?P<short>\w), )?--(?P<name>[\w-]+)=(?P<default>.*):$")
_OPTIONAL = frozenset({"dry-run", "validate", "cascade"})


def flag_table(kubectl: str) -> dict[str, object]:
    """Per verb and for all verbs: flag name to [shorthand or "", "bool" | "value" | "optional"]."""
    version = json.loads(_said(kubectl, "version", "--client", "-o", "json"))["clientVersion"]["gitVersion"]
    verbs = {verb: _flags(_said(kubectl, *verb.split(), "--help")) for verb in VERBS}
    return {"version": version, "global": _flags(_said(kubectl, "options")), "verbs": verbs}


def _flags(help_text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in help_text.splitlines():
        match = _FLAG.match(line)
        if match:
            name, default = match["name"], match["default"]
            kind = "bool" if default in {"true", "false"} else "optional" if name in _OPTIONAL else "value"
            found[name] = [match["short"] or "", kind]
    return found


def _said(kubectl: str, *arguments: str) -> str:
    return subprocess.run([kubectl, *arguments], check=True, capture_output=True, text=True).stdout  # noqa: S603  the pinned kubectl


def text_of(table: dict[str, object]) -> str:
    return json.dumps(table, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text_of(flag_table(sys.argv[1])), encoding="utf-8")
