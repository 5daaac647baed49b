"""How an end is told."""

import pytest

from core.moving import told_why


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("", "Interrupted by ada. No command had run."),
        ("enough", "Interrupted by ada: enough. No command had run."),
        ("Wrong cluster!", "Interrupted by ada: Wrong cluster! No command had run."),
        ("wrong cluster.", "Interrupted by ada: wrong cluster. No command had run."),
    ],
)
def test_a_persons_reason_is_a_sentence_of_its_own_that_another_may_follow(reason, told):
    assert f"{told_why('Interrupted by ada', reason)} No command had run." == told
