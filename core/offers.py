"""What an investigation offers: a new resolution for the changes that it was refused. Pure."""

from collections.abc import Sequence

from core.execution import CommandRecord
from core.overview import Overview
from core.resolution import ActionType, Request, State

MOST_WORDS = 4_000
_ACTIONS = (
    ("kubectl scale", ActionType.RESOURCE_SCALE),
    ("kubectl autoscale", ActionType.RESOURCE_SCALE),
    ("kubectl delete pod", ActionType.POD_RESTART),
    ("kubectl rollout restart", ActionType.POD_RESTART),
)


def offered_request(overview: Overview) -> Request | None:
    """A request for what the investigation would have changed; None where it wanted nothing, or has not ended."""
    resolution = overview.resolution
    wanted = refused_changes(overview.commands)
    is_over = resolution.state is State.COMPLETED
    if resolution.request.action_type is not ActionType.INVESTIGATION or not is_over or not wanted:
        return None
    first = wanted[0].line
    action = next((action for begin, action in _ACTIONS if first.startswith(begin)), ActionType.CONFIG_FIX)
    told = f"As investigation {resolution.id[:8]} proposes: {first}. {resolution.summary or ''}".strip()
    request = resolution.request
    return Request(
        client_id=request.client_id,
        namespace=request.namespace,
        action_type=action,
        action_description=told[:MOST_WORDS],
        event_id=request.event_id,
        time_window_hours=request.time_window_hours,
        token_limit=request.token_limit,
    )


def refused_changes(commands: Sequence[CommandRecord]) -> list[CommandRecord]:
    """Lines above LOW that did not run; what is denied is never offered."""
    return [one for one in commands if not one.is_executed and one.verdict not in {"LOW", "DENY"}]
