"""Two services on one cluster: what another database knows is nobody's leftover here."""

import uuid

from core.resolution import ApprovalId
from storage.grants import GrantRecords


async def test_a_grant_that_this_database_does_not_know_is_left_alone(store):
    assert await GrantRecords(store.engine).over([ApprovalId(str(uuid.uuid4())), ApprovalId("no-uuid")]) == set()
