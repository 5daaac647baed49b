"""The gated toolbox: LOW runs, what is covered runs, everything else is refused and recorded."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands.gate import judge
from core.effects import Change
from core.errors import UnavailableError
from core.history import Happened
from core.permit import PermitRule
from core.ports import CommandResult
from core.risk_levels import RiskLevel
from tests.unit.core.benches import BOTH, DELETE, Failing, bench, cluster_of
from tests.unit.core.commands.test_gate_properties import LINES
from tests.unit.core.examples import WEB

# --- reads -------------------------------------------------------------------------------------------------------


async def test_a_low_line_runs_without_a_snapshot_and_is_recorded_with_its_output():
    at = bench()
    at.cluster.effects["kubectl get pods"] = lambda: "web-1 Running"

    answer = await at.toolbox.bash("kubectl get pods")

    assert (answer.text, answer.is_error) == ("web-1 Running", False)
    assert at.cluster.ran == at.toolbox.executed == ["kubectl get pods"]
    assert (at.records.entries, at.toolbox.has_changed) == ({}, False)
    row = at.records.commands[1]
    assert (row.verdict, row.rule, row.is_executed, row.exit_code, row.output) == (
        "LOW",
        "R3",
        True,
        0,
        "web-1 Running",
    )


async def test_a_permit_without_rules_lets_reads_run():
    at = bench(replace(BOTH, rules=()))

    assert not (await at.toolbox.bash("kubectl describe pod web-1")).is_error


async def test_secrets_in_an_output_reach_neither_the_agent_nor_the_record():
    at = bench()
    at.cluster.effects["kubectl get pods"] = lambda: "DB_PASSWORD: hunter2"

    answer = await at.toolbox.bash("kubectl get pods")

    assert answer.text == at.records.commands[1].output == "DB_PASSWORD: [redacted]"


async def test_a_line_that_prints_nothing_is_answered_with_words():
    at = bench()
    at.cluster.effects["kubectl get pods"] = lambda: ""

    assert (await at.toolbox.bash("kubectl get pods")).text == "(no output)"


@pytest.mark.parametrize(
    ("result", "words", "exit_code"),
    [
        (CommandResult(1, "Error from server (NotFound)"), "Error from server (NotFound)\n(exit code 1)", 1),
        (CommandResult(None, "partly"), "partly\n(stopped: it took too long)", None),
        (UnavailableError("kubectl cannot be started."), "kubectl cannot be started.", None),
    ],
)
async def test_a_command_that_fails_is_an_answer_and_is_recorded_as_run(result, words, exit_code):
    at = bench(cluster=cluster_of(kind=Failing))
    at.cluster.result = result

    answer = await at.toolbox.bash("kubectl get pods")

    assert answer.is_error
    assert words in answer.text
    assert (at.records.commands[1].is_executed, at.records.commands[1].exit_code) == (True, exit_code)


# --- refusals ----------------------------------------------------------------------------------------------------


async def test_a_denied_line_is_refused_with_the_gates_reason_recorded_and_never_run():
    at = bench()

    answer = await at.toolbox.bash("kubectl edit deploy/web")

    assert answer.is_error
    assert answer.text.startswith("Refused, nothing was run. ")
    assert judge("kubectl edit deploy/web", "shop").reason in answer.text
    assert (at.cluster.ran, at.toolbox.executed) == ([], [])
    row = at.records.commands[1]
    assert (row.verdict, row.rule, row.is_executed, row.ended_at) == ("DENY", "R5", False, None)


@pytest.mark.parametrize(
    "line",
    [
        "kubectl delete pod web-2",
        "kubectl delete pod web-1 -n pay",
        "kubectl rollout undo deploy/web",
        "kubectl scale deploy/web --replicas=2",
        "kubectl set image deploy/web web=nginx:1",
        "kubectl rollout restart deploy/web -n kube-system",
    ],
)
async def test_a_change_the_permit_does_not_cover_is_refused_with_what_it_allows(line):
    at = bench()

    answer = await at.toolbox.bash(line)

    assert answer.is_error
    assert "not covered by the approval" in answer.text
    assert "delete Pod shop/web-1" in answer.text
    assert (at.cluster.ran, at.records.entries, at.toolbox.has_changed) == ([], {}, False)
    assert (at.records.commands[1].is_executed, len(at.records.commands)) == (False, 1)


async def test_what_is_recorded_of_a_line_holds_no_secret_and_has_an_end():
    at = bench()
    await at.toolbox.bash("mysql --password=hunter2 " + "x" * 9_000)

    line = at.records.commands[1].line
    assert "hunter2" not in line
    assert len(line) <= 2_000


@given(st.sampled_from(LINES), st.sampled_from([(), BOTH.rules, (PermitRule(Change.SCALE, WEB, replicas=(1, 4)),)]))
async def test_nothing_runs_but_reads_and_what_the_permit_covers(line, rules):
    permit = replace(BOTH, rules=rules)
    judged = judge(line, "shop")
    at = bench(permit)

    answer = await at.toolbox.bash(line)

    may_run = judged.risk is RiskLevel.LOW or permit.covers(judged.effects)
    assert bool(at.cluster.ran) == may_run == (not answer.is_error)
    assert at.toolbox.has_changed == (may_run and bool(judged.effects))
    assert [row.is_executed for row in at.records.commands.values()] == [may_run]


# --- words and verdicts ------------------------------------------------------------------------------------------


async def test_what_the_agent_says_goes_to_history_without_secrets_and_with_an_end():
    at = bench()
    await at.toolbox.said("the password: hunter2 is wrong " + "x" * 9_000)

    entry = at.records.history[0]
    assert (entry.what, entry.resolution_id) == (Happened.AGENT_SAID, "r-1")
    assert entry.facts["text"].startswith("the password: [redacted] is wrong")
    assert len(entry.facts["text"]) == 4_000


def test_the_hook_and_the_toolbox_ask_the_same_gate():
    assert bench().toolbox.judge(DELETE) == judge(DELETE, "shop")
