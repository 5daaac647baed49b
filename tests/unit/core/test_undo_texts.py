"""What an undo says to people holds no secret."""

import pytest

from core import undo_texts
from core.resources import Resource
from core.undo_rules import Clash

WEB = Resource("ConfigMap", "web", "shop")


@pytest.mark.parametrize(
    "field", ["data.password", "spec.template.spec.containers[web].env[DB_PASSWORD].value", "data.api-key"]
)
def test_a_conflict_about_a_secret_names_the_field_and_no_value(field):
    told = undo_texts.conflict(WEB, [Clash(field, "hunter2pw", "hunter3pw")], live={}, scaler=None)

    assert field in told
    assert "hunter" not in told


def test_a_conflict_about_anything_else_shows_both_values():
    told = undo_texts.conflict(WEB, [Clash("data.level", "info", "debug")], live={}, scaler=None)

    assert "data.level (ours info, now debug)" in told


def test_a_value_that_is_a_token_goes_whatever_the_field_is_called():
    token = "gh" + "p_" + "a1B2" * 9
    told = undo_texts.conflict(
        WEB, [Clash("data.level", {"name": "TOKEN", "value": "hunter2pw"}, token)], live={}, scaler=None
    )

    assert "hunter" not in told
    assert token not in told
