"""How far a plan got is told by the commands that were started."""

import pytest

from core.execution import CommandRecord
from core.permit import PermittedLine
from core.plan import Check, StepState, check_words, step_states, told_steps
from core.risk_levels import RiskLevel
from tests.unit.core.examples import NOW, WEB


def line(text):
    return PermittedLine(text, (tuple(text.split()),), RiskLevel.HIGH, "R7", "shop", (WEB,))


def command(text, *, code=0, is_over=True, is_executed=True):
    return CommandRecord(1, text, "HIGH", "R7", "", is_executed, NOW, NOW if is_over else None, code)


PLAN = (line("kubectl scale a"), line("kubectl scale b"), line("kubectl scale a"))


@pytest.mark.parametrize(
    ("commands", "is_over", "states"),
    [
        ([], False, ["waiting", "waiting", "waiting"]),
        ([], True, ["not_run", "not_run", "not_run"]),
        ([command("kubectl get pods"), command("kubectl scale a")], False, ["done", "waiting", "waiting"]),
        (
            [command("kubectl scale a"), command("kubectl scale b", is_over=False)],
            False,
            ["done", "running", "waiting"],
        ),
        (
            [command("kubectl scale a"), command("kubectl scale b", is_over=False)],
            True,
            ["done", "unknown", "not_run"],
        ),
        ([command("kubectl scale a", code=1)], True, ["failed", "not_run", "not_run"]),
        ([command("kubectl scale a", is_executed=False)], True, ["not_run", "not_run", "not_run"]),
        (
            [command("kubectl scale a"), command("kubectl scale b"), command("kubectl scale a")],
            True,
            ["done", "done", "done"],
        ),
    ],
)
def test_each_step_is_as_far_as_its_command(commands, is_over, states):
    assert [one.value for one in step_states(PLAN, commands, is_over=is_over)] == states


def test_which_steps_ran_is_told_in_a_sentence():
    states = (StepState.DONE, StepState.UNKNOWN, StepState.NOT_RUN)

    assert told_steps(PLAN, states) == (
        "Of the approved plan step 1 (kubectl scale a) ran; step 2 (kubectl scale b) was started and is not known to "
        "have ended; step 3 (kubectl scale a) did not run."
    )


def test_checks_are_told_in_words_and_what_is_none_as_it_is():
    assert check_words("healthy") == Check.HEALTHY.sentence
    assert check_words("p99 is low") == "p99 is low"
