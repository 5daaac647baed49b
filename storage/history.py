"""The hash-chained history: appended last in each transaction by one statement, and verified."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.history import Entry, Happened, RecordedEntry
from core.resolution import Person, ResolutionId
from storage.codec import to_text

_APPEND = text("""
WITH o AS (SELECT seq, hash FROM head WHERE id = 1 FOR UPDATE),
     n AS (SELECT seq + 1 AS s, hash AS p,
                  sha256(convert_to(
                      (seq + 1)::text || '|' || encode(hash, 'hex') || '|' || CAST(:body AS text), 'UTF8'
                  )) AS h FROM o),
     u AS (UPDATE head SET seq = n.s, hash = n.h FROM n WHERE id = 1)
INSERT INTO history (seq, at, resolution_id, body, prev, hash)
SELECT s, CAST(:at AS timestamptz), CAST(:resolution_id AS uuid), CAST(:body AS text), p, h FROM n RETURNING seq
""")


async def append(connection: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Appends in order. Locks the resolutions first, so that the head is the last lock of the transaction."""
    ids = sorted({entry.resolution_id for entry in entries if entry.resolution_id is not None})
    for one in ids:
        await connection.execute(text("SELECT 1 FROM resolution WHERE id = CAST(:id AS uuid) FOR UPDATE"), {"id": one})
    at = await connection.scalar(text("SELECT clock_timestamp()"))
    if at is None:
        return
    newest: dict[str, int] = {}
    for entry in entries:
        body = to_text(
            {
                "at": at.isoformat(),
                "what": entry.what.value,
                "resolution_id": entry.resolution_id,
                "by": None if entry.by is None else {"id": entry.by.id, "name": entry.by.name},
                "facts": dict(entry.facts),
            }
        )
        seq = await connection.scalar(_APPEND, {"body": body, "at": at, "resolution_id": entry.resolution_id})
        if entry.resolution_id is not None and seq is not None:
            newest[entry.resolution_id] = seq
    for owner, seq in newest.items():
        update = text("UPDATE resolution SET history_seq = :seq, updated_at = :at WHERE id = CAST(:id AS uuid)")
        await connection.execute(update, {"seq": seq, "at": at, "id": owner})


async def entries_of(connection: AsyncConnection, resolution_id: str, *, after_seq: int) -> list[RecordedEntry]:
    rows = await connection.execute(
        text(
            "SELECT seq, at, facts FROM history WHERE resolution_id = CAST(:id AS uuid) AND seq > :after ORDER BY seq"
        ),
        {"id": resolution_id, "after": after_seq},
    )
    return [RecordedEntry(row.seq, row.at, _entry(row.facts)) for row in rows]


def _entry(body: dict[str, object]) -> Entry:
    by, facts, owner = body["by"], body["facts"], body["resolution_id"]
    return Entry(
        Happened(body["what"]),
        ResolutionId(owner) if isinstance(owner, str) else None,
        Person(str(by["id"]), str(by["name"])) if isinstance(by, dict) else None,
        facts if isinstance(facts, dict) else {},
    )


@dataclass(frozen=True, slots=True)
class Verification:
    """`broken_at` is the number of the first entry that does not fit, None when the chain holds."""

    entries: int
    broken_at: int | None


async def verify(connection: AsyncConnection) -> Verification:
    """Recomputes the chain from its start; a cut tail shows against the head row."""
    previous, count = hashlib.sha256(b"ir-history-v1").digest(), 0
    rows = await connection.stream(text("SELECT seq, body, prev, hash FROM history ORDER BY seq"))
    async for row in rows:
        count += 1
        expected = hashlib.sha256(f"{count}|{previous.hex()}|{row.body}".encode()).digest()
        if row.seq != count or row.prev != previous or row.hash != expected:
            return Verification(count, count)
        previous = row.hash
    head = (await connection.execute(text("SELECT seq, hash FROM head WHERE id = 1"))).one()
    is_whole = head.seq == count and head.hash == previous
    return Verification(count, None if is_whole else count + 1)
