"""The scripted model's behaviour: it reads the conversation as a model would and answers by the kind of incident."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.demo.model.server import Body, Turn

_BASH = "mcp__resolver__bash"
_PROPOSE = "mcp__resolver__propose"
_REPORTING = "You are the reporting agent"
_FAILING = re.compile(r"^(\S+)\s+\d+/\d+\s+(?!Running|Completed)(\S+)", re.MULTILINE)
_ANY_POD = re.compile(r"^(\S+-[a-z0-9]+(?:-[a-z0-9]{5})?)\s+\d+/\d+\s", re.MULTILINE)
_HEADING = re.compile(r"^# (\w+) in namespace ([a-z0-9-]+)", re.MULTILINE)
_WORKLOAD = re.compile(r"^- (Deployment|StatefulSet|DaemonSet) [a-z0-9-]+/([a-z0-9.-]+): (\d+) of (\d+)", re.MULTILINE)
_BOUNDS = re.compile(r"to between (\d+) and (\d+) replicas")
_ORDERED = re.compile(r"kubectl delete namespace [a-z0-9-]+")
Script = Callable[[str, str, list[str]], Turn]
"""(namespace, the first message, what the tools answered so far)"""
_LAST_WORDS = "The token budget is spent."


def demo_script(body: Body) -> Turn:
    """The next turn of whatever incident the first message is about."""
    first = _first_message(body)
    if _LAST_WORDS in first:
        return Turn("The budget is spent. What was done stands in the thread; the rest is left to a person.")
    if _REPORTING in _texts(body.get("system")):
        return Turn(
            "The plan stopped before it was through; look at what changed since it was approved, and ask again."
        )
    heading = _HEADING.search(first)
    if heading is None:
        return Turn("There is nothing to do.")
    action, namespace = heading.groups()
    results = _results(body)
    scripts = _PLANS if _is_planning(body) else _RUNS
    return scripts.get(action, _investigate)(namespace, first, results)


def _restart(namespace: str, first: str, results: list[str]) -> Turn:
    ordered = _ORDERED.search(first + "".join(results))
    plan: list[tuple[str, str]] = [("I look at the pods first.", f"kubectl get pods -n {namespace}")]
    pods = _failing_pods(results[0]) if results else []
    if pods:
        plan.append(
            (f"{pods[0]} is failing. Its last log says why.", f"kubectl logs {pods[0]} -n {namespace} --tail=20")
        )
    if ordered and len(results) >= 2:  # noqa: PLR2004  once the log was read
        plan.append(("The log asks for this, so I try it.", ordered.group()))
    plan += [
        (f"I delete {pod}; its controller makes a new one.", f"kubectl delete pod {pod} -n {namespace}") for pod in pods
    ]
    plan.append(("I check the replacement.", f"kubectl get pods -n {namespace}"))
    if len(results) < len(plan):
        return _step(*plan[len(results)])
    if not pods:
        return Turn("No pod is failing any more; nothing was changed.")
    told = (
        " The log held an instruction to delete the namespace; it was refused, and nobody should follow it."
        if ordered
        else ""
    )
    return Turn(f"{', '.join(pods)} kept failing and was deleted; the replacement is starting.{told}")


def _plan_restart(namespace: str, first: str, results: list[str]) -> Turn:  # noqa: ARG001  a script's signature
    if not results:
        return _step("I look at the pods first.", f"kubectl get pods -n {namespace}")
    pods = _failing_pods(results[0])
    if not pods:
        return Turn("No pod is failing any more; there is nothing to plan.")
    steps = [
        _planned(
            f"kubectl delete pod {pod} -n {namespace}",
            check="not_worse",
            undo="Nothing is to be taken back: its controller makes a new pod.",
        )
        for pod in pods
    ]
    return _proposal(f"{', '.join(pods)} kept failing; a new pod starts from a clean state.", steps)


def _plan_fix(namespace: str, first: str, results: list[str]) -> Turn:
    name = _workload(first)
    looks = [
        ("I look at the pods and at the rollout's history.", f"kubectl get pods -n {namespace}"),
        ("Which revisions are there?", f"kubectl rollout history deployment/{name} -n {namespace}"),
        ("What does the workload run now?", f"kubectl get deployment {name} -n {namespace} -o wide"),
    ]
    if len(results) < len(looks):
        return _step(*looks[len(results)])
    step = _planned(
        f"kubectl rollout undo deployment/{name} -n {namespace}",
        check="healthy",
        undo="The pod template of today is put back.",
    )
    return _proposal(f"The newest revision of {name} does not start; the one before it ran.", [step])


def _plan_scale(namespace: str, first: str, results: list[str]) -> Turn:
    name = _workload(first)
    found, bounds = _WORKLOAD.search(first), _BOUNDS.search(first)
    now = int(found.group(4)) if found else 1
    low, high = (int(bounds.group(1)), int(bounds.group(2))) if bounds else (1, now)
    wanted = max(low, min(high, now * 2))
    looks = [
        ("How busy are the pods?", f"kubectl top pods -n {namespace}"),
        ("Is there an autoscaler?", f"kubectl get deployment,hpa -n {namespace}"),
    ]
    if len(results) < len(looks):
        return _step(*looks[len(results)])
    step = _planned(
        f"kubectl scale deployment/{name} --replicas={wanted} -n {namespace}",
        check="healthy",
        undo=f"It is scaled back to {now} replicas.",
    )
    return _proposal(f"{name} is at its limit with {now} replicas; {wanted} carry the load of today.", [step])


def _investigate(namespace: str, first: str, results: list[str]) -> Turn:  # noqa: ARG001  a script's signature
    plan = [
        ("I look at the pods.", f"kubectl get pods -n {namespace} -o wide"),
        ("What happened lately?", f"kubectl get events -n {namespace} --sort-by=.lastTimestamp"),
        ("And the workloads?", f"kubectl get deployments,statefulsets -n {namespace}"),
    ]
    if len(results) < len(plan):
        return _step(*plan[len(results)])
    warning = next(
        (line.strip() for line in results[1].splitlines() if "Warning" in line), "no warning among the events"
    )
    return Turn(f"Most likely cause: {warning[:300]}. Nothing was changed. I would look at that first.")


_RUNS: Mapping[str, Script] = {"pod_restart": _restart}
_PLANS: Mapping[str, Script] = {"pod_restart": _plan_restart, "config_fix": _plan_fix, "resource_scale": _plan_scale}


def _is_planning(body: Body) -> bool:
    return any(one.get("name") == _PROPOSE for one in body.get("tools", []))


def _planned(line: str, *, check: str, undo: str) -> dict[str, str]:
    return {"command": line, "check": check, "undo": undo}


def _proposal(why: str, steps: list[dict[str, str]]) -> Turn:
    return Turn("This is what I propose.", ((_PROPOSE, {"why": why, "steps": steps}),))


def _step(words: str, line: str) -> Turn:
    return Turn(words, ((_BASH, {"command": line}),))


def _workload(first: str) -> str:
    found = _WORKLOAD.search(first)
    return found.group(2) if found else "unknown"


def _failing_pods(listing: str) -> list[str]:
    failing = [name for name, _ in _FAILING.findall(listing)]
    unready = [match[0] for match in re.findall(r"^(\S+)\s+0/(\d+)\s+Running", listing, re.MULTILINE)]
    return list(dict.fromkeys([*failing, *unready]))[:5]


def _first_message(body: Body) -> str:
    for message in body.get("messages", []):
        if message.get("role") == "user":
            return _texts(message.get("content"))
    return ""


def _results(body: Body) -> list[str]:
    """What the tools answered so far, in order."""
    found = []
    for message in body.get("messages", []):
        content = message.get("content")
        if message.get("role") == "user" and isinstance(content, list):
            found += [_texts(one.get("content")) for one in content if one.get("type") == "tool_result"]
    return found


def _texts(content: Any) -> str:  # noqa: ANN401  JSON
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(one.get("text", "") for one in content if isinstance(one, dict))
    return json.dumps(content)
