"""What the issuer asks the database: approvals with all that decides whether a credential may be issued for them."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.errors import NotAllowedError, NotFoundError
from core.grants import Claim
from core.history import Entry, Happened
from core.resolution import ApprovalId, State
from storage import history
from storage.database import CHANNEL, connected
from storage.rows import APPROVAL, approval_of

_CLAIM = f"""
SELECT {APPROVAL}, a.digest, r.state AS resolution_state, r.lease_until > now() AS is_held,
       r.interrupt_by IS NOT NULL AS is_stopping, clock_timestamp() AS now,
       EXISTS (SELECT 1 FROM history h WHERE h.resolution_id = a.resolution_id AND h.facts ->> 'what' = :issued
                      AND h.facts -> 'facts' ->> 'approval_id' = a.id::text) AS is_used
FROM approval a JOIN resolution r ON r.id = a.resolution_id
WHERE a.id = CAST(:id AS uuid)
"""


@dataclass(frozen=True, slots=True)
class GrantRecords:
    """Reads approvals and appends to history; decides nothing."""

    engine: AsyncEngine

    async def claim(self, approval_id: ApprovalId) -> Claim:
        """NotFoundError where there is no such approval."""
        _uuid(approval_id)
        async with connected(self.engine) as connection:
            return await _claim(connection, approval_id)

    async def record_issued(self, approval_id: ApprovalId, facts: dict[str, object]) -> None:
        """The approval's one credential, told before it is handed out; NotAllowedError where it may not be any more.

        Holds the resolution's row, so that of two that ask at once one is refused.
        """
        async with connected(self.engine) as connection:
            await connection.execute(
                text(
                    "SELECT 1 FROM resolution r JOIN approval a ON a.resolution_id = r.id"
                    " WHERE a.id = CAST(:id AS uuid) FOR UPDATE OF r"
                ),
                {"id": _uuid(approval_id)},
            )
            claim = await _claim(connection, approval_id)
            if refusal := claim.refusal():
                raise NotAllowedError(refusal)
            await _append(connection, Happened.GRANT_ISSUED, claim, facts)

    async def record(self, what: Happened, approval_id: ApprovalId, facts: dict[str, object]) -> None:
        async with connected(self.engine) as connection:
            await _append(connection, what, await _claim(connection, approval_id), facts)

    async def over(self, approval_ids: Collection[ApprovalId]) -> set[ApprovalId]:
        """Those of them whose execution has ended or has no living worker.

        What this database does not know is left alone: another service may use the same cluster.
        """
        async with connected(self.engine) as connection:
            found = await connection.execute(
                text(
                    "SELECT a.id::text FROM approval a JOIN resolution r ON r.id = a.resolution_id"
                    " WHERE a.id::text = ANY(:ids) AND NOT coalesce(r.state = 'executing' AND r.lease_until > now()"
                    " AND r.interrupt_by IS NULL, false)"
                ),
                {"ids": list(approval_ids)},
            )
            return {ApprovalId(one) for one in found.scalars()}


async def _claim(connection: AsyncConnection, approval_id: ApprovalId) -> Claim:
    values = {"id": _uuid(approval_id), "issued": Happened.GRANT_ISSUED.value}
    row: Any = (await connection.execute(text(_CLAIM), values)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no approval {approval_id}.")
    return Claim(
        approval=approval_of(row),
        digest=row.digest,
        is_used=row.is_used,
        state=State(row.resolution_state),
        is_held=bool(row.is_held),
        is_stopping=row.is_stopping,
        now=row.now,
    )


async def _append(connection: AsyncConnection, what: Happened, claim: Claim, facts: dict[str, object]) -> None:
    owner = claim.approval.resolution_id
    whole = {"approval_id": claim.approval.id, **facts}
    await history.append(connection, [Entry(what, owner, None, whole)])
    await connection.execute(text("SELECT pg_notify(:channel, :id)"), {"channel": CHANNEL, "id": owner})


def _uuid(approval_id: ApprovalId) -> str:
    """NotFoundError for what cannot be an approval's id."""
    try:
        return str(uuid.UUID(approval_id))
    except ValueError as error:
        raise NotFoundError("There is no such approval.") from error
