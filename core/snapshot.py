"""A Snapshot: objects as they were before a change and after it, enough to put them back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.effects import Change
from core.resolution import ResolutionId, SnapshotId
from core.resources import Resource

Manifest = Mapping[str, Any]
"""A whole object as the API server answered it, JSON types only."""


@dataclass(frozen=True, slots=True)
class Touched:
    """One object that a line would touch, found before it runs.

    `before` is None if it does not exist yet. `proposed` is how the API server says it would be afterwards, by a dry
    run that stores nothing; None where it would be gone. Where it is not `is_tried`, that is not known.
    """

    target: Resource
    before: Manifest | None
    proposed: Manifest | None
    is_tried: bool = True

    @property
    def is_deleted(self) -> bool:
        return self.before is not None and self.proposed is None


@dataclass(frozen=True, slots=True)
class SnapshotEntry:
    """One change to one object. `before` is None if it did not exist, `after` is None if it is gone.

    `after` is the object as it was read back, but for what others did meanwhile: there it is as before. Until
    `is_after_read`, it is what the dry run of the change proposed, None where nobody asked. `seq` counts the
    changes of a resolution from 1: undo goes from the last to the first. `state` is "open" until the command that made
    the change was recorded as ended, then "done"; after an undo "restored", "skipped", "conflict" or "failed".
    """

    seq: int
    target: Resource
    change: Change
    before: Manifest | None
    after: Manifest | None = None
    is_after_read: bool = False
    state: str = "open"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All entries of one resolution; one snapshot covers all that a resolution changed."""

    id: SnapshotId
    resolution_id: ResolutionId
    taken_at: datetime
    entries: tuple[SnapshotEntry, ...]


@dataclass(frozen=True, slots=True)
class UndoStep:
    """What undoing one entry did, or would do. `status`: success, skipped, conflict or failed.

    `command` is the kubectl line equivalent to it; `sentence` tells people what happened. `is_beyond`: it is left, for
    it would be more than undoing this resolution's own change; a person may approve it. `values` are what goes back, in
    words, "" where nothing does; the sentence holds them too.
    """

    seq: int
    command: str
    status: str
    sentence: str
    is_beyond: bool = False
    values: str = ""


@dataclass(frozen=True, slots=True)
class UndoReport:
    """The outcome of a rollback or of its preview, per entry, last change first."""

    snapshot_id: SnapshotId
    is_dry_run: bool
    steps: tuple[UndoStep, ...]

    @property
    def is_success(self) -> bool:
        return all(step.status in {"success", "skipped"} for step in self.steps)

    @property
    def beyond(self) -> tuple[UndoStep, ...]:
        """What somebody may be asked about."""
        return tuple(step for step in self.steps if step.is_beyond)

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(step.sentence for step in self.steps if step.status in {"conflict", "failed"})
