"""The words and signs of states, levels and verdicts on cards and in threads."""

from datetime import datetime, timedelta
from decimal import Decimal

from core.resolution import ActionType, Resolution, State
from core.risk_levels import RiskLevel
from core.usage import Usage

STATES: dict[State, tuple[str, str]] = {
    State.GATHERING: ("🔎", "Looking into it"),
    State.AWAITING_APPROVAL: ("✋", "Approval needed"),
    State.APPROVED: ("👍", "Approved, starting"),
    State.REJECTED: ("🚫", "Rejected"),
    State.EXPIRED: ("⌛", "Nobody answered"),
    State.CANCELLED: ("🚫", "Cancelled"),
    State.EXECUTING: ("⚙️", "At work"),
    State.VERIFYING: ("🩺", "Checking health"),
    State.COMPLETED: ("✅", "Resolved"),
    State.FAILED: ("❌", "Failed"),
    State.INTERRUPTED: ("🛑", "Interrupted"),
    State.ROLLING_BACK: ("↩️", "Rolling back"),
    State.ROLLED_BACK: ("↩️", "Rolled back"),
    State.ROLLBACK_FAILED: ("⚠️", "Rollback incomplete"),
}
ACTIONS = {
    ActionType.POD_RESTART: "Restart pods",
    ActionType.CONFIG_FIX: "Fix configuration",
    ActionType.RESOURCE_SCALE: "Scale",
    ActionType.INVESTIGATION: "Investigate",
}
LEVELS = {RiskLevel.LOW: "🟢", RiskLevel.MEDIUM: "🟡", RiskLevel.HIGH: "🟠", RiskLevel.CRITICAL: "🔴"}
VERDICTS = {"LOW": "🟢", "MEDIUM": "🟡", "HIGH": "🟠", "CRITICAL": "🔴", "DENY": "⛔"}


def state_words(resolution: Resolution) -> str:
    """An investigation resolves nothing: it reports."""
    if resolution.state is State.COMPLETED and resolution.request.action_type is ActionType.INVESTIGATION:
        return "Investigated"
    return STATES[resolution.state][1]


def time_token(at: datetime) -> str:
    """Day and time in each reader's own time zone: cards are read the morning after, too."""
    seconds = int(at.timestamp())
    return f"<!date^{seconds}^{{date_short_pretty}} {{time_secs}}|{at:%Y-%m-%d %H:%M:%S} UTC>"


def counted(number: int, one: str, more: str = "") -> str:
    """`1 change`, `2 changes`."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def length(span: timedelta) -> str:
    """A time limit as people say it, in its larger unit."""
    seconds = round(span.total_seconds())
    if seconds < 2 * 60:
        return counted(seconds, "second")
    return counted(seconds // 60, "minute") if seconds < 2 * 3_600 else counted(seconds // 3_600, "hour")


def money(usd: Decimal) -> str:
    return f"${usd:.4f}" if usd < 1 else f"${usd:.2f}"


def used(usage: Usage) -> str:
    """Tokens, share of the limit, and price."""
    return (
        f"{usage.total_tokens:,} of {usage.token_limit:,} tokens ({usage.percent_used:g} %) · {money(usage.cost_usd)}"
    )
