"""How the scripted model plans: it looks as it would at work, and proposes the changes instead of making them."""

import re
from collections.abc import Callable

from bot.demo.model.server import Body, Turn

PROPOSE = "mcp__resolver__propose"
REPORT = Turn("The plan stopped before it was through; look at what changed since it was approved, and ask again.")
_CHANGES = re.compile(r"kubectl (delete pod|scale|rollout undo|rollout restart) ")
_UNDO = {
    "delete pod": "There is nothing to take back: its controller makes a new pod.",
    "scale": "Its replica count of today is put back.",
    "rollout undo": "The pod template of today is put back.",
    "rollout restart": "There is nothing to take back: the same pods start anew.",
}
_DONE = 20


def is_planning(body: Body) -> bool:
    return any(one.get("name") == PROPOSE for one in body.get("tools", []))


def is_reporting(body: Body) -> bool:
    """A plan was run and stopped; there is nothing to do but to say so."""
    system = body.get("system")
    text = system if isinstance(system, str) else str(system)
    return "You are the reporting agent" in text


def as_plan(turn: Turn, after: Callable[[int], Turn]) -> Turn:
    """A turn that only looks stays as it is; one that changes becomes a proposal of it and of the changes behind it.

    `after` tells the turn once so many changes had succeeded.
    """
    words = turn.text
    lines: list[str] = []
    while len(lines) < _DONE and (line := _change(turn)) is not None:
        lines.append(line)
        turn = after(len(lines))
    if not lines:
        return turn
    return Turn("This is what I propose.", ((PROPOSE, {"why": words, "steps": [_step(one) for one in lines]}),))


def _change(turn: Turn) -> str | None:
    line = str(turn.tools[0][1].get("command", "")) if turn.tools else ""
    return line if _CHANGES.match(line) else None


def _step(line: str) -> dict[str, str]:
    found = _CHANGES.match(line)
    verb = found[1] if found else "scale"
    check = "not_worse" if verb == "delete pod" else "healthy"
    return {"command": line, "check": check, "undo": _UNDO[verb]}
