"""Rows of the resolution and approval tables as values."""

from typing import Any

from sqlalchemy import Row

from core.approval import Approval, ApprovalState, Subject
from core.permit import Permit
from core.resolution import Person, Request, Resolution, State
from storage.codec import from_json, read

RESOLUTION = """
    r.id::text AS id, r.state, r.request::text AS request, r.requested_by::text AS requested_by, r.created_at,
    r.updated_at, r.epoch, r.attempts, r.approval_id::text AS approval_id, r.snapshot_id::text AS snapshot_id,
    r.summary, r.waiting_for, r.interrupt_by::text AS interrupt_by, r.interrupt_reason, r.auto_rollback
"""
APPROVAL = """
    a.id::text AS id, a.resolution_id::text AS resolution_id, a.subject, a.state, a.permit::text AS permit, a.asked_at,
    a.deadline, a.decided_by::text AS decided_by, a.decided_at, a.reason
"""


def resolution_of(row: Row[Any]) -> Resolution:
    return Resolution(
        id=row.id,
        request=read(Request, row.request),
        requested_by=read(Person, row.requested_by),
        state=State(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
        epoch=row.epoch,
        attempts=row.attempts,
        approval_id=row.approval_id,
        snapshot_id=row.snapshot_id,
        summary=row.summary,
        waiting_for=row.waiting_for,
        interrupt_by=from_json(Person, row.interrupt_by),
        interrupt_reason=row.interrupt_reason,
        auto_rollback=row.auto_rollback,
    )


def approval_of(row: Row[Any]) -> Approval:
    return Approval(
        id=row.id,
        resolution_id=row.resolution_id,
        subject=Subject(row.subject),
        state=ApprovalState(row.state),
        permit=read(Permit, row.permit),
        asked_at=row.asked_at,
        deadline=row.deadline,
        decided_by=from_json(Person, row.decided_by),
        decided_at=row.decided_at,
        reason=row.reason,
    )
