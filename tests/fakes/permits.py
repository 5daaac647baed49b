"""The permit of a rollback, as people or the first question give it."""

from collections.abc import Collection
from datetime import UTC, datetime

from core import undo_permits
from core.permit import Permit
from core.resolution import ActionType
from core.risk_levels import RiskLevel
from core.snapshot import Snapshot

LATER = datetime(2100, 1, 1, tzinfo=UTC)


def rollback_permit(snapshot: Snapshot, *, again: Collection[int] = ()) -> Permit:
    """Names every entry of `snapshot` as it is now; those of `again` (by seq) may be made again."""
    rules = undo_permits.rules(snapshot, again=again, values={})
    return Permit(ActionType.CONFIG_FIX, "c", "shop", rules, RiskLevel.LOW, 0, LATER)
