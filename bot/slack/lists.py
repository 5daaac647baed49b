"""Lists of resolutions as messages: status, pending, history. Pure."""

from collections.abc import Sequence

from bot.slack import plans, words
from bot.slack.text import escaped, one_line
from core.overview import Overview


def list_text(title: str, found: Sequence[Overview], *, empty: str) -> str:
    """One line a resolution, newest as they come."""
    if not found:
        return empty
    return "\n".join([f"*{title}*", *(_line(one) for one in found)])


def _line(overview: Overview) -> str:
    resolution = overview.resolution
    request = resolution.request
    sign, _ = words.STATES[resolution.state]
    level = f" · {overview.assessment.level.value}" if overview.assessment else ""
    waits = " · ✋ *waits for an answer in its thread*" if overview.question else ""
    return (
        f"{sign} `{resolution.id[:8]}` {plans.state_words(overview)} · {request.action_type.value} in "
        f"{escaped(request.namespace, 70)}{level}{waits} · {words.time_token(resolution.created_at)} · "
        f"{one_line(request.action_description, 80)}"
    )


def status_text(overview: Overview) -> str:
    """One resolution with its numbers."""
    resolution = overview.resolution
    lines = [_line(overview), f"Asked by {escaped(resolution.requested_by.name, 80)}. {words.used(overview.usage)}."]
    if overview.pause is not None:
        lines.append(f"⏸️ Paused by {escaped(overview.pause.by.name, 80)}: {escaped(overview.pause.reason, 200)}")
    if resolution.summary:
        lines.append(escaped(resolution.summary, 1_200))
    return "\n".join(lines)
