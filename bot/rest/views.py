"""What callers get: pure functions from an Overview to the JSON of the contract."""

from collections.abc import Mapping
from typing import Any

from core.approval import POLICY, Approval, ApprovalState, Subject
from core.findings import Gap
from core.overview import Overview
from core.permit import PermittedLine
from core.plan import StepState, check_words
from core.plan_progress import Progress, progress
from core.redaction import redact
from core.resolution import State
from core.snapshot import UndoReport

Json = Mapping[str, Any]


def resolve_view(overview: Overview) -> dict[str, Any]:
    """The answer to a request, and a part of the status; its question is the one that waits, else the first."""
    question = _question(overview)
    assessment = overview.assessment
    return {
        "resolution_id": overview.resolution.id,
        "status": overview.resolution.state.value,
        "approval_id": question.id if question else None,
        "requires_approval": question is not None,
        "risk_level": assessment.level.value if assessment else None,
        "risk_factors": list(assessment.factors) if assessment else [],
        "estimated_impact": assessment.estimated_impact if assessment else None,
        "mitigation_steps": list(assessment.mitigation_steps) if assessment else [],
        "affected_resources": [
            {"kind": one.kind, "name": one.name, "namespace": one.namespace}
            for one in (assessment.affected if assessment else ())
        ],
        "gaps": [_gap(one) for one in overview.gaps],
        "plan": _plan(overview),
        "message": overview.resolution.summary,
    }


def status_view(overview: Overview) -> dict[str, Any]:
    resolution, usage = overview.resolution, overview.usage
    request = resolution.request
    outcome = overview.outcome
    return resolve_view(overview) | {
        "client_id": request.client_id,
        "namespace": request.namespace,
        "action_type": request.action_type.value,
        "action_description": request.action_description,
        "event_id": request.event_id,
        "requested_by": resolution.requested_by.name,
        "created_at": rfc3339(resolution.created_at),
        "updated_at": rfc3339(resolution.updated_at),
        "token_usage": {
            "total_tokens": usage.total_tokens,
            "cost_usd": float(usage.cost_usd),
            "percent_used": usage.percent_used,
            "token_limit": usage.token_limit,
        },
        "snapshot_id": resolution.snapshot_id,
        "execution_result": {
            "success": outcome.is_success,
            "output": outcome.output,
            "commands_executed": list(outcome.commands_executed),
        }
        if outcome
        else None,
        "decision": _decision(_first_question(overview)),
        "approval": _approval(_question(overview)),
        "waiting_for": overview.resolution.waiting_for,
        "cluster": overview.cluster_name,
        "paused": {"by": overview.pause.by.name, "reason": overview.pause.reason} if overview.pause else None,
        "replaces": request.replaces,
        "rollback_approval": _approval(overview.rollback_question),
    }


def pending_view(overview: Overview) -> dict[str, Any]:
    """The status with the question that waits: whether to roll back further, where that is it."""
    question = overview.rollback_question
    told = status_view(overview)
    if question is None:
        return told
    return told | {"approval_id": question.id, "approval": _approval(question), "decision": None}


def approve_view(overview: Overview, approval_id: str) -> dict[str, Any]:
    approval = next(one for one in overview.approvals if one.id == approval_id)
    who = approval.decided_by.name if approval.decided_by else "nobody"
    return {
        "resolution_id": overview.resolution.id,
        "approval_id": approval.id,
        "status": approval.state.value,
        "message": f"{approval.state.value.capitalize()} by {who}.",
    }


def rollback_question_view(question: Approval, snapshot_id: str) -> dict[str, Any]:
    """Nothing was executed: what goes beyond the resolution's own change waits for an answer."""
    return {
        "snapshot_id": snapshot_id,
        "dry_run": False,
        "success": False,
        "commands_executed": 0,
        "results": [],
        "errors": [],
        "status": State.AWAITING_APPROVAL.value,
        "approval_id": question.id,
        "approval": _approval(question),
    }


def rollback_view(report: UndoReport) -> dict[str, Any]:
    done = [step for step in report.steps if step.status == "success"]
    return {
        "snapshot_id": report.snapshot_id,
        "dry_run": report.is_dry_run,
        "success": report.is_success,
        "commands_executed": 0 if report.is_dry_run else len(done),
        "results": [{"command": step.command, "status": step.status, "output": step.sentence} for step in report.steps],
        "errors": list(report.errors),
    }


def interrupt_view(overview: Overview) -> dict[str, Any]:
    resolution = overview.resolution
    return {
        "resolution_id": resolution.id,
        "status": resolution.state.value,
        "message": resolution.summary or "It was asked to stop; look at its status.",
    }


def rfc3339(at: Any) -> str:  # noqa: ANN401  a datetime; named for what it gives
    return str(at.isoformat(timespec="microseconds").replace("+00:00", "Z"))


def _question(overview: Overview) -> Approval | None:
    """The question mid-run that waits now, else the first one."""
    return overview.question or _first_question(overview)


def _first_question(overview: Overview) -> Approval | None:
    """Put to people; what policy approved by itself is none."""
    asked = [one for one in overview.approvals if one.subject is Subject.RESOLUTION and one.decided_by != POLICY]
    return asked[0] if asked else None


def _plan(overview: Overview) -> dict[str, Any] | None:
    """The exact lines people are asked about, or were, newest plan first; None where the permit has rules instead."""
    plans = [_one_plan(one) for one in progress(overview)]
    return plans[-1] | {"earlier": plans[:-1]} if plans else None


def _one_plan(one: Progress) -> dict[str, Any]:
    return {
        "revision": one.permit.revision,
        "approval_id": one.approval.id,
        "steps": [_step(line, state) for line, state in zip(one.permit.lines, one.states, strict=True)],
    }


def _step(line: PermittedLine, state: StepState) -> dict[str, Any]:
    return {
        "command": line.line,
        "risk": line.verdict.value,
        "rule": line.rule,
        "targets": [
            {"kind": one.kind, "name": one.name, "namespace": one.namespace, "uid": one.uid} for one in line.targets
        ],
        "diff": line.diff,
        "check": check_words(line.check),
        "undo": line.undo,
        "state": state.value,
    }


def _decision(approval: Approval | None) -> dict[str, Any] | None:
    if approval is None or approval.state is ApprovalState.PENDING:
        return None
    return {
        "decision": approval.state.value,
        "by": approval.decided_by.name if approval.decided_by else None,
        "at": rfc3339(approval.decided_at) if approval.decided_at else None,
        "reason": approval.reason,
    }


def _approval(approval: Approval | None) -> dict[str, Any] | None:
    if approval is None:
        return None
    return {
        "approval_id": approval.id,
        "state": approval.state.value,
        "digest": approval.permit.digest,
        "asked_at": rfc3339(approval.asked_at),
        "expires_at": rfc3339(approval.deadline),
        "permit": list(approval.permit.sentences()),
        "subject": approval.subject.value,
        "lines": [_line(one) for one in approval.permit.lines],
    }


def _line(line: PermittedLine) -> dict[str, Any]:
    """An exact line with all that an approval of it binds."""
    return {
        "line": redact(line.line),
        "risk_level": line.verdict.value,
        "rule": line.rule,
        "namespace": line.namespace,
        "targets": [
            {"kind": one.kind, "name": one.name, "namespace": one.namespace, "uid": one.uid} for one in line.targets
        ],
        "preconditions": [one.sentence() for one in line.preconditions],
        "files": [{"name": name, "sha256": digest} for name, digest in line.files],
        "undo": line.undo,
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {"source": gap.source, "reason": gap.reason, "off": gap.is_off}
