"""The only way in: every edge records what a person or an alert said here, in one transaction, and returns."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

from core import offers, questions
from core.actor import Actor
from core.approval import Answer, Approval, ApprovalState, Subject
from core.approvals import ApprovalEngine
from core.errors import InvalidInputError, NotFoundError, StaleError
from core.history import Entry, Happened
from core.moving import told_why
from core.overview import Overview, Pause
from core.ports import Clock, HistoryFilter, Store, Transaction
from core.redaction import redact
from core.resolution import (
    ROLLBACK,
    ActionType,
    ApprovalId,
    Person,
    Request,
    Resolution,
    ResolutionId,
    SnapshotId,
    State,
    may_move,
)
from core.risk_levels import RiskLevel
from core.rollback import RollbackManager
from core.snapshot import UndoReport

CANCELLABLE = frozenset({State.GATHERING, State.AWAITING_APPROVAL, State.APPROVED})
STOPPABLE = frozenset({State.EXECUTING, State.VERIFYING})


class Intake:
    """Records requests, decisions, interrupts, rollbacks and pauses, and reads what the edges show."""

    def __init__(
        self,
        *,
        store: Store,
        engine: ApprovalEngine,
        rollback: RollbackManager | None,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._engine = engine
        self._rollback = rollback
        self._clock = clock
        self._new_id = new_id

    async def request(
        self,
        request: Request,
        *,
        by: Person,
        thread: tuple[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Overview:
        """Records a request; an open one for the same client, event and action is returned instead of a second.

        What people write here and elsewhere is kept with its secrets taken out.

        The same `idempotency_key` with the same request within 24 h returns the first one's resolution;
        UnprocessableError with another request.
        """
        request = _kept(request)
        digest = _digest(request)
        async with self._store.transaction() as tx:
            known = None
            if idempotency_key:
                known = await tx.answered_before(idempotency_key, client=by.id, body_digest=digest)
            if known is not None:
                resolution_id = ResolutionId(json.loads(known)["resolution_id"])
            else:
                resolution_id = (await self._add(tx, request, by=by, thread=thread)).id
                if idempotency_key:
                    answer = json.dumps({"resolution_id": resolution_id})
                    await tx.keep_answer(idempotency_key, client=by.id, body_digest=digest, answer=answer)
        return await self.overview(resolution_id)

    def token_limit(self, by: Person, *, asked: int | None, setting: int) -> int:
        """As the policy has it: InvalidInputError where this caller asks for more than its bound."""
        return self._engine.policy.token_limit(by, asked=asked, setting=setting)

    async def same_answer(
        self, request: Request, answer: Mapping[str, object], *, by: Person, idempotency_key: str
    ) -> Mapping[str, object]:
        """What the first such request with this key was answered; `answer` where there is none yet, and from now on."""
        digest = _digest(_kept(request))
        async with self._store.transaction() as tx:
            known = await tx.answered_before(idempotency_key, client=by.id, body_digest=digest)
            kept: dict[str, dict[str, object]] = json.loads(known) if known is not None else {}
            if "answer" in kept:
                return kept["answer"]
            await tx.keep_answer(
                idempotency_key,
                client=by.id,
                body_digest=digest,
                answer=json.dumps({"resolution_id": answer["resolution_id"], "answer": dict(answer)}),
            )
        return answer

    async def _add(
        self, tx: Transaction, request: Request, *, by: Person, thread: tuple[str, str] | None
    ) -> Resolution:
        now = self._clock()
        wanted = Resolution(
            id=ResolutionId(self._new_id()),
            request=request,
            requested_by=by,
            state=State.GATHERING,
            created_at=now,
            updated_at=now,
            auto_rollback=self._engine.rolls_back_by_itself(request),
        )
        stored = await tx.add_resolution(wanted, dedupe_key=_dedupe_key(request), thread=thread)
        if stored.id == wanted.id:
            facts = {"description": request.action_description, "action_type": request.action_type.value}
            await tx.append(Entry(Happened.REQUESTED, stored.id, by, facts))
        return stored

    async def decide(self, answer: Answer, *, actor: Actor) -> Overview:
        """Records one final decision. StaleError when it was decided, has expired or the question changed."""
        answer = replace(answer, reason=redact(answer.reason))
        async with self._store.transaction() as tx:
            approval = await tx.approval(answer.approval_id)
            if approval is None:
                raise NotFoundError(f"There is no approval {answer.approval_id}.")
            self._engine.judge_answer(approval, answer, actor=actor, now=await tx.now())
            resolution = await _known(tx, approval.resolution_id)
            self._engine.check_requester(resolution, answer)
            match approval.subject:
                case Subject.RESOLUTION:
                    await _decide_resolution(tx, resolution, approval, answer)
                case Subject.ROLLBACK:
                    await _decide_rollback(tx, resolution, approval, answer)
                case Subject.COMMAND:
                    await _answer_question(tx, approval, resolution, answer)
        return await self.overview(approval.resolution_id)

    async def interrupt(self, resolution_id: ResolutionId, *, by: Person, reason: str) -> Overview:
        """Before execution it cancels at once; while running it asks the owner to stop. StaleError after the end.

        Locks the question before the resolution, as `decide` does.
        """
        reason = redact(reason)
        seen = await self.overview(resolution_id)
        async with self._store.transaction() as tx:
            if seen.approval is not None:
                await tx.approval(seen.approval.id)
            await questions.close(tx, seen.question, by=by, reason=questions.INTERRUPTED)
            resolution = await _known(tx, resolution_id)
            if resolution.state in CANCELLABLE:
                await self._cancel(tx, resolution, by=by, reason=reason)
            elif resolution.state in STOPPABLE:
                if await tx.ask_interrupt(resolution_id, by=by, reason=reason):
                    entry = Entry(Happened.INTERRUPT_ASKED, resolution_id, by, {"reason": reason})
                    await tx.append(entry)
            else:
                raise StaleError(f"There is nothing to interrupt: it is {resolution.state.value}. {_told(resolution)}")
        return await self.overview(resolution_id)

    async def _cancel(self, tx: Transaction, resolution: Resolution, *, by: Person, reason: str) -> None:
        if resolution.approval_id is not None:
            await tx.end_approval(resolution.approval_id, state=ApprovalState.CANCELLED, by=by, reason=reason)
        entry = Entry(Happened.CANCELLED, resolution.id, by, {"reason": reason})
        summary = told_why(f"Cancelled by {by.name} before anything was run", reason)
        if not await tx.move(resolution, to=State.CANCELLED, because=entry, summary=summary):
            raise StaleError("The resolution moved on while the interrupt was on its way; look at it again.")

    async def preview_rollback(self, snapshot_id: SnapshotId) -> UndoReport:
        """What a rollback would do, checked against the API server by dry run; changes nothing."""
        snapshot = await self._store.snapshot(snapshot_id)
        if snapshot is None:
            raise NotFoundError(f"There is no snapshot {snapshot_id}.")
        _refuse_while_running((await self.overview(snapshot.resolution_id)).resolution)
        if self._rollback is None:
            raise InvalidInputError("No cluster is configured, so nothing can be rolled back.")
        return await self._rollback.preview(snapshot)

    async def rollback(self, snapshot_id: SnapshotId, *, by: Person) -> Overview:
        """Records that somebody wants it undone; the worker looks whether that needs asking, and does it."""
        snapshot = await self._store.snapshot(snapshot_id)
        if snapshot is None:
            raise NotFoundError(f"There is no snapshot {snapshot_id}.")
        async with self._store.transaction() as tx:
            resolution = await _known(tx, snapshot.resolution_id)
            _refuse_while_running(resolution)
            if resolution.state is not State.ROLLING_BACK and resolution.waiting_for != ROLLBACK:
                _refuse_without_way_back(resolution)
                await tx.append(Entry(Happened.ROLLBACK_ASKED, resolution.id, by, {"snapshot_id": snapshot_id}))
                await tx.wait_for(resolution, ROLLBACK, wake_in_seconds=0)
        return await self.overview(snapshot.resolution_id)

    async def ask_again(
        self, resolution_id: ResolutionId, *, by: Person, thread: tuple[str, str] | None = None
    ) -> Overview:
        """A new resolution with the same request that names the old one; only after an end without a change."""
        old = (await self.overview(resolution_id)).resolution
        if old.state not in {State.EXPIRED, State.FAILED, State.REJECTED, State.CANCELLED, State.INTERRUPTED}:
            raise StaleError(f"It can be asked again after it has ended; it is {old.state.value}.")
        limit = self.token_limit(by, asked=None, setting=old.request.token_limit)
        again = {"replaces": old.id, "action_type": ActionType(old.request.action_type), "token_limit": limit}
        asked = asdict(old.request) | again
        return await self.request(Request(**asked), by=by, thread=thread)

    async def take_offer(self, resolution_id: ResolutionId, *, by: Person) -> Overview:
        """A new request for what an investigation was refused; StaleError where it offers nothing."""
        wanted = offers.offered_request(await self.overview(resolution_id))
        if wanted is None:
            raise StaleError("This resolution offers nothing; ask with /incident resolve.")
        wanted = replace(wanted, token_limit=self.token_limit(by, asked=None, setting=wanted.token_limit))
        return await self.request(wanted, by=by, idempotency_key=f"offer:{resolution_id}")

    async def pause(self, *, by: Person, reason: str) -> None:
        """No replica starts anything new until `resume`; who and why stand on every card."""
        reason = redact(reason)
        async with self._store.transaction() as tx:
            await tx.set_pause(Pause(by, reason, await tx.now()))
            await tx.append(Entry(Happened.PAUSED, None, by, {"reason": reason}))

    async def resume(self, *, by: Person) -> None:
        async with self._store.transaction() as tx:
            await tx.set_pause(None)
            await tx.append(Entry(Happened.RESUMED, None, by))

    async def overview(self, resolution_id: ResolutionId) -> Overview:
        """NotFoundError when there is none."""
        found = await self._store.overview(resolution_id)
        if found is None:
            raise NotFoundError(f"There is no resolution {resolution_id}.")
        return found

    async def approval_of(self, approval_id: ApprovalId) -> Overview:
        """The resolution a question belongs to."""
        async with self._store.transaction() as tx:
            approval = await tx.approval(approval_id)
        if approval is None:
            raise NotFoundError(f"There is no approval {approval_id}.")
        return await self.overview(approval.resolution_id)

    async def pending(self, client_id: str | None = None) -> Sequence[Overview]:
        return await self._store.pending(client_id)

    async def history(self, wanted: HistoryFilter) -> Sequence[Overview]:
        return await self._store.history(wanted)

    async def snapshot_owner(self, snapshot_id: SnapshotId) -> Overview:
        """The resolution whose changes a snapshot holds."""
        snapshot = await self._store.snapshot(snapshot_id)
        if snapshot is None:
            raise NotFoundError(f"There is no snapshot {snapshot_id}.")
        return await self.overview(snapshot.resolution_id)


async def _answer_question(tx: Transaction, question: Approval, resolution: Resolution, answer: Answer) -> None:
    """Ends a question mid-run; the run goes on in its own process, which looks for the answer."""
    if resolution.state is not State.EXECUTING or resolution.interrupt_by is not None:
        raise StaleError("The run that asked is over; nothing was run. Ask again.")
    if answer.is_approval:
        await questions.check_alone(tx, question)
    state = ApprovalState.APPROVED if answer.is_approval else ApprovalState.REJECTED
    await questions.end(tx, question, state=state, by=answer.by, reason=answer.reason)


async def _decide_resolution(tx: Transaction, resolution: Resolution, approval: Approval, answer: Answer) -> None:
    state, to, what = (
        (ApprovalState.APPROVED, State.APPROVED, Happened.APPROVED)
        if answer.is_approval
        else (ApprovalState.REJECTED, State.REJECTED, Happened.REJECTED)
    )
    await tx.end_approval(approval.id, state=state, by=answer.by, reason=answer.reason)
    facts = {"reason": answer.reason, "digest": approval.permit.digest, "approval_id": approval.id}
    moved = await tx.move(
        resolution,
        to=to,
        because=Entry(what, resolution.id, answer.by, facts),
        wake_in_seconds=0 if answer.is_approval else None,
        summary=None if answer.is_approval else f"Rejected by {answer.by.name}: {answer.reason or 'no reason'}",
    )
    if not moved:
        raise StaleError("The resolution moved on while the decision was on its way; look at it again.")


async def _decide_rollback(tx: Transaction, resolution: Resolution, approval: Approval, answer: Answer) -> None:
    """A yes starts the rollback; a no leaves the resolution ended as it is."""
    facts = {"reason": answer.reason, "digest": approval.permit.digest, "approval_id": approval.id, "about": "rollback"}
    if not answer.is_approval:
        await tx.end_approval(approval.id, state=ApprovalState.REJECTED, by=answer.by, reason=answer.reason)
        facts["summary"] = f"The rollback was rejected: {answer.reason or 'no reason'}. Nothing was put back."
        await tx.append(Entry(Happened.REJECTED, resolution.id, answer.by, facts))
        await tx.wait_for(resolution, None, wake_in_seconds=None)
        return
    await tx.end_approval(approval.id, state=ApprovalState.APPROVED, by=answer.by, reason=answer.reason)
    await tx.append(Entry(Happened.APPROVED, resolution.id, answer.by, facts))
    started = Entry(Happened.ROLLBACK_STARTED, resolution.id, answer.by, {"approval_id": approval.id})
    if not may_move(resolution.state, State.ROLLING_BACK) or not await tx.move(
        resolution, to=State.ROLLING_BACK, because=started, wake_in_seconds=0
    ):
        raise StaleError("The resolution moved on while the decision was on its way; look at it again.")


async def _known(tx: Transaction, resolution_id: ResolutionId) -> Resolution:
    resolution = await tx.resolution(resolution_id)
    if resolution is None:
        raise NotFoundError(f"There is no resolution {resolution_id}.")
    return resolution


def _refuse_while_running(resolution: Resolution) -> None:
    if resolution.state in STOPPABLE:
        raise StaleError("It is still running; interrupt it first, then roll back.")


def undoable(overview: Overview) -> SnapshotId:
    """The snapshot that a rollback would put back; an error says why there is nothing, or nothing any more."""
    resolution = overview.resolution
    _refuse_while_running(resolution)
    has_changed = any(one.is_executed and one.verdict != RiskLevel.LOW.value for one in overview.commands)
    if resolution.snapshot_id is None and has_changed:
        raise NotFoundError(
            "It cannot be rolled back: there is no snapshot of what it did. It changed no object, or the time that "
            "snapshots are kept is over."
        )
    if resolution.snapshot_id is None:
        raise NotFoundError("It changed nothing, so there is nothing to roll back.")
    if resolution.state is not State.ROLLING_BACK:
        _refuse_without_way_back(resolution)
    return resolution.snapshot_id


def _refuse_without_way_back(resolution: Resolution) -> None:
    if resolution.state is State.ROLLED_BACK:
        raise StaleError("It has been rolled back already; there is nothing left to undo.")
    if not may_move(resolution.state, State.ROLLING_BACK):
        raise StaleError(f"It cannot be rolled back: it is {resolution.state.value}. {_told(resolution)}")


def _kept(request: Request) -> Request:
    return replace(request, action_description=redact(request.action_description))


def _told(resolution: Resolution) -> str:
    return resolution.summary or ""


def _dedupe_key(request: Request) -> str | None:
    """One open resolution per client, event and action; without an event every request is a new one."""
    if request.event_id is None:
        return None if request.replaces is None else json.dumps(["again", request.replaces])
    return json.dumps([request.client_id, request.event_id, request.action_type.value])


def _digest(request: Request) -> str:
    def plain(value: object) -> str:
        return value.value if isinstance(value, ActionType) else str(value)

    return hashlib.sha256(json.dumps(asdict(request), sort_keys=True, default=plain).encode()).hexdigest()
