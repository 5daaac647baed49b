"""The card of a resolution: a pure function of its rows, for every state."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.slack import buttons, plans, sizes, words
from bot.slack.buttons import Signer
from bot.slack.text import escaped, inline_code, one_line, plain
from core.approval import POLICY, Approval, ApprovalState
from core.execution import CommandRecord
from core.overview import Overview
from core.resolution import State
from core.resources import Resource

Block = dict[str, Any]
SHOWN_RESOURCES = 8
SHOWN_COMMANDS = 5
SHOWN_ID = 8
_LINES = 6
_QUOTED_LINES = 40
_ROLLBACK_LEAD = "*Rolling back goes beyond undoing its own change. If approved, the service may*"
_EXPIRED_LEAD = "*What it would have been allowed to do*"
_PENDING_LEAD, _LEAD = "*If approved, the agent may*", "*The agent may*"
_UNDOABLE = frozenset({State.COMPLETED, State.FAILED, State.INTERRUPTED, State.ROLLBACK_FAILED})
_ASKABLE = frozenset({State.EXPIRED, State.FAILED, State.REJECTED, State.CANCELLED, State.INTERRUPTED})
_RUNNING = frozenset({State.EXECUTING, State.VERIFYING})
_ENDED_WITH_SUMMARY = frozenset(State) - {
    State.GATHERING,
    State.AWAITING_APPROVAL,
    State.APPROVED,
    State.EXECUTING,
    State.VERIFYING,
}


@dataclass(frozen=True, slots=True)
class Card:
    """`text` is a whole sentence: it stands in notifications and is read to those who do not see."""

    text: str
    blocks: list[Block]


@dataclass(frozen=True, slots=True)
class Rendering:
    """What cards need beside the rows: the signer of buttons, who may approve, and why nobody may.

    `may_requesters_approve` is the policy's word on one's own requests; `enforced` tells who else holds permits.
    """

    signer: Signer
    approvers: tuple[str, ...] = ()
    why_nobody: str | None = None
    may_requesters_approve: bool = True
    enforced: tuple[str, ...] = ()


def resolution_card(overview: Overview, rendering: Rendering) -> Card:
    """At most 50 blocks and as large as Slack takes; what is approved is the last thing to be shortened.

    Block ids are new with each entry of history, as Slack asks of updated messages.
    """
    blocks = [
        _header(overview),
        *pause_blocks(overview),
        *_waiting(overview),
        *plans.revision_blocks(overview),
        _facts(overview),
        *_request(overview),
        *_risk(overview),
        *_permit(overview, rendering),
        *_gaps(overview),
        *_work(overview),
        *_result(overview),
        *_decided(overview),
        _footer(overview, rendering),
        *_actions(overview, rendering),
    ]
    for number, block in enumerate(blocks):
        block["block_id"] = f"{block['type']}-{number}-{overview.history_seq}"
    sizes.fit(blocks, last=(_ROLLBACK_LEAD, _PENDING_LEAD, _LEAD, plans.STEP_LEAD))
    return Card(card_sentence(overview), blocks)


def card_sentence(overview: Overview) -> str:
    """State, what and where in one sentence."""
    resolution = overview.resolution
    sign, _ = words.STATES[resolution.state]
    level = f" Risk: {overview.assessment.level.value}." if overview.assessment else ""
    return escaped(f"{sign} {plans.state_words(overview)}: {_title(overview)}.{level}", 300)


def _title(overview: Overview) -> str:
    """The action and its one target, or its namespace."""
    request = overview.resolution.request
    affected = overview.assessment.affected if overview.assessment else ()
    owners = [one for one in affected if one.kind != "Pod"] or list(affected)
    what = owners[0].name if len(owners) == 1 else f"namespace {request.namespace}"
    return f"{words.ACTIONS[request.action_type]} · {what}"


def _header(overview: Overview) -> Block:
    sign, _ = words.STATES[overview.resolution.state]
    state = f"{sign} {plans.state_words(overview)}"
    if overview.question is not None:
        state = "✋ Answer needed in the thread"
    return {
        "type": "header",
        "text": {
            "type": "plain_text",
            "text": plain(f"{state} · {_title(overview)}", 150),
            "emoji": True,
        },
    }


def pause_blocks(overview: Overview) -> list[Block]:
    """Who paused the service, since when and why."""
    if overview.pause is None:
        return []
    pause = overview.pause
    return [
        _section(
            f"⏸️ *The service is paused* by {escaped(pause.by.name, 80)} since {words.time_token(pause.since)}: "
            f"{escaped(pause.reason, 300)}\nNothing new starts until `/incident resume`."
        )
    ]


def _waiting(overview: Overview) -> list[Block]:
    question = overview.question
    if question is None or not question.permit.lines:
        return []
    told = f"*The agent waits for an answer* about {inline_code(question.permit.lines[0].line, 200)}"
    if question.is_further_plan:
        told = "*The plan stopped, and a further one waits for an answer*"
    told = f"✋ {told} until {words.time_token(question.deadline)}."
    return [_section(f"{told}\nThe question stands in the thread. Interrupt stops the run at once.")]


def _facts(overview: Overview) -> Block:
    resolution, approval = overview.resolution, overview.approval
    level = overview.assessment.level if overview.assessment else None
    facts = [
        ("Risk", f"{words.LEVELS[level]} {level.value}" if level else "being assessed"),
        (
            "Where",
            f"namespace {escaped(resolution.request.namespace, 70)}\ncluster {escaped(overview.cluster_name, 80)}",
        ),
        ("Asked by", f"{escaped(resolution.requested_by.name, 80)}, {words.time_token(resolution.created_at)}"),
    ]
    if approval is not None and approval.state is ApprovalState.PENDING:
        limit = words.length(approval.deadline - approval.asked_at)
        facts.append(("Expires", f"{words.time_token(approval.deadline)}\n{limit} after it was asked"))
    elif overview.usage.total_tokens:
        facts.append(("Used", words.used(overview.usage)))
    return _fields(*(f"*{name}*\n{value}" for name, value in facts))


def _request(overview: Overview) -> list[Block]:
    request = overview.resolution.request
    event = f"\nEvent {inline_code(request.event_id)}" if request.event_id else ""
    again = "\nAsked again after an earlier try." if request.replaces else ""
    return [_section(f"*Asked for*\n{_quoted(request.action_description, 600)}{event}{again}")]


def _risk(overview: Overview) -> list[Block]:
    assessment = overview.assessment
    if assessment is None:
        return []
    fields = [f"*Why this risk*\n{_bullets(assessment.factors)}"]
    if assessment.affected:
        fields.append(f"*Affected*\n{_resources(assessment.affected)}")
    if _is_before_work(overview):
        fields.append(f"*Impact*\n{escaped(assessment.estimated_impact, 400)}")
        fields.append(f"*Mitigation*\n{_bullets(assessment.mitigation_steps)}")
    return [_fields(*pair) for pair in (fields[:2], fields[2:]) if pair]


def _permit(overview: Overview, rendering: Rendering) -> list[Block]:
    """What is approved, in words; before the decision also that its undo is approved along with it."""
    approval = overview.approval
    if plans.is_planning(overview):
        return plans.planning_blocks()
    if approval is None or not (_is_before_work(overview) or overview.rollback_question):
        return []
    if overview.rollback_question:
        return [_section(f"{_ROLLBACK_LEAD}\n{_bullets(_rules(approval), limit=10)}")]
    if overview.resolution.state is State.EXPIRED:
        return [_section(f"{_EXPIRED_LEAD}\n{_bullets(approval.permit.sentences(), limit=10)}")]
    is_pending = approval.state is ApprovalState.PENDING
    if approval.permit.lines:
        blocks = plans.question_blocks(overview, approval.permit, is_pending=is_pending)
    else:
        lead = _PENDING_LEAD if is_pending else _LEAD
        undo = "\nThe undo of exactly this change is approved along with it." if approval.permit.rules else ""
        cost = f"\nIt may use at most {words.counted(approval.permit.token_limit, 'token')}."
        blocks = [_section(f"{lead}\n{_bullets(approval.permit.sentences(), limit=10)}{undo}{cost}")]
    if approval.state is ApprovalState.PENDING and rendering.why_nobody:
        blocks.append(_section(f"⚠️ {escaped(rendering.why_nobody, 400)}"))
    return blocks


def _rules(approval: Approval) -> tuple[str, ...]:
    return tuple(rule.sentence() for rule in approval.permit.rules)


def _is_before_work(overview: Overview) -> bool:
    return overview.resolution.state in {State.GATHERING, State.AWAITING_APPROVAL, State.APPROVED, State.EXPIRED}


def _gaps(overview: Overview) -> list[Block]:
    """What could not be found out; what is switched off stands in the details only."""
    missing = [gap for gap in overview.gaps if not gap.is_off]
    if not missing or not _is_before_work(overview):
        return []
    told = [f"*{one_line(gap.source, 60)}*: {one_line(gap.reason, 300)}" for gap in missing]
    return [_section("🕳️ *Not known*\n" + "\n".join(f"• {one}" for one in told[:_LINES]))]


def _work(overview: Overview) -> list[Block]:
    state, approval = overview.resolution.state, overview.approval
    if state in {State.AWAITING_APPROVAL, State.APPROVED}:
        return []
    if approval is not None and approval.permit.lines and not _is_before_work(overview):
        return plans.progress_blocks(overview) if approval.state is ApprovalState.APPROVED else []
    if not overview.commands:
        return []
    shown = overview.commands[-SHOWN_COMMANDS:]
    earlier = len(overview.commands) - len(shown)
    lines = [command_line(one) for one in shown]
    if earlier:
        lines.insert(0, f"_{words.counted(earlier, 'earlier line')}: see the thread_")
    return [_section("*Commands*\n" + "\n".join(lines))]


def command_line(command: CommandRecord) -> str:
    """Verdict, line and how it ended, on one line."""
    return f"{words.VERDICTS.get(command.verdict, '❔')} {inline_code(command.line, 200)} {_ending(command)}"


def _ending(command: CommandRecord) -> str:
    if not command.is_executed:
        return "— refused"
    if command.ended_at is None:
        return "— running"
    if command.exit_code is None:
        return "— stopped"
    return "— done" if command.exit_code == 0 else f"— exit code {command.exit_code}"


def _result(overview: Overview) -> list[Block]:
    resolution = overview.resolution
    if resolution.summary is None or resolution.state not in _ENDED_WITH_SUMMARY:
        return []
    return [_section(f"*{_result_title(resolution.state)}*\n{_quoted(resolution.summary, 1_500)}")]


def _result_title(state: State) -> str:
    return "What was done" if state in {State.COMPLETED, State.ROLLED_BACK} else "What happened"


def _decided(overview: Overview) -> list[Block]:
    approval = overview.approval
    if approval is None or approval.state is ApprovalState.PENDING or approval.decided_at is None:
        return []
    return [_context(decision_words(approval))]


def decision_words(approval: Approval) -> str:
    """Who answered, what, when and why."""
    at = words.time_token(approval.decided_at) if approval.decided_at else "?"
    if approval.decided_by == POLICY:
        return f"👍 Approved by the policy {at}: nobody needs to be asked at this risk"
    if approval.state is ApprovalState.EXPIRED:
        return f"⌛ Expired {at}: nobody answered"
    who = escaped(approval.decided_by.name, 80) if approval.decided_by else "the service"
    sign = "👍" if approval.state is ApprovalState.APPROVED else "🚫"
    why = f": {escaped(approval.reason, 300)}" if approval.reason else ""
    return f"{sign} {approval.state.value.capitalize()} by {who} {at}{why}"


def _footer(overview: Overview, rendering: Rendering) -> Block:
    parts = [f"id `{overview.resolution.id[:SHOWN_ID]}`"]
    approval, assessment = overview.approval, overview.assessment
    if approval is not None and approval.state is ApprovalState.PENDING:
        if assessment is not None:
            parts.append(f"{assessment.level.value} needs a person (policy {one_line(assessment.policy_version, 40)})")
        if rendering.approvers:
            but = "" if rendering.may_requesters_approve else ", but not who asked"
            parts.append(f"may approve: {who_may(rendering.approvers)}{but}")
    if overview.changes:
        parts.append(f"{words.counted(overview.changes, 'change')}, kept in a snapshot")
    return _context(" · ".join(parts))


def who_may(approvers: Sequence[str]) -> str:
    """Approvers as Slack shows them."""

    def shown(one: str) -> str:
        if one == "channel":
            return "full members of this channel"
        if one.isalnum() and one.startswith(("U", "W")):
            return f"<@{one}>"
        if one.isalnum() and one.startswith("S"):
            return f"<!subteam^{one}>"
        return escaped(one, 60)

    return ", ".join(shown(one) for one in approvers[:10])


def _actions(overview: Overview, rendering: Rendering) -> list[Block]:
    resolution, approval, signer = overview.resolution, overview.approval, rendering.signer
    elements: list[Block] = []
    if approval is not None and (resolution.state is State.AWAITING_APPROVAL or overview.rollback_question):
        digest = approval.permit.digest
        approve = _button("Approve", buttons.APPROVE, signer.value(buttons.APPROVE, approval.id, digest), "primary")
        approve["confirm"] = _confirm("Approve this?", _consequence(overview, approval), "Approve")
        elements += [
            approve,
            _button("Reject…", buttons.REJECT, signer.value(buttons.REJECT, approval.id, digest), "danger"),
        ]
    if resolution.state in _RUNNING:
        stop = _button("Interrupt", buttons.INTERRUPT, signer.value(buttons.INTERRUPT, resolution.id), "danger")
        stop["confirm"] = _confirm("Stop now?", "The agent and its commands are stopped at once.", "Interrupt")
        elements.append(stop)
    if resolution.state in _UNDOABLE and overview.changes and resolution.snapshot_id:
        elements.append(_button("Roll back…", buttons.ROLLBACK, signer.value(buttons.ROLLBACK, resolution.snapshot_id)))
    if resolution.state in _ASKABLE:
        elements.append(_button("Ask again", buttons.ASK_AGAIN, signer.value(buttons.ASK_AGAIN, resolution.id)))
    elements.append(_button("Details", buttons.DETAILS, signer.value(buttons.DETAILS, resolution.id)))
    return [{"type": "actions", "elements": elements}]


def _consequence(overview: Overview, approval: Approval) -> str:
    """What an approval sets off, for the last question before it."""
    if overview.rollback_question:
        return "; ".join(_rules(approval))
    where = f"namespace {overview.resolution.request.namespace} of cluster {overview.cluster_name}"
    told = f"{_title(overview)}, in {where}.\n"
    if approval.permit.lines:
        count = words.counted(len(approval.permit.lines), "line")
        return f"{told}The service runs the plan's {count} at once, exactly as the card shows, and nothing else."
    return f"{told}The agent starts at once and may do what the card lists, nothing else."


def _button(label: str, action_id: str, value: str, style: str | None = None) -> Block:
    button: Block = {
        "type": "button",
        "text": {"type": "plain_text", "text": label},
        "action_id": action_id,
        "value": value,
        "accessibility_label": f"{label.rstrip('…')} this resolution",
    }
    return button | ({"style": style} if style else {})


def _confirm(title: str, text: str, yes: str) -> Block:
    return {
        "title": {"type": "plain_text", "text": title},
        "text": {"type": "plain_text", "text": plain(text, 300)},
        "confirm": {"type": "plain_text", "text": yes},
        "deny": {"type": "plain_text", "text": "Back"},
    }


def _fields(*texts: str) -> Block:
    """Side by side."""
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": text[:2_000]} for text in texts]}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000]}}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text[:2_000]}]}


def _quoted(text: str, limit: int) -> str:
    lines = [f"> {line}" for line in re.sub(r"\n\s*\n", "\n\n", escaped(text.strip(), limit)).split("\n")]
    return "\n".join(lines[:_QUOTED_LINES] + ["> …"] * (len(lines) > _QUOTED_LINES))


def _bullets(sentences: Sequence[str], *, limit: int = _LINES) -> str:
    lines = [f"• {one_line(one, 240)}" for one in sentences[:limit]]
    if len(sentences) > limit:
        lines.append(f"• … and {len(sentences) - limit} more (see Details)")
    return "\n".join(lines) or "• nothing"


def _resources(resources: Sequence[Resource]) -> str:
    shown = [f"• {one_line(str(one), 160)}" for one in resources[:SHOWN_RESOURCES]]
    if len(resources) > SHOWN_RESOURCES:
        shown.append(f"• … and {len(resources) - SHOWN_RESOURCES} more (see Details)")
    return "\n".join(shown)
