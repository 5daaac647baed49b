"""The scripted model reads its briefing: any workload in any namespace, only what the permit names, and no lies."""

from datetime import UTC, datetime

import pytest

from bot.demo.model.scripts import demo_script
from core.agent.prompts import framed_prompt
from core.effects import Change
from core.findings import IncidentContext
from core.permit import Permit, PermitRule
from core.resolution import ActionType, Request
from core.resources import Resource, Workload
from core.risk_levels import RiskLevel
from core.workspace import context_text

LISTING = """\
NAME           READY   STATUS             RESTARTS   AGE
ledger-0       0/1     CrashLoopBackOff   7          9m
other-x-1      0/1     CrashLoopBackOff   7          9m
ledger-1       1/1     Running            0          9m"""
REFUSED = "Refused, nothing was run. Judged HIGH (R7) and not covered by the approval."


def conversation(action: ActionType, *rules: PermitRule, kind: str = "StatefulSet", asked: str = "it is broken") -> str:
    request = Request("me", "vault", action, asked)
    permit = Permit(action, "c", "vault", rules, RiskLevel.HIGH, 100_000, datetime(2026, 3, 1, tzinfo=UTC))
    target = Workload(Resource(kind, "ledger", "vault"), desired_replicas=2, ready_replicas=1, pods=())
    return framed_prompt(context_text(request, IncidentContext(affected=(target,)), permit))


def play(prompt: str, answers: dict[str, str]) -> tuple[list[str], str]:
    """The lines the model runs and its last words; `answers` by a piece of the line, REFUSED counts as an error."""
    messages = [{"role": "user", "content": prompt}]
    lines: list[str] = []
    while True:
        turn = demo_script({"messages": messages})
        if not turn.tools:
            return lines, turn.text
        line = turn.tools[0][1]["command"]
        lines.append(line)
        text = next((answer for piece, answer in answers.items() if piece in line), "(no output)")
        result = {"type": "tool_result", "content": [{"type": "text", "text": text}], "is_error": text == REFUSED}
        messages.append({"role": "user", "content": [result]})


def workload(kind: str) -> Resource:
    return Resource(kind, "ledger", "vault")


def changes(lines: list[str]) -> list[str]:
    return [one for one in lines if any(word in one for word in (" delete ", " restart ", " undo ", " scale "))]


def test_only_failing_pods_that_the_permit_names_are_deleted():
    rules = (
        PermitRule(Change.DELETE_POD, Resource("Pod", "ledger-0", "vault")),
        PermitRule(Change.RESTART, workload("StatefulSet")),
    )
    lines, told = play(conversation(ActionType.POD_RESTART, *rules), {"get pods": LISTING})
    assert changes(lines) == ["kubectl delete pod ledger-0 -n vault"]
    assert "ledger-0 kept failing and was deleted" in told


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_a_healthy_workload_that_is_to_be_restarted_is_restarted(kind):
    prompt = conversation(ActionType.POD_RESTART, PermitRule(Change.RESTART, workload(kind)), kind=kind)
    lines, told = play(prompt, {"get pods": "NAME READY STATUS\nledger-1  1/1  Running  0  9m"})
    assert changes(lines) == [f"kubectl rollout restart {kind.lower()}/ledger -n vault"]
    assert "restarted ledger" in told


def test_a_bare_pod_is_deleted_as_asked():
    prompt = conversation(
        ActionType.POD_RESTART, PermitRule(Change.DELETE_POD, Resource("Pod", "solo", "vault")), kind="Pod"
    )
    lines, _ = play(prompt, {"get pods": "solo  1/1  Running  0  9m"})
    assert changes(lines) == ["kubectl delete pod solo -n vault"]


def test_pods_that_have_recovered_since_are_left_alone():
    rules = (
        PermitRule(Change.DELETE_POD, Resource("Pod", "ledger-0", "vault")),
        PermitRule(Change.RESTART, workload("StatefulSet")),
    )
    lines, told = play(conversation(ActionType.POD_RESTART, *rules), {"get pods": "ledger-0  1/1  Running  0  9m"})
    assert changes(lines) == []
    assert "nothing was changed" in told


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_a_workload_of_any_kind_is_rolled_back(kind):
    prompt = conversation(ActionType.CONFIG_FIX, PermitRule(Change.UNDO, workload(kind)), kind=kind)
    lines, told = play(prompt, {})
    assert changes(lines) == [f"kubectl rollout undo {kind.lower()}/ledger -n vault"]
    assert "rolled it back" in told


def test_without_an_earlier_revision_nothing_is_tried_and_it_is_said():
    lines, told = play(conversation(ActionType.CONFIG_FIX, PermitRule(Change.RESTART, workload("Deployment"))), {})
    assert changes(lines) == []
    assert "no earlier revision" in told


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("needs more capacity", 4),
        ("scale to 3", 3),
        ("give it 3 replicas", 3),
        ("needs 3 replicas, please", 3),
        ("2 pods are not enough, latency went up to 3 s", 4),
        ("down to 1", 1),
        ("scale it to 50", 6),
        ("scale it to 0", 1),
    ],
)
def test_it_scales_to_what_was_asked_for_inside_the_bounds(asked, count):
    rule = PermitRule(Change.SCALE, workload("StatefulSet"), replicas=(1, 6))
    lines, told = play(conversation(ActionType.RESOURCE_SCALE, rule, asked=asked), {})
    assert changes(lines) == [f"kubectl scale statefulset/ledger --replicas={count} -n vault"]
    assert f"has {count} now" in told


@pytest.mark.parametrize(
    ("action", "rule"),
    [
        (ActionType.RESOURCE_SCALE, PermitRule(Change.SCALE, workload("StatefulSet"), replicas=(1, 6))),
        (ActionType.CONFIG_FIX, PermitRule(Change.UNDO, workload("StatefulSet"))),
        (ActionType.POD_RESTART, PermitRule(Change.RESTART, workload("StatefulSet"))),
    ],
)
def test_what_was_refused_is_not_told_as_done(action, rule):
    _, told = play(conversation(action, rule), {" scale ": REFUSED, " undo ": REFUSED, " restart ": REFUSED})
    assert told.startswith("I could not do what was asked: kubectl ")


def test_an_investigation_names_the_first_warning_or_the_failing_pod_or_that_there_is_none():
    events = (
        "LAST SEEN   TYPE   REASON   OBJECT   MESSAGE\n1s   Warning   SlowVolume   statefulset/db   disk nearly full"
    )
    _, told = play(conversation(ActionType.INVESTIGATION), {"get events": events})
    assert told.startswith("Most likely cause: statefulset/db reports SlowVolume: disk nearly full.")
    lines, told = play(conversation(ActionType.INVESTIGATION), {"get pods": LISTING, "logs": "a\nFATAL no key"})
    assert "kubectl logs ledger-0 -n vault --tail=20" in lines
    assert "FATAL no key" in told
    _, told = play(conversation(ActionType.INVESTIGATION), {})
    assert "no event warns" in told


def proposal(prompt: str, answers: dict[str, str]) -> list[str]:
    """The lines that a planning agent proposes, after its looks; none where it plans nothing."""
    messages = [{"role": "user", "content": prompt}]
    for _ in range(6):
        turn = demo_script({"messages": messages, "tools": [{"name": "mcp__resolver__propose"}]})
        if not turn.tools:
            return []
        ((name, given),) = turn.tools
        if name == "mcp__resolver__propose":
            return [one["command"] for one in given["steps"]]
        assert changes([given["command"]]) == []
        text = next((answer for piece, answer in answers.items() if piece in given["command"]), "(no output)")
        messages.append({"role": "user", "content": [{"type": "tool_result", "content": text}]})
    raise AssertionError("the planning agent never comes to an end")


@pytest.mark.parametrize(
    ("action", "rules", "lines"),
    [
        (
            ActionType.POD_RESTART,
            [PermitRule(Change.DELETE_POD, Resource("Pod", "ledger-0", "vault"))],
            ["kubectl delete pod ledger-0 -n vault"],
        ),
        (
            ActionType.POD_RESTART,
            [PermitRule(Change.RESTART, workload("StatefulSet"))],
            ["kubectl rollout restart statefulset/ledger -n vault"],
        ),
        (
            ActionType.CONFIG_FIX,
            [PermitRule(Change.UNDO, workload("StatefulSet"))],
            ["kubectl rollout undo statefulset/ledger -n vault"],
        ),
        (ActionType.CONFIG_FIX, [PermitRule(Change.RESTART, workload("StatefulSet"))], []),
        (
            ActionType.RESOURCE_SCALE,
            [PermitRule(Change.SCALE, workload("StatefulSet"), replicas=(1, 6))],
            ["kubectl scale statefulset/ledger --replicas=4 -n vault"],
        ),
        (ActionType.RESOURCE_SCALE, [], []),
    ],
)
def test_a_planning_agent_looks_first_and_proposes_what_may_be_done(action, rules, lines):
    assert proposal(conversation(action, *rules), {"get pods": LISTING}) == lines


def test_what_the_cli_adds_to_a_result_is_not_taken_for_the_last_line_of_a_log():
    log = "ERROR cache is full\n\n<system-reminder>\nKeep a list of tasks.\n</system-reminder>"
    _, told = play(conversation(ActionType.INVESTIGATION), {"get pods": LISTING, "logs": log})
    assert "Its last line: ERROR cache is full I would look there first." in told
