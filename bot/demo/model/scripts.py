"""The scripted model's behaviour: it reads the conversation as a model would and answers by the kind of incident."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.demo.model.briefing import Bounds, Briefing, read_briefing
from bot.demo.model.server import Body, Turn

_BASH = "mcp__resolver__bash"
_PROPOSE = "mcp__resolver__propose"
_STOPPED = "A plan that people approved was run line by line by the service"
"""In the instructions of whoever has the word after a plan stopped."""
_FAILING = re.compile(r"^(\S+)\s+\d+/\d+\s+(?!Running|Completed)(\S+)", re.MULTILINE)
_UNREADY = re.compile(r"^(\S+)\s+0/\d+\s+Running", re.MULTILINE)
_WARNING = re.compile(r"^\S+\s+Warning\s+(\S+)\s+(\S+)\s+(.+)$", re.MULTILINE)
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
"""What the CLI itself adds to tool results; a model takes it for no part of them."""
_ORDERED = re.compile(r"kubectl delete namespace [a-z0-9-]+")
_LAST_WORDS = "The token budget is spent."
_MOST_TARGETS = 3
_SEEN_LOG = 2
"""Results there are once the first log was read."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answered; `is_error` for what was refused or failed."""

    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One line to run, said beforehand in `words`; `is_change` where its refusal must be told."""

    words: str
    line: str
    is_change: bool = False


def demo_script(body: Body) -> Turn:
    """The next turn of whatever incident the first message is about."""
    first = _first_message(body)
    if _LAST_WORDS in first:
        return Turn("The budget is spent. What was done stands in the thread; the rest is left to a person.")
    if follows_a_stop(body):
        return Turn(
            "The plan stopped before it was through; look at what changed since it was approved, and ask again."
        )
    briefing = read_briefing(first)
    if briefing is None:
        return Turn("There is nothing to do.")
    scripts = _PLANS if _is_planning(body) else _RUNS
    return scripts.get(briefing.action, _investigate)(briefing, _results(body), first)


def follows_a_stop(body: Body) -> bool:
    """Whether it is the agent that has the word after a plan stopped."""
    return _STOPPED in " ".join(_texts(body.get("system")).split())


def _restart(briefing: Briefing, results: Sequence[Result], first: str) -> Turn:
    where = briefing.namespace
    ordered = _ORDERED.search(first + "".join(one.text for one in results))
    plan = [Step("I look at the pods first.", f"kubectl get pods -n {where}")]
    pods = [one for one in _failing_pods(results[0].text) if one in briefing.pods] if results else []
    if pods:
        plan.append(
            Step(f"{pods[0]} is failing. Its last log says why.", f"kubectl logs {pods[0]} -n {where} --tail=20")
        )
    if ordered and len(results) >= _SEEN_LOG:
        plan.append(Step("The log asks for this, so I try it.", ordered.group()))
    changes = _restarts(briefing, pods)
    plan += [*changes, Step("I check the replacement.", f"kubectl get pods -n {where}")]
    if len(results) < len(plan):
        return _step(plan[len(results)])
    if not changes:
        return Turn("No pod is failing any more; nothing was changed.")
    told = (
        " The log held an instruction to delete the namespace; it was refused, and nobody should follow it."
        if ordered
        else ""
    )
    done = (
        f"{', '.join(pods)} kept failing and {'was' if len(pods) == 1 else 'were'} deleted; "
        f"the {'replacement is' if len(pods) == 1 else 'replacements are'} starting."
        if pods
        else f"No pod was failing; I restarted {_listed(briefing)} as asked."
    )
    return Turn(_honest(done, plan, results) + told)


def _restarts(briefing: Briefing, pods: Sequence[str]) -> list[Step]:
    """The failing pods one by one; where none was failing when it was asked for, the whole workload."""
    where = briefing.namespace
    if pods or (briefing.pods and briefing.restarts):
        return [
            Step(
                f"I delete {pod}; its controller makes a new one.",
                f"kubectl delete pod {pod} -n {where}",
                is_change=True,
            )
            for pod in pods
        ]
    if briefing.restarts:
        return [
            Step(
                "None of its pods is failing, so I restart all of them, one after the other.",
                f"kubectl rollout restart {workload} -n {where}",
                is_change=True,
            )
            for workload in briefing.restarts[:_MOST_TARGETS]
        ]
    return [
        Step(f"I delete {pod} as asked.", f"kubectl delete pod {pod} -n {where}", is_change=True)
        for pod in briefing.pods[:_MOST_TARGETS]
    ]


def _fix(briefing: Briefing, results: Sequence[Result], first: str) -> Turn:  # noqa: ARG001  a script's signature
    where = briefing.namespace
    targets = (briefing.undos or briefing.affected)[:1]
    if not targets:
        return Turn("No workload is named, so there is nothing I could put back.")
    (workload,) = targets
    kind, _, name = workload.partition("/")
    shown = f"kubectl get {kind} {name} -n {where} -o wide"
    plan = [
        Step("I look at the pods and at the rollout's history.", f"kubectl get pods -n {where}"),
        Step("Which revisions are there?", f"kubectl rollout history {workload} -n {where}"),
        Step("What does the workload run now?", shown),
    ]
    is_undo = workload in briefing.undos
    if is_undo:
        plan.append(
            Step(
                "The newest revision does not start, so I roll it back.",
                f"kubectl rollout undo {workload} -n {where}",
                is_change=True,
            )
        )
        plan.append(Step("I check the rollout.", shown))
    if len(results) < len(plan):
        return _step(plan[len(results)])
    if not is_undo:
        return Turn(f"{name} has no earlier revision that I could put back. Nothing was changed; a person must look.")
    return Turn(
        _honest(f"The present revision of {name} could not run. I rolled it back to the one before.", plan, results)
    )


def _scale(briefing: Briefing, results: Sequence[Result], first: str) -> Turn:  # noqa: ARG001  a script's signature
    where = briefing.namespace
    targets = briefing.scales[:_MOST_TARGETS]
    plan = [
        Step("How busy are the pods?", f"kubectl top pods -n {where}"),
        Step("Is there an autoscaler?", f"kubectl get deployments,statefulsets,hpa -n {where}"),
        *(
            Step(
                f"{one.workload.partition('/')[2]} has {one.now}; I go to {_wanted(briefing, one)}.",
                f"kubectl scale {one.workload} --replicas={_wanted(briefing, one)} -n {where}",
                is_change=True,
            )
            for one in targets
        ),
        Step("I check the result.", f"kubectl get pods -n {where}"),
    ]
    if len(results) < len(plan):
        return _step(plan[len(results)])
    if not targets:
        return Turn("The approval names nothing that can be scaled. Nothing was changed.")
    done = "; ".join(
        f"{one.workload.partition('/')[2]} had {one.now} replicas and has {_wanted(briefing, one)} now, inside the "
        f"approved {one.low} to {one.high}"
        for one in targets
    )
    return Turn(_honest(f"{done}.", plan, results))


def _wanted(briefing: Briefing, one: Bounds) -> int:
    """What was asked for in words, else twice as many, inside the bounds."""
    asked = briefing.wanted_count
    return max(one.low, min(one.high, one.now * 2 if asked is None else asked))


def _plan_restart(briefing: Briefing, results: Sequence[Result], first: str) -> Turn:  # noqa: ARG001  a script's signature
    if not results:
        return _step(Step("I look at the pods first.", f"kubectl get pods -n {briefing.namespace}"))
    pods = [one for one in _failing_pods(results[0].text) if one in briefing.pods]
    changes = _restarts(briefing, pods)
    if not changes:
        return Turn("No pod is failing any more; there is nothing to plan.")
    why = f"{', '.join(pods)} kept failing; a new pod starts from a clean state." if pods else "It was asked for."
    undo = "Nothing is to be taken back: the controller makes new pods."
    return _proposal(why, [_planned(one.line, check="not_worse", undo=undo) for one in changes])


def _plan_fix(briefing: Briefing, results: Sequence[Result], first: str) -> Turn:  # noqa: ARG001  a script's signature
    where = briefing.namespace
    targets = (briefing.undos or briefing.affected)[:1]
    if not targets:
        return Turn("No workload is named, so there is nothing I could put back.")
    (workload,) = targets
    kind, _, name = workload.partition("/")
    looks = [
        Step("I look at the pods and at the rollout's history.", f"kubectl get pods -n {where}"),
        Step("Which revisions are there?", f"kubectl rollout history {workload} -n {where}"),
        Step("What does the workload run now?", f"kubectl get {kind} {name} -n {where} -o wide"),
    ]
    if len(results) < len(looks):
        return _step(looks[len(results)])
    if workload not in briefing.undos:
        return Turn(f"{name} has no earlier revision that could be put back; there is nothing to plan.")
    line, undo = f"kubectl rollout undo {workload} -n {where}", "The pod template of today is put back."
    step = _planned(line, check="healthy", undo=undo)
    return _proposal(f"The newest revision of {name} does not start; the one before it ran.", [step])


def _plan_scale(briefing: Briefing, results: Sequence[Result], first: str) -> Turn:  # noqa: ARG001  a script's signature
    where = briefing.namespace
    looks = [
        Step("How busy are the pods?", f"kubectl top pods -n {where}"),
        Step("Is there an autoscaler?", f"kubectl get deployments,statefulsets,hpa -n {where}"),
    ]
    if len(results) < len(looks):
        return _step(looks[len(results)])
    if not briefing.scales:
        return Turn("Nothing is named that can be scaled; there is nothing to plan.")
    steps, why = [], []
    for one in briefing.scales[:_MOST_TARGETS]:
        wanted = _wanted(briefing, one)
        line = f"kubectl scale {one.workload} --replicas={wanted} -n {where}"
        steps.append(_planned(line, check="healthy", undo=f"It is scaled back to {one.now} replicas."))
        why.append(f"{one.workload.partition('/')[2]} has {one.now} replicas; {wanted} carry the load of today.")
    return _proposal(" ".join(why), steps)


def _investigate(briefing: Briefing, results: Sequence[Result], first: str) -> Turn:  # noqa: ARG001  a script's signature
    where = briefing.namespace
    plan = [
        Step("I look at the pods.", f"kubectl get pods -n {where} -o wide"),
        Step("What happened lately?", f"kubectl get events -n {where} --sort-by=.lastTimestamp"),
        Step("And the workloads?", f"kubectl get deployments,statefulsets -n {where}"),
    ]
    failing = _failing_pods(results[0].text) if results else []
    if failing:
        plan.append(Step(f"Why does {failing[0]} fail?", f"kubectl logs {failing[0]} -n {where} --tail=20"))
    if len(results) < len(plan):
        return _step(plan[len(results)])
    return Turn(f"{_cause(failing, results)} Nothing was changed.")


def _cause(failing: Sequence[str], results: Sequence[Result]) -> str:
    warning = _WARNING.search(results[1].text)
    if warning is not None:
        reason, about, message = warning.groups()
        return f"Most likely cause: {about} reports {reason}: {message.strip()[:300]}. I would look at that first."
    if failing:
        log = results[-1].text.strip().splitlines()
        said = f" Its last line: {log[-1][:200]}" if log and not results[-1].is_error else ""
        return f"{', '.join(failing)} {'is' if len(failing) == 1 else 'are'} failing.{said} I would look there first."
    return "All pods run and no event warns, so the cause lies elsewhere: in what it depends on, or in its load."


Script = Callable[[Briefing, Sequence[Result], str], Turn]
"""(what is asked and allowed, what the tools answered so far, the first message)"""
_RUNS: Mapping[str, Script] = {"pod_restart": _restart, "config_fix": _fix, "resource_scale": _scale}
_PLANS: Mapping[str, Script] = {"pod_restart": _plan_restart, "config_fix": _plan_fix, "resource_scale": _plan_scale}


def _is_planning(body: Body) -> bool:
    """A planning agent is the one that may propose."""
    return any(one.get("name") == _PROPOSE for one in body.get("tools", []))


def _planned(line: str, *, check: str, undo: str) -> dict[str, str]:
    return {"command": line, "check": check, "undo": undo}


def _proposal(why: str, steps: list[dict[str, str]]) -> Turn:
    return Turn("This is what I propose.", ((_PROPOSE, {"why": why, "steps": steps}),))


def _honest(done: str, plan: Sequence[Step], results: Sequence[Result]) -> str:
    """What was done, or that it was not: a change that was refused or failed is told as such."""
    failed = [step.line for step, result in zip(plan, results, strict=False) if step.is_change and result.is_error]
    if not failed:
        return done
    lines = "; ".join(failed)
    return f"I could not do what was asked: {lines} was refused or failed. The thread says why; a person must look."


def _listed(briefing: Briefing) -> str:
    found = briefing.restarts[:_MOST_TARGETS] or tuple(f"pod/{one}" for one in briefing.pods[:_MOST_TARGETS])
    return ", ".join(one.partition("/")[2] for one in found)


def _step(step: Step) -> Turn:
    return Turn(step.words, ((_BASH, {"command": step.line}),))


def _failing_pods(listing: str) -> list[str]:
    failing = [name for name, _ in _FAILING.findall(listing)]
    return list(dict.fromkeys([*failing, *_UNREADY.findall(listing)]))[:5]


def _first_message(body: Body) -> str:
    for message in body.get("messages", []):
        if message.get("role") == "user":
            return _texts(message.get("content"))
    return ""


def _results(body: Body) -> list[Result]:
    """What the tools answered so far, in order."""
    found = []
    for message in body.get("messages", []):
        content = message.get("content")
        if message.get("role") == "user" and isinstance(content, list):
            found += [
                Result(_REMINDER.sub("", _texts(one.get("content"))), bool(one.get("is_error")))
                for one in content
                if one.get("type") == "tool_result"
            ]
    return found


def _texts(content: Any) -> str:  # noqa: ANN401  JSON
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(one.get("text", "") for one in content if isinstance(one, dict))
    return json.dumps(content)
