"""Where keys come from, and who may read them."""

import pytest

from bot.keys import load_key
from core.errors import InvalidInputError


def test_a_key_that_is_made_is_its_owners_alone_and_kept(tmp_path):
    made = load_key("snapshot", given=None, data=tmp_path, may_make=True)

    assert (tmp_path / "keys" / "snapshot").stat().st_mode & 0o777 == 0o600
    assert load_key("snapshot", given=None, data=tmp_path, may_make=False) == made


def test_a_key_that_others_may_read_is_refused(tmp_path):
    load_key("snapshot", given=None, data=tmp_path, may_make=True)
    (tmp_path / "keys" / "snapshot").chmod(0o640)

    with pytest.raises(InvalidInputError, match="chmod 600"):
        load_key("snapshot", given=None, data=tmp_path, may_make=True)
