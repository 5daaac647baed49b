"""Questions mid-run: a run waits until a person has answered about one exact line, or about a further plan."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from core.approval import Approval, ApprovalState, Subject
from core.errors import LeaseLostError, StaleError, UnavailableError
from core.history import Entry, Happened
from core.overview import Overview
from core.permit import Permit, PermittedLine
from core.ports import Clock, Store, Transaction
from core.redaction import redact
from core.resolution import ApprovalId, Person, Resolution
from core.risk_levels import RiskLevel

MOST_QUESTIONS = 3
"""Per run (DESIGN 3.11)."""
LONGEST_WAIT_SECONDS = 3_600.0
"""However long policy lets a question wait: an agent's tool call must end before its own time limit does."""
POLL_SECONDS = 1.0
INTERRUPTED = "the run was interrupted, ask again"


class Bell:
    """Wakes everybody who waits, early; whoever is woken looks for themselves."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    async def wait(self, seconds: float) -> None:
        """Until it is rung, at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()


@dataclass(frozen=True, slots=True)
class Asking:
    """How questions mid-run are put here. `is_allowed` is the policy's word: ask, or refuse at once."""

    timeout_seconds: Callable[[RiskLevel], float]
    new_id: Callable[[], str]
    bell: Bell = field(default_factory=Bell)
    is_allowed: bool = True


@dataclass(slots=True, kw_only=True)
class Questions:
    """Those of one run. `permit` is the resolution's own: a question has its cluster, policy and namespace."""

    resolution: Resolution
    permit: Permit
    store: Store
    clock: Clock
    asking: Asking
    asked: int = 0

    @property
    def are_used_up(self) -> bool:
        return self.asked >= MOST_QUESTIONS

    async def ask(self, line: PermittedLine, *, level: RiskLevel, why: str = "") -> Approval:
        """Puts the question and waits for its end; holds no connection while it waits.

        `level` is at least the line's own. LeaseLostError where this run may ask nothing any more, StaleError where
        another resolution is at work on a target.
        """
        self.asked += 1
        return await self._ask(replace(self.permit, lines=(line,), highest_risk=level, revision=1), why=why)

    async def ask_plan(self, plan: Permit, *, why: str) -> Approval:
        """As `ask`, about the lines of a further plan: the next revision of the one that stopped."""
        self.asked += 1
        return await self._ask(replace(plan, revision=self.permit.revision + self.asked), why=why)

    async def _ask(self, permit: Permit, *, why: str) -> Approval:
        approval = await self._put(permit, why=why)
        while True:
            with suppress(UnavailableError):  # an outage of the database is no answer
                found = await self._ended(approval)
                if found is not None:
                    return found
            await self.asking.bell.wait(POLL_SECONDS)

    async def _put(self, asked: Permit, *, why: str) -> Approval:
        seconds = min(self.asking.timeout_seconds(asked.highest_risk), LONGEST_WAIT_SECONDS)
        async with self.store.transaction() as tx:
            now = await tx.now()
            deadline = now + timedelta(seconds=seconds)
            permit = replace(asked, rules=(), ends_at=deadline)
            approval = Approval(
                id=ApprovalId(self.asking.new_id()),
                resolution_id=self.resolution.id,
                subject=Subject.COMMAND,
                state=ApprovalState.PENDING,
                permit=permit,
                asked_at=now,
                deadline=deadline,
            )
            await check_alone(tx, approval)
            if not await tx.add_question(self.resolution, approval):
                raise LeaseLostError("This run may ask nothing any more: it was stopped, or another worker took it.")
            facts = {"line": _lines(approval), "level": permit.highest_risk.value, "why": why, **_named(approval)}
            await tx.append(Entry(Happened.QUESTION_ASKED, self.resolution.id, None, facts))
        return approval

    async def _ended(self, approval: Approval) -> Approval | None:
        """The question once it has an end; its deadline is one, by the database's clock."""
        found = await self.store.approval(approval.id)
        if found is None or found.state is not ApprovalState.PENDING:
            return found
        if self.clock() < approval.deadline:
            return None
        async with self.store.transaction() as tx:
            locked = await tx.approval(approval.id)
            if locked is not None and locked.state is ApprovalState.PENDING and await tx.now() >= locked.deadline:
                await end(tx, locked, state=ApprovalState.EXPIRED, by=None, reason="nobody answered")
        return None


async def check_alone(tx: Transaction, question: Approval) -> None:
    """StaleError where another resolution is at work on a target; nobody starts on one until the transaction ends."""
    for other in await tx.permits_at_work(question.resolution_id):
        if question.permit.shares_target(other):
            raise StaleError("Another resolution is at work on the same object; try again when it has ended.")


async def end(tx: Transaction, question: Approval, *, state: ApprovalState, by: Person | None, reason: str) -> None:
    """Ends a locked, pending question: its state, and what history tells of it."""
    await tx.end_approval(question.id, state=state, by=by, reason=reason or None)
    facts = {"state": state.value, "reason": reason, "line": _lines(question), **_named(question)}
    await tx.append(Entry(Happened.QUESTION_ENDED, question.resolution_id, by, facts))


async def close(tx: Transaction, question: Approval | None, *, by: Person | None, reason: str) -> None:
    """Cancels what is still open of it. Locks it: call before its resolution is locked."""
    locked = await tx.approval(question.id) if question is not None else None
    if locked is not None and locked.state is ApprovalState.PENDING:
        await end(tx, locked, state=ApprovalState.CANCELLED, by=by, reason=reason)


def who_and_why(ended: Approval) -> tuple[str, str]:
    """Who ended a question, and why, to stand behind a verb."""
    who = ended.decided_by.name if ended.decided_by else "the service"
    return who, f": {ended.reason}" if ended.reason else " without a reason"


def outcome_words(ended: Approval) -> str:
    """What the agent is told of a question that was not approved."""
    who, why = who_and_why(ended)
    match ended.state:
        case ApprovalState.REJECTED:
            return f"{who} rejected this line{why}. Do not ask for it again; find another way, or stop and say so."
        case ApprovalState.EXPIRED:
            return "Nobody answered in time. Go on without it, or stop and say what is left to do."
        case ApprovalState.CANCELLED | ApprovalState.PENDING | ApprovalState.APPROVED:
            return f"The question was closed by {who}{why}. Stop now."


def approved_in_vain(overview: Overview) -> str:
    """A sentence about lines that were approved mid-run and never started; empty where there are none."""
    ran = [one.line for one in overview.commands if one.is_executed]
    approved = [
        redact(line.line)
        for one in overview.approvals
        if one.subject is Subject.COMMAND and one.state is ApprovalState.APPROVED and not one.is_further_plan
        for line in one.permit.lines
    ]
    lines = [one for one in approved if one not in ran]
    return f" Approved, but it did not run: {'; '.join(lines)}." if lines else ""


def _lines(question: Approval) -> str:
    return "; ".join(redact(one.line) for one in question.permit.lines)[:2_000]


def _named(approval: Approval) -> dict[str, object]:
    named: dict[str, object] = {"approval_id": approval.id, "digest": approval.permit.digest}
    return named | ({"revision": approval.permit.revision} if approval.is_further_plan else {})
