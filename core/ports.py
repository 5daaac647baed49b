"""What the use cases need from the outside, in our own types.

Implemented by storage, core.cluster, core.agent and core.sources, and by the fakes of the tests.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from core.approval import Approval, ApprovalState
from core.assessment import RiskAssessment
from core.effects import Judged
from core.execution import AgentProfile, CommandRecord, Outcome
from core.findings import IncidentContext, SourceAnswer
from core.helm_releases import Release
from core.history import Entry, RecordedEntry
from core.overview import Overview, Pause
from core.permit import Permit
from core.plan import Proposal
from core.resolution import ActionType, ApprovalId, Person, Request, Resolution, ResolutionId, SnapshotId, State
from core.resources import Resource, Workload
from core.snapshot import Manifest, Snapshot, SnapshotEntry, Touched, UndoReport
from core.usage import Usage
from core.wall_clock import WallClock

Clock = Callable[[], datetime]
"""The time now, in UTC."""


# --- Context sources ---------------------------------------------------------------------------------------------


class Source(Protocol):
    """One place that context is gathered from. `look` raises UnavailableError when it cannot answer."""

    @property
    def name(self) -> str: ...

    @property
    def off_reason(self) -> str | None:
        """Why this source is switched off ("NEO4J_URI is not set"), None when it is on."""

    async def look(self, request: Request) -> SourceAnswer: ...


class Memory(Protocol):
    """Where a resolution that ended is written back to (the graph)."""

    async def remember(self, overview: Overview) -> None: ...


# --- The cluster -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a started command came to: stdout and stderr, at most 48,000 characters; `exit_code` None if killed."""

    exit_code: int | None
    output: str


class Cluster(Protocol):
    """The Kubernetes API and the kubectl that speaks to it; UnavailableError wherever it does not answer."""

    async def workload(self, resource: Resource) -> Workload | None:
        """The workload's state now, None if it does not exist. `resource` may be a controller or a bare pod."""

    async def read(self, resource: Resource) -> Manifest | None:
        """The whole object, None if it does not exist; NotAllowedError when the API server refuses to show it."""

    async def check_kept(self, resource: Resource) -> None:
        """NotAllowedError, with the Role line to add, where no snapshot of it could be taken or put back."""

    async def resolve(self, judged: Judged) -> tuple[Resource, ...]:
        """Every object the line would change, with its uid; one it would make has none. Never empty.

        InvalidInputError or NotFoundError says why it cannot be told, NotAllowedError that it may not be seen.
        """

    async def touched(self, judged: Judged, *, folder: Path, namespace: str) -> Sequence[Touched]:
        """What a line would touch, found without changing anything; those undone first come last.

        Empty where it touches no object. What the API server refuses to show or to try is an error.
        """

    async def touched_by_deletion(self, resource: Resource) -> Sequence[Manifest]:
        """What would go along with it, without what a controller makes again."""

    async def create(self, manifest: Manifest, *, is_dry_run: bool) -> Manifest: ...

    async def replace(self, manifest: Manifest, *, is_dry_run: bool) -> Manifest:
        """A PUT that carries metadata.resourceVersion; StaleError when the object moved meanwhile."""

    async def replace_status(self, manifest: Manifest) -> Manifest:
        """As replace, of the status alone; the answer is the object as it is then."""

    async def listed(self, kind: str, namespace: str | None) -> Sequence[Manifest]:
        """All objects of a kind that is known by name; empty where they may not be listed."""

    async def roll_release_back(self, release: Release) -> None:
        """Has helm roll a release back to that revision; StepFailedError where it does not, or is not here."""

    async def delete(self, resource: Resource, *, is_dry_run: bool) -> None:
        """Deletes exactly the object with `resource.uid` (a precondition); StaleError when it is another one."""

    async def run(
        self, stages: tuple[tuple[str, ...], ...], *, folder: Path, seconds: float, namespace: str
    ) -> CommandResult:
        """Runs judged argument vectors without a shell, the first with kubectl, the rest text filters, connected by us.

        `namespace` is kubectl's default namespace: the one that a line without -n was judged in. Cancelling kills the
        processes. At `seconds` they are killed and exit_code is None.
        """


# --- The agent ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool tells the agent. `is_data` where the words are not ours: output, files."""

    text: str
    is_error: bool = False
    is_data: bool = False


class Toolbox(Protocol):
    """What the agent's `bash` tool and the hook call back into: the gate, and the one place that executes."""

    def judge(self, line: str) -> Judged: ...

    async def bash(self, line: str) -> ToolAnswer:
        """Judges, records, snapshots and runs one line; a refusal is an answer with is_error, never an exception."""

    async def said(self, text: str) -> None:
        """The agent's own words between tools, for the thread."""


@dataclass(frozen=True, slots=True)
class AgentTask:
    """One agent run. `agent` names its budget ("executor", "planner", "reporter").

    `token_limit` is the resolution's, `agent_tokens` this agent's share of it where it has one of its own, in tokens.
    `prompt` frames foreign text as data. `clock` limits the run instead of the profile, where something stops it.
    """

    resolution_id: ResolutionId
    agent: str
    profile: AgentProfile
    prompt: str
    folder: Path
    token_limit: int = 100_000
    clock: WallClock | None = None
    agent_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ProposalAnswer:
    """What came of a proposal. `is_final`: taken, or refused for the last time; the agent's work ends here."""

    answer: ToolAnswer
    is_final: bool


Propose = Callable[[Proposal], Awaitable[ProposalAnswer]]
"""What the planning agent's `propose` tool calls back into."""


class Agents(Protocol):
    """The door to the Claude Agent SDK."""

    async def run(self, task: AgentTask, toolbox: Toolbox, *, propose: Propose | None = None) -> Outcome:
        """Runs to an end; cancelling it kills the agent and its children within 2 s.

        `propose` belongs to profiles with that tool. Never raises for API failures: those are an Outcome "failed" whose
        output says what was seen and what to do.
        """


# --- The store ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """What `GET /history` may narrow by. `before_seq` is the cursor."""

    client_id: str | None = None
    status: State | None = None
    action_type: ActionType | None = None
    namespace: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, str] | None = None
    limit: int = 50


class Transaction(Protocol):
    """One database transaction: facts, moves and their history entries commit together or not at all."""

    async def add_resolution(
        self, resolution: Resolution, *, dedupe_key: str | None, thread: tuple[str, str] | None = None
    ) -> Resolution:
        """Stores it (claimable at once) and returns it; where an open one has the same key, returns that one instead.

        `thread` is (channel, ts) of the Slack message that asked, under which its card is posted.
        """

    async def resolution(self, resolution_id: ResolutionId) -> Resolution | None:
        """Locks the row until the transaction ends."""

    async def approval(self, approval_id: ApprovalId) -> Approval | None:
        """Locks the row until the transaction ends. Lock the approval before its resolution."""

    async def now(self) -> datetime:
        """The database's clock, the only one deadlines are judged by."""

    async def move(
        self,
        resolution: Resolution,
        *,
        to: State,
        because: Entry,
        wake_in_seconds: float | None = None,
        summary: str | None = None,
    ) -> bool:
        """The only way a state changes: compare-and-set on id, state and epoch of `resolution`; False if it lost.

        Refuses (ValueError) what `core.resolution.MOVES` does not list. `wake_in_seconds` is when the worker looks
        again (0 at once, None never). Appends `because` and notifies. A lease, if held, stays until released.
        """

    async def append(self, entry: Entry) -> None:
        """An entry without a move; notifies. Appended to the chain as the last statement of the transaction."""

    async def save_context(self, resolution_id: ResolutionId, context: IncidentContext) -> None: ...

    async def save_assessment(self, resolution_id: ResolutionId, assessment: RiskAssessment) -> None: ...

    async def add_approval(self, approval: Approval) -> None:
        """Stores the question and makes it the resolution's present one."""

    async def add_question(self, resolution: Resolution, approval: Approval) -> bool:
        """Stores a question mid-run and sets `waiting_for`; False where this epoch may not go on.

        That is: the lease is gone, somebody asked to stop, or it is not executing.
        """

    async def end_approval(
        self, approval_id: ApprovalId, *, state: ApprovalState, by: Person | None, reason: str | None
    ) -> None: ...

    async def revise_approval(self, approval_id: ApprovalId, *, permit: Permit, deadline: datetime) -> None:
        """Puts another permit to people under the same question, which must be pending; answers to it begin anew."""

    async def ask_interrupt(self, resolution_id: ResolutionId, *, by: Person, reason: str) -> bool:
        """Sets interrupt_by where none is set; False if one is."""

    async def wait_for(self, resolution: Resolution, what: str | None, *, wake_in_seconds: float | None) -> None:
        """Sets `waiting_for` without moving the state, and when the worker looks at it (None: never)."""

    async def save_outcome(self, outcome: Outcome, *, transcript: str) -> None: ...

    async def save_undo(self, resolution_id: ResolutionId, report: UndoReport) -> None: ...

    async def set_pause(self, pause: Pause | None) -> None: ...

    async def pause(self) -> Pause | None: ...

    async def agents_at_work(self, besides: ResolutionId) -> int:
        """Resolutions now executing or planning but this one, over all replicas; locks the count until the end."""

    async def permits_at_work(self, besides: ResolutionId) -> tuple[Permit, ...]:
        """Those of the resolutions that execute, verify or roll back now, without the one named.

        With the lines that were approved mid-run. Locks as `agents_at_work` does.
        """

    async def postpone(self, resolution: Resolution, *, seconds: float) -> None:
        """Wakes it later without counting an attempt: the service is paused or busy."""

    async def answered_before(self, key: str, *, client: str, body_digest: str) -> str | None:
        """The stored answer (JSON) to this Idempotency-Key within 24 h; UnprocessableError for another body."""

    async def keep_answer(self, key: str, *, client: str, body_digest: str, answer: str) -> None: ...


class Store(Protocol):
    """Where everything is kept. Raises UnavailableError when the database does not answer."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...

    # reads
    async def overview(self, resolution_id: ResolutionId) -> Overview | None: ...

    async def context(self, resolution_id: ResolutionId) -> IncidentContext | None: ...

    async def pending(self, client_id: str | None) -> Sequence[Overview]: ...

    async def history(self, wanted: HistoryFilter) -> Sequence[Overview]:
        """Newest first; one more than `limit` is never returned."""

    async def entries(self, resolution_id: ResolutionId, *, after_seq: int = 0) -> Sequence[RecordedEntry]: ...

    async def pause(self) -> Pause | None: ...

    async def failed_lately(self, request: Request, target: Resource | None) -> int:
        """How many resolutions of the same action type in the same namespace failed in the last 7 days."""

    async def snapshot(self, snapshot_id: SnapshotId) -> Snapshot | None: ...

    async def approval(self, approval_id: ApprovalId) -> Approval | None:
        """Without a lock."""

    # the queue
    async def claim(self, owner: str, *, limit: int) -> Sequence[Resolution]:
        """Resolutions whose time has come and nobody holds, leased to `owner` under a new epoch."""

    async def release(self, resolution: Resolution) -> None:
        """Gives the lease back, if it is still this epoch's."""

    async def retry_later(self, resolution: Resolution, *, seconds: float) -> None:
        """Counts an attempt, gives the lease back and wakes it later."""

    async def is_held(self, resolution: Resolution) -> bool:
        """Whether this epoch still holds the lease, in this state, by the database's clock."""

    async def stop_asked(self, resolution_id: ResolutionId) -> tuple[Person, str] | None:
        """Who asked to interrupt, and why."""

    # the execution's own facts
    async def add_command(self, resolution: Resolution, record: CommandRecord) -> int:
        """Stores a judged line with its history entry; returns its number. LeaseLostError if the lease is gone."""

    async def end_command(
        self, resolution: Resolution, seq: int, *, exit_code: int | None, output: str, is_executed: bool
    ) -> None: ...

    async def add_snapshot_entries(self, resolution: Resolution, entries: Sequence[SnapshotEntry]) -> SnapshotId:
        """Encrypts and stores all or none, before the change; the resolution's one snapshot is made with its first.

        LeaseLostError if the lease is gone.
        """

    async def update_snapshot_entries(self, snapshot_id: SnapshotId, entries: Sequence[SnapshotEntry]) -> None:
        """Stores `after` and `state` of the entries with these seqs."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens set aside for one model call, by number."""

    id: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Limits:
    """All in tokens but the last, USD per UTC day. `reserve_tokens` of the incident limit are kept for last words."""

    incident_tokens: int
    agent_tokens: int
    day_usd: Decimal
    reserve_tokens: int = 0


class Ledger(Protocol):
    """Tokens and money in PostgreSQL: reserved before a model call, settled after it."""

    async def reserve(
        self, resolution_id: ResolutionId, *, agent: str, tokens: int, cost_usd: Decimal, limits: Limits
    ) -> Reservation:
        """Sets tokens aside under a lock; BudgetExceededError names which limit is reached and its figures."""

    async def settle(self, reservation: Reservation, *, tokens: int, cost_usd: Decimal) -> Usage:
        """Replaces the reservation by what was used; returns the resolution's usage after it."""

    async def usage(self, resolution_id: ResolutionId) -> Usage: ...

    async def spent_today_usd(self) -> Decimal: ...

    async def warn_once(self, resolution_id: ResolutionId) -> bool:
        """True the first time only: marks that the 80 % warning was given."""
