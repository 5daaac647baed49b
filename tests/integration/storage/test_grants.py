"""What the issuer asks the database, with no more rights in it than the documentation names."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from core.approval import ApprovalState
from core.errors import NotAllowedError, NotFoundError, UnavailableError
from core.history import Happened
from core.resolution import ApprovalId
from storage.database import connected, open_engine
from storage.grants import GrantRecords
from tests.integration.storage.test_store import executing, question

DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"
RIGHTS = (
    "GRANT SELECT ON approval, resolution, history, head TO {role}",
    "GRANT UPDATE ON resolution, head TO {role}",
    "GRANT INSERT ON history TO {role}",
)


@pytest.fixture
async def narrow(store, database_url):
    """Records through a login that may do what docs/security.md says it needs."""
    role = f"issuer_{uuid.uuid4().hex[:8]}"
    async with connected(store.engine) as connection:
        for one in (f"CREATE ROLE {role}", *RIGHTS):
            await connection.execute(text(one.format(role=role)))
    plain = open_engine(database_url)
    engine = create_async_engine(plain.url, connect_args={"server_settings": {"role": role}})
    yield GrantRecords(engine)
    await engine.dispose()
    await plain.dispose()


async def approved(store):
    resolution = await executing(store)
    approval = replace(question(resolution), state=ApprovalState.APPROVED)
    async with store.transaction() as tx:
        await tx.add_approval(approval)
    return resolution, approval


async def test_an_approval_is_claimed_and_its_credential_told_with_a_narrow_login(store, narrow):
    resolution, approval = await approved(store)

    assert (await narrow.claim(approval.id)).refusal() is None
    await narrow.record_issued(approval.id, {"token_id": "t-1"})

    assert "once" in (await narrow.claim(approval.id)).refusal()
    with pytest.raises(NotAllowedError, match="once"):
        await narrow.record_issued(approval.id, {"token_id": "t-2"})
    told = [one.entry for one in await store.entries(resolution.id) if one.entry.what is Happened.GRANT_ISSUED]
    assert [one.facts for one in told] == [{"approval_id": approval.id, "token_id": "t-1"}]
    assert (await store.verify_history()).broken_at is None


async def test_the_narrow_login_decides_nothing(store, narrow):
    _, approval = await approved(store)

    for change in (
        "UPDATE approval SET state = 'approved'",
        "DELETE FROM approval",
        "SELECT 1 FROM snapshot_entry",
        "SELECT 1 FROM api_key",
        "DELETE FROM history",
    ):
        with pytest.raises(UnavailableError, match="does not let the login") as refused:
            async with connected(narrow.engine) as connection:
                await connection.execute(text(change))
        assert "permission denied" in str(refused.value.__cause__)
    assert approval.id


async def test_an_execution_is_over_when_it_ended_lost_its_lease_or_is_to_stop(store, narrow):
    _, approval = await approved(store)
    assert await narrow.over([approval.id]) == set()

    for change in (
        "UPDATE resolution SET lease_until = now() - interval '1 second'",
        "UPDATE resolution SET lease_until = now() + interval '1 hour', interrupt_by = '{}'",
        "UPDATE resolution SET interrupt_by = NULL, state = 'completed'",
    ):
        async with connected(store.engine) as connection:
            await connection.execute(text(change))
        assert await narrow.over([approval.id]) == {approval.id}, change


async def test_a_grant_that_this_database_does_not_know_is_left_alone(narrow):
    assert await narrow.over([ApprovalId(str(uuid.uuid4())), ApprovalId("no-uuid")]) == set()


@pytest.mark.parametrize("unknown", ["504f82be-9fb7-4a6d-80ca-a65636c7d9a3", "no-uuid", "", "' OR true --"])
async def test_an_approval_that_nobody_put_is_not_found(narrow, unknown):
    with pytest.raises(NotFoundError):
        await narrow.claim(ApprovalId(unknown))


def test_the_documentation_names_these_rights():
    told = " ".join(DOCUMENT.read_text(encoding="utf-8").split())

    assert (
        "SELECT on `approval`, `resolution`, `history` and `head`, UPDATE on `resolution` and `head`, "
        "INSERT on `history`" in told
    )
