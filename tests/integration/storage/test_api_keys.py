"""API keys: one valid key a name, and a new one once that is revoked."""

import pytest

from core.actor import Right
from core.errors import InvalidInputError
from storage.api_keys import ApiKeys


async def test_a_name_has_one_valid_key_and_a_new_one_after_it_was_revoked(store):
    keys = ApiKeys(store.engine)
    first = await keys.create("pager", frozenset({Right.VIEW}))
    with pytest.raises(InvalidInputError, match="revoke it first"):
        await keys.create("pager", frozenset({Right.APPROVE}))
    assert await keys.find(first) == ("pager", frozenset({Right.VIEW}))

    await keys.revoke("pager")
    second = await keys.create("pager", frozenset({Right.REQUEST}))

    assert await keys.find(first) is None
    assert await keys.find(second) == ("pager", frozenset({Right.REQUEST}))
    assert [(one.name, one.revoked_at) for one in await keys.all()] == [("pager", None)]
