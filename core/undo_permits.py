"""What a rollback's permit says of each entry of a snapshot, and whether an entry is what it says. Pure."""

import hashlib
import json
from collections.abc import Collection, Mapping

from core.effects import Change
from core.permit import Permit, PermitRule
from core.snapshot import Snapshot, SnapshotEntry

_UNDONE = frozenset({Change.PUT_BACK, Change.MAKE_AGAIN})


def rules(snapshot: Snapshot, *, again: Collection[int], values: Mapping[int, str]) -> tuple[PermitRule, ...]:
    """One rule an entry, by name, uid and content. Those of `again` (by seq) may be made again.

    `values` are in words what goes back, by seq, as people are asked; an entry that is not in it is put in none.
    """
    found = {
        PermitRule(
            Change.MAKE_AGAIN if entry.seq in again else Change.PUT_BACK,
            entry.target,
            content=content(entry),
            values=values.get(entry.seq, ""),
        )
        for entry in snapshot.entries
    }
    return tuple(sorted(found, key=lambda rule: (rule.change.value, rule.target, rule.content)))


def allowed(permit: Permit, entry: SnapshotEntry) -> Change | None:
    """How this permit lets this very entry be undone; None where it does not name it, or names other content.

    An object is the same only with the same uid: equal names are not enough.
    """
    held = content(entry)
    named = {
        rule.change
        for rule in permit.rules
        if rule.change in _UNDONE
        and (rule.target, rule.target.uid) == (entry.target, entry.target.uid)
        and rule.content == held
    }
    return next((change for change in (Change.MAKE_AGAIN, Change.PUT_BACK) if change in named), None)


def content(entry: SnapshotEntry) -> str:
    """SHA-256 (hex) of what goes back; of an object that the change made, of which one is removed.

    Not of what the change left: an undo that is tried again has moved that itself.
    """
    made = entry.after if entry.before is None and entry.is_after_read else None
    removed = (made or {}).get("metadata", {}).get("uid")
    held = [entry.seq, entry.change.value, entry.before, removed]
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
