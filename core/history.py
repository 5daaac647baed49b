"""History: what happened, append-only. The Slack thread, the REST history and the audit log are views of it."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.resolution import Person, ResolutionId


class Happened(enum.Enum):
    """Every kind of entry. Names are past tense; what belongs to each is in `Entry.facts`."""

    REQUESTED = "requested"
    ASSESSED = "assessed"
    PLANNING_STARTED = "planning_started"
    PLAN_PROPOSED = "plan_proposed"
    PLAN_REFUSED = "plan_refused"
    PLAN_REVISED = "plan_revised"
    ASKED = "asked"
    AUTO_APPROVED = "auto_approved"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    EXECUTION_STARTED = "execution_started"
    GRANT_ISSUED = "grant_issued"
    GRANT_REVOKED = "grant_revoked"
    GRANT_SWEPT = "grant_swept"
    AGENT_SAID = "agent_said"
    COMMAND_JUDGED = "command_judged"
    COMMAND_ENDED = "command_ended"
    STEP_STARTED = "step_started"
    STEP_ENDED = "step_ended"
    STEP_CHECKED = "step_checked"
    QUESTION_ASKED = "question_asked"
    QUESTION_ENDED = "question_ended"
    BUDGET_WARNED = "budget_warned"
    INTERRUPT_ASKED = "interrupt_asked"
    INTERRUPTED = "interrupted"
    EXECUTION_ENDED = "execution_ended"
    VERIFIED = "verified"
    COMPLETED = "completed"
    FAILED = "failed"
    ROLLBACK_ASKED = "rollback_asked"
    ROLLBACK_STARTED = "rollback_started"
    EVIDENCE_KEPT = "evidence_kept"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `facts` hold JSON types only and never a secret; `by` is None for the service itself.

    `resolution_id` is None for entries about the whole service (paused, resumed).
    """

    what: Happened
    resolution_id: ResolutionId | None
    by: Person | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """An entry as stored: its number in the chain and the database's time."""

    seq: int
    at: datetime
    entry: Entry
