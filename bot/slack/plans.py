"""The plan on cards and in threads: each step with its line, what it changes, its check and its undo. Pure."""

from collections.abc import Mapping
from typing import Any

from bot.slack import words
from bot.slack.text import code, escaped, inline_code, one_line
from core.approval import ApprovalState
from core.history import Happened
from core.overview import Overview
from core.permit import Permit, PermittedLine
from core.plan import StepState, check_words
from core.plan_progress import Progress, progress
from core.resolution import State

Block = dict[str, Any]
PENDING_LEAD = "*If approved, exactly these lines are run, one after the other, by the service itself*"
LEAD = "*Exactly these lines are run, one after the other, by the service itself*"
STEP_LEAD = "*Step "
_STILL_WHY = frozenset({State.AWAITING_APPROVAL, State.APPROVED})
"""States in which the summary is still the plan's reason."""
_SHOWN_CHANGES = 8
_SHOWN_STEPS = 6
_SIGNS = {
    StepState.WAITING: "⬜",
    StepState.RUNNING: "⏳",
    StepState.DONE: "✅",
    StepState.FAILED: "❌",
    StepState.UNKNOWN: "❔",
    StepState.NOT_RUN: "⏭️",
}
_ENDINGS = {
    StepState.WAITING: "not yet",
    StepState.RUNNING: "running",
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.UNKNOWN: "was started, not known to have ended",
    StepState.NOT_RUN: "not run",
}


def is_planning(overview: Overview) -> bool:
    """It was assessed, and no question was put yet."""
    return overview.resolution.state is State.GATHERING and overview.assessment is not None


def state_words(overview: Overview) -> str:
    """Gathering in the words of what is waited for."""
    return "Planning" if is_planning(overview) else words.state_words(overview.resolution)


def planning_blocks() -> list[Block]:
    return [
        _section(
            "🧭 *The exact lines are being planned*\nA read-only agent looks at the cluster and proposes them; each is "
            "judged and tried by server-side dry run. Nothing is changed. The question follows here."
        )
    ]


def revision_blocks(overview: Overview) -> list[Block]:
    """Stands high on the card: who looked at an earlier revision has not seen this one."""
    permit = overview.approval.permit if overview.approval is not None else None
    if permit is None or permit.revision == 1 or overview.resolution.state is not State.AWAITING_APPROVAL:
        return []
    return [
        _section(
            f"🔁 *The plan has changed, look again* (revision {permit.revision})\n"
            "The cluster is not as it was when the question was first put; what changed is in the thread. An answer "
            "to an earlier revision counts for nothing."
        )
    ]


def question_blocks(overview: Overview, permit: Permit, *, is_pending: bool) -> list[Block]:
    """What people are asked about: nothing else will be run."""
    blocks: list[Block] = []
    why = overview.resolution.summary if overview.resolution.state in _STILL_WHY else None
    if why:
        blocks.append(_section(f"*Why, says the planning agent*\n> {one_line(why, 600)}"))
    blocks.append(_section(PENDING_LEAD if is_pending else LEAD))
    return blocks + step_blocks(permit)


def step_blocks(permit: Permit) -> list[Block]:
    """The steps, and what stops them."""
    blocks = [_section(_step(number, one)) for number, one in enumerate(permit.lines[:_SHOWN_STEPS], start=1)]
    if len(permit.lines) > _SHOWN_STEPS:
        blocks.append(_section(f"… and {len(permit.lines) - _SHOWN_STEPS} more step(s): see Details"))
    told = (
        "It stops at the first surprise: another object, another value, another dry run, a check that fails.\n"
        "The undo of exactly these changes is approved along with them."
    )
    return [*blocks, _section(told)]


def _step(number: int, line: PermittedLine) -> str:
    changes = line.diff.splitlines()
    shown = [one_line(one, 220) for one in changes[:_SHOWN_CHANGES]]
    told = [f"> {one}" for one in shown]
    if len(changes) > _SHOWN_CHANGES:
        told.append(f"> _… {len(changes) - _SHOWN_CHANGES} more line(s), see Details_")
    return "\n".join(
        [
            f"{STEP_LEAD}{number}* {words.LEVELS[line.verdict]} {inline_code(line.line, 400)}",
            *told,
            f"✔️ then: {one_line(check_words(line.check), 200)}",
            f"↩️ undo: {one_line(line.undo, 400)}",
        ]
    )


def progress_blocks(overview: Overview) -> list[Block]:
    """How far each step got, of every plan that was approved."""
    plans = [one for one in progress(overview) if one.approval.state is ApprovalState.APPROVED]
    return [_section(_progress(one)) for one in plans]


def _progress(plan: Progress) -> str:
    name = f"*The further plan* (revision {plan.permit.revision})" if plan.approval.is_further_plan else "*The plan*"
    lines = [
        f"{_SIGNS[state]} {number}. {inline_code(one.line, 300)} — {_ENDINGS[state]}"
        for number, (one, state) in enumerate(zip(plan.permit.lines, plan.states, strict=True), start=1)
    ]
    return "\n".join([name, *lines])


def details_blocks(permit: Permit) -> list[Block]:
    """Everything of each step, the whole difference included as far as it fits."""
    blocks = []
    for number, one in enumerate(permit.lines, start=1):
        targets = ", ".join(f"{target} ({target.uid or 'new'})" for target in one.targets)
        blocks.append(
            _section(
                f"*Step {number}* {words.LEVELS[one.verdict]} {one.verdict.value} ({escaped(one.rule, 20)})\n"
                f"{code(one.line, 600)}\n{one_line(targets, 600)}"
            )
        )
        blocks.append(_section(f"{code(one.diff, 2_400)}"))
        blocks.append(_section(f"✔️ then: {one_line(check_words(one.check), 300)}\n↩️ undo: {one_line(one.undo, 600)}"))
    return blocks


# --- the thread --------------------------------------------------------------------------------------------------


def told(what: Happened, facts: Mapping[str, object]) -> str | None:
    """One entry about a plan in words, None for any other."""
    match what:
        case Happened.PLANNING_STARTED:
            return "🧭 A read-only agent plans the exact lines; nothing is changed."
        case Happened.PLAN_PROPOSED:
            return _proposed(facts)
        case Happened.PLAN_REFUSED:
            return _refused(facts)
        case Happened.PLAN_REVISED:
            return _revised(facts)
        case Happened.STEP_STARTED:
            return f"▶️ {_name(facts)}: everything is still as it was approved."
        case Happened.STEP_ENDED:
            return _step_ended(facts)
        case Happened.STEP_CHECKED:
            return _step_checked(facts)
        case _:
            return None


def _proposed(facts: Mapping[str, object]) -> str:
    steps = facts.get("steps")
    lines = [f"📝 *Plan*: {one_line(str(facts.get('why') or ''), 600)}"]
    for number, one in enumerate(steps if isinstance(steps, list) else [], start=1):
        sign = words.VERDICTS.get(str(one.get("risk")), "❔")
        lines.append(f"{number}. {sign} {inline_code(str(one.get('line')), 400)}")
    return "\n".join(lines)


def _refused(facts: Mapping[str, object]) -> str:
    after = "It was the last try." if facts.get("is_final") else "The planning agent may mend it."
    return f"✏️ The plan was refused: {one_line(str(facts.get('reason') or ''), 900)} {after}"


def _revised(facts: Mapping[str, object]) -> str:
    changes = facts.get("changes")
    told = [f"• {one_line(str(one), 400)}" for one in (changes if isinstance(changes, list) else [])[:10]]
    head = f"🔁 *The plan has changed, look again* (revision {facts.get('revision')})."
    return "\n".join([head, *told])


def further_ended(facts: Mapping[str, object], who: str, *, because: str) -> str:
    """How the question about a further plan ended."""
    plan = f"the further plan (revision {facts.get('revision')})"
    match facts.get("state"):
        case "approved":
            return f"👍 {who} approved {plan}."
        case "rejected":
            return f"🚫 {who} rejected {plan}.{because}"
        case "expired":
            return f"⌛ Nobody answered about {plan}; it does not run."
        case _:
            return f"🚫 The question about {plan} is closed; it does not run.{because}"


def _step_ended(facts: Mapping[str, object]) -> str:
    name = _name(facts)
    if not facts.get("is_run"):
        return f"🛑 {name} was not run: {one_line(str(facts.get('sentence') or ''), 900)}"
    return f"✅ {name} is done." if facts.get("is_success") else f"❌ {name} failed."


def _step_checked(facts: Mapping[str, object]) -> str:
    holds = "holds" if facts.get("is_healthy") else "does not hold"
    sentences = facts.get("sentences")
    told = " ".join(one_line(str(one), 240) for one in (sentences if isinstance(sentences, list) else [])[:12])
    return f"🩺 The check after {_name(facts).lower()} {holds}: {told}"


def _name(facts: Mapping[str, object]) -> str:
    further = f" (revision {facts['revision']})" if facts.get("revision", 1) != 1 else ""
    return f"Step {facts.get('step')} of {facts.get('of')}{further}"


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000]}}
