"""Overviews built by hand: one for each state, small or as large and as hostile as rows can be."""

import datetime
from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal

from bot.slack.buttons import Signer
from bot.slack.cards import Rendering
from core.approval import Approval, ApprovalState, Subject
from core.assessment import RiskAssessment
from core.effects import Change
from core.execution import CommandRecord
from core.findings import Finding, Gap
from core.history import Entry, Happened, RecordedEntry
from core.overview import Overview, Pause
from core.permit import Permit, PermitRule, PermittedLine, Precondition
from core.resolution import (
    ActionType,
    ApprovalId,
    Person,
    Request,
    Resolution,
    ResolutionId,
    SnapshotId,
    State,
)
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.snapshot import UndoReport, UndoStep
from core.usage import Usage

NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ADA = Person("slack:T1/U1", "Ada")
SIGNER = Signer(b"k" * 32)
RENDERING = Rendering(SIGNER, ("U0ADA",))
RESOLUTION = ResolutionId("11111111-2222-4333-8444-555555555555")
APPROVAL = ApprovalId("66666666-7777-4888-8999-000000000000")
SNAPSHOT = SnapshotId("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")
HOSTILE = (
    "<!channel> <!here> <!everyone> <@U0ADA> <#C0INCIDENTS> <!subteam^S0ONCALL> <!date^1^{date}|x> "
    "<https://evil.example|click> &lt;!channel&gt; ``` ` *bold* _it_ ~s~ > quote :tada: \u202egnp.exe\u202c\u200b\u2028"
    '\x00\x07\x1b[31m\r\n\n"quoted" \\back\\ \ud800 \U000e0001'
)
_STARTED = {
    State.EXECUTING,
    State.VERIFYING,
    State.COMPLETED,
    State.FAILED,
    State.INTERRUPTED,
    State.ROLLING_BACK,
    State.ROLLED_BACK,
    State.ROLLBACK_FAILED,
}
_ANSWERS = {
    State.GATHERING: None,
    State.AWAITING_APPROVAL: ApprovalState.PENDING,
    State.REJECTED: ApprovalState.REJECTED,
    State.EXPIRED: ApprovalState.EXPIRED,
    State.CANCELLED: ApprovalState.CANCELLED,
}


def overview(state: State, *, text: str = "one pod crashes", many: int = 1, action: ActionType | None = None):
    """All that such a row can hold: each text is `text`, each list has `many` entries."""
    answer = _ANSWERS.get(state, ApprovalState.APPROVED)
    is_started, is_gathering = state in _STARTED, state is State.GATHERING
    return Overview(
        resolution=resolution(state, text=text, action=action or ActionType.POD_RESTART),
        usage=Usage(81_000 if is_started else 0, Decimal("1.2345") if is_started else Decimal(0)),
        cluster_name=text[:200],
        assessment=None if is_gathering else assessment(text, many),
        findings=tuple(Finding(text[:60], text, text) for _ in range(many)),
        gaps=tuple(Gap(text[:60], text) for _ in range(many)),
        approvals=() if answer is None else (approval(answer, text=text, many=many),),
        commands=commands(text, many) if is_started else (),
        changes=many if is_started else 0,
        pause=Pause(Person("slack:T1/U2", text), text, NOW) if many > 1 else None,
        history_seq=7,
    )


def resolution(state: State, *, text: str = "one pod crashes", action: ActionType = ActionType.POD_RESTART):
    is_ended = state not in {State.GATHERING, State.AWAITING_APPROVAL, State.APPROVED, State.EXECUTING}
    return Resolution(
        id=RESOLUTION,
        request=Request("slack", "shop", action, text, event_id=text[:200], replaces=ResolutionId("r-0")),
        requested_by=Person("slack:T1/U1", text[:200]),
        state=state,
        created_at=NOW,
        updated_at=NOW,
        approval_id=APPROVAL,
        snapshot_id=SNAPSHOT if state in _STARTED else None,
        summary=text if is_ended else None,
    )


def assessment(text: str, many: int) -> RiskAssessment:
    return RiskAssessment(RiskLevel.HIGH, (text,) * many, text, (text,) * many, resources(text, many))


def resources(text: str, many: int) -> tuple[Resource, ...]:
    return tuple(Resource("Pod", f"web-{number}-{text}"[:253], "shop", "v1", "uid") for number in range(many))


def approval(state: ApprovalState, *, text: str = "because", many: int = 1) -> Approval:
    rules = tuple(PermitRule(Change.SET_IMAGE, one, images=(text[:300],)) for one in resources(text, many))
    permit = Permit(
        ActionType.POD_RESTART, "uid-cluster", "shop", rules, RiskLevel.HIGH, 100_000, NOW + timedelta(minutes=10)
    )
    is_ended = state is not ApprovalState.PENDING
    return Approval(
        id=APPROVAL,
        resolution_id=RESOLUTION,
        subject=Subject.RESOLUTION,
        state=state,
        permit=permit,
        asked_at=NOW,
        deadline=NOW + timedelta(minutes=5),
        decided_by=Person("slack:T1/U3", text[:200]) if is_ended and state is not ApprovalState.EXPIRED else None,
        decided_at=NOW if is_ended else None,
        reason=text if is_ended else None,
    )


def with_question(state: ApprovalState, *, text: str = "", many: int = 1, many_words: str = "") -> Overview:
    """A run that asked about one line, about `many` objects; `text` stands wherever foreign text can."""
    row = overview(State.EXECUTING, text=text or "one pod crashes")
    first = row.approvals[0]
    targets = tuple(Resource("Pod", f"web-{number}{text}"[:253], "shop", "v1", f"u-{number}") for number in range(many))
    line = PermittedLine(
        line=f"kubectl scale deploy/web --replicas=5 {text}".strip(),
        stages=(("kubectl", "scale", "deploy/web", "--replicas=5", text),),
        verdict=RiskLevel.HIGH,
        rule="R7",
        namespace="shop",
        targets=targets,
        preconditions=tuple(Precondition(one, ("spec", f"replicas{text}"[:100]), f'"3{text}"') for one in targets),
        files=tuple((f"a-{number}{text}"[:80].replace("\n", " "), "0" * 64) for number in range(min(many, 3))),
        undo=many_words or text,
    )
    asked = replace(
        approval(state, text=text or "because"),
        id=ApprovalId("77777777-7777-4888-8999-000000000000"),
        subject=Subject.COMMAND,
        permit=replace(first.permit, rules=(), lines=(line,)),
    )
    return replace(row, approvals=(first, asked))


def commands(text: str, many: int) -> tuple[CommandRecord, ...]:
    return tuple(
        CommandRecord(
            seq=number,
            line=text,
            verdict="DENY" if number % 2 else "MEDIUM",
            rule="R4",
            reason=text,
            is_executed=not number % 2,
            asked_at=NOW,
            ended_at=NOW,
            exit_code=0,
            output=text,
        )
        for number in range(many)
    )


def undo_report(text: str, many: int) -> UndoReport:
    kinds = ("success", "skipped", "conflict", "failed")
    steps = tuple(UndoStep(number, text, kinds[number % 4], text) for number in range(many))
    return UndoReport(SNAPSHOT, is_dry_run=True, steps=steps)


def entry(what: Happened, *, text: str = "because", seq: int = 1) -> RecordedEntry:
    """An entry with every fact that any kind of entry has."""
    facts = {
        "level": "HIGH",
        "verdict": "MEDIUM",
        "rule": "R4",
        "is_executed": True,
        "exit_code": 1,
        "is_healthy": False,
        **dict.fromkeys(("digest", "text", "line", "reason", "output", "sentence", "summary", "ending"), text),
        **dict.fromkeys(("factors", "sentences"), [text] * 20),
        "steps": [{"sentence": text}] * 20,
    }
    return RecordedEntry(seq, NOW, Entry(what, RESOLUTION, Person("slack:T1/U1", text), facts))
