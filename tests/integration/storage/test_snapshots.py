"""Snapshots over time on a real PostgreSQL: sealed anew with another key, swept away, refused where altered."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from core.effects import Change
from core.errors import RollbackFailedError, StaleError
from core.history import Entry, Happened
from core.resolution import ActionType, Person, Request, Resolution, ResolutionId, State
from core.resources import Resource
from core.snapshot import SnapshotEntry
from storage.sealing import Sealer
from storage.snapshots import reseal, sweep
from storage.store import PostgresStorage, open_storage
from tests.postgres import SNAPSHOT_KEY

ADA = Person("slack:T1/U1", "Ada")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEW_KEY = bytes(reversed(range(32)))
KEYS = Resource("Secret", "keys", "shop", "v1", "uid-1")
BEFORE = {"kind": "Secret", "metadata": {"name": "keys"}, "data": {"password": "aHVudGVyMg=="}}
AFTER = {**BEFORE, "data": {"password": "bmV3"}}


async def executing(store: PostgresStorage) -> Resolution:
    request = Request("a-client", "shop", ActionType.CONFIG_FIX, "set the password")
    made = Resolution(ResolutionId(str(uuid.uuid4())), request, ADA, State.GATHERING, NOW, NOW)
    async with store.transaction() as tx:
        await tx.add_resolution(made, dedupe_key=None)
        await tx.append(Entry(Happened.REQUESTED, made.id, ADA))
    held = next(one for one in await store.claim("w", limit=9) if one.id == made.id)
    for origin, to in ((State.GATHERING, State.APPROVED), (State.APPROVED, State.EXECUTING)):
        async with store.transaction() as tx:
            assert await tx.move(replace(held, state=origin), to=to, because=Entry(Happened.APPROVED, held.id))
    return replace(held, state=State.EXECUTING)


async def change(store: PostgresStorage, running: Resolution, *, seq: int = 1, target: Resource = KEYS):
    entry = SnapshotEntry(seq, target, Change.SET_IMAGE, BEFORE)
    snapshot_id = await store.add_snapshot_entries(running, [entry])
    await store.update_snapshot_entries(snapshot_id, [replace(entry, after=AFTER, is_after_read=True, state="done")])
    return snapshot_id


async def end(store: PostgresStorage, running: Resolution) -> None:
    async with store.transaction() as tx:
        assert await tx.move(running, to=State.FAILED, because=Entry(Happened.FAILED, running.id))


async def test_a_renewed_key_opens_every_snapshot_and_the_former_one_none(store, database_url):
    running = await executing(store)
    snapshot_id = await change(store, running)
    await change(store, running, seq=2)

    count = await reseal(store.engine, Sealer(NEW_KEY, older=(SNAPSHOT_KEY,)))

    assert count == 2
    assert await reseal(store.engine, Sealer(NEW_KEY, older=(SNAPSHOT_KEY,))) == 0
    async with open_storage(database_url, snapshot_key=NEW_KEY) as renewed:
        snapshot = await renewed.snapshot(snapshot_id)
    assert [(entry.before, entry.after) for entry in snapshot.entries] == [(BEFORE, AFTER)] * 2
    with pytest.raises(RollbackFailedError, match="another key"):
        await store.snapshot(snapshot_id)


async def test_an_altered_snapshot_is_not_renewed(store):
    await change(store, await executing(store))
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE snapshot_entry SET before = before || '\\x00'::bytea"))

    with pytest.raises(RollbackFailedError, match="altered"):
        await reseal(store.engine, Sealer(NEW_KEY, older=(SNAPSHOT_KEY,)))


async def test_only_snapshots_of_what_ended_long_ago_are_swept_and_their_history_stays(store):
    old, recent, open_still = [await executing(store) for _ in range(3)]
    for number, running in enumerate((old, recent, open_still)):
        await change(store, running, target=replace(KEYS, name=f"keys-{number}"))
    for running in (old, recent):
        await end(store, running)
    async with store.engine.begin() as connection:
        long_ago = "UPDATE resolution SET updated_at = now() - interval '91 days' WHERE id <> CAST(:id AS uuid)"
        await connection.execute(text(long_ago), {"id": recent.id})

    assert await sweep(store.engine, days=90) == 1

    kept = [(await store.overview(one.id)).resolution.snapshot_id is not None for one in (old, recent, open_still)]
    assert kept == [False, True, True]
    assert await store.entries(old.id)
    assert await sweep(store.engine, days=90) == 0


async def test_two_resolutions_at_work_never_change_one_object(store):
    first, second = [await executing(store) for _ in range(2)]
    await change(store, first)

    with pytest.raises(StaleError, match=f"Resolution {first.id} is at work on Secret shop/keys"):
        await change(store, second)

    await end(store, first)
    assert await change(store, second)
