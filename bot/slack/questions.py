"""The card of a question mid-run: one exact line, or a further plan, and what cannot be undone. Pure."""

from collections.abc import Sequence

from bot.slack import buttons, cards, plans, sizes, words
from bot.slack.cards import Block, Card, Rendering
from bot.slack.text import code, escaped, inline_code, one_line, plain
from core.approval import Approval, ApprovalState
from core.overview import Overview
from core.permit import PermittedLine
from core.redaction import redact

SHOWN_TARGETS = 8
SHOWN_FIELDS = 6
_LINE_LIMIT = 2_500
_LEAD = "*The agent wants to run, once and exactly this*"
_PAST_LEAD = "*The agent wanted to run, once and exactly this*"
_MAY_RUN = frozenset({ApprovalState.PENDING, ApprovalState.APPROVED})
_HEADERS = {
    ApprovalState.PENDING: "✋ Answer needed · may this line run?",
    ApprovalState.APPROVED: "👍 Approved · this line may run once",
    ApprovalState.REJECTED: "🚫 Rejected · this line does not run",
    ApprovalState.EXPIRED: "⌛ Nobody answered · this line did not run",
    ApprovalState.CANCELLED: "🚫 Closed · this line did not run",
}
_PLAN_HEADERS = {
    ApprovalState.PENDING: "✋ Answer needed · may the further plan run?",
    ApprovalState.APPROVED: "👍 Approved · the further plan runs",
    ApprovalState.REJECTED: "🚫 Rejected · the further plan does not run",
    ApprovalState.EXPIRED: "⌛ Nobody answered · the further plan did not run",
    ApprovalState.CANCELLED: "🚫 Closed · the further plan did not run",
}


def question_card(overview: Overview, question: Approval, rendering: Rendering, *, why: str = "") -> Card:
    """Buttons only while it waits for an answer; the facts stay.

    `why` says what changed since a line was asked about before, or what a further plan is for.
    """
    is_open = question.state is ApprovalState.PENDING
    about = _further_plan if question.is_further_plan else _one_line
    header, *facts = about(overview, question, why)
    blocks = [
        header,
        *(cards.pause_blocks(overview) if is_open else []),
        *facts,
        *([_section(f"⚠️ {escaped(rendering.why_nobody, 400)}")] if is_open and rendering.why_nobody else []),
        *([] if is_open else [_context(cards.decision_words(question))]),
        _footer(overview, question, rendering),
        *([_actions(question, rendering)] if is_open else []),
    ]
    for number, block in enumerate(blocks):
        block["block_id"] = f"question-{block['type']}-{number}-{overview.history_seq}"
    sizes.fit(blocks, last=(_LEAD, _PAST_LEAD, plans.STEP_LEAD))
    return Card(question_sentence(question), blocks)


def _one_line(overview: Overview, question: Approval, why: str) -> list[Block]:
    line = question.permit.lines[0]
    is_open = question.state is ApprovalState.PENDING
    return [
        _header(_HEADERS[question.state]),
        _section(f"{_LEAD if is_open else _PAST_LEAD}\n{code(redact(line.line), _LINE_LIMIT)}"),
        *([_section(f"⚠️ *Asked again, since it changed meanwhile*\n{one_line(why, 600)}")] if is_open and why else []),
        _facts(overview, question),
        _section(f"*It changes*\n{_targets(line)}"),
        *_fields_now(line),
        *_files(line),
        *([_section(_undo(line))] if question.state in _MAY_RUN else []),
    ]


def _further_plan(overview: Overview, question: Approval, why: str) -> list[Block]:
    """What was approved before has stopped; nothing more of it is run."""
    lead = plans.PENDING_LEAD if question.state is ApprovalState.PENDING else plans.LEAD
    told = f"\n*Why a further one, says the planning agent*\n> {one_line(why, 600)}" if why else ""
    return [
        _header(_PLAN_HEADERS[question.state]),
        _section(f"🔁 *The approved plan stopped; the rest of it is not run.*{told}"),
        _facts(overview, question),
        *([_section(lead)] if question.state in _MAY_RUN else []),
        *plans.step_blocks(question.permit),
    ]


def question_sentence(question: Approval) -> str:
    """The whole question in one sentence, for notifications."""
    line = question.permit.lines[0]
    level = question.permit.highest_risk.value
    if question.is_further_plan:
        count = words.counted(len(question.permit.lines), "line")
        return f"{_PLAN_HEADERS[question.state]} {count}, first {inline_code(redact(line.line), 200)} ({level})"
    return f"{_HEADERS[question.state]} {inline_code(redact(line.line), 200)} ({level})"


def _facts(overview: Overview, question: Approval) -> Block:
    level, line = question.permit.highest_risk, question.permit.lines[0]
    rule = f"revision {question.permit.revision}" if question.is_further_plan else f"rule {escaped(line.rule, 20)}"
    facts = [
        ("Risk", f"{words.LEVELS[level]} {level.value} ({rule})"),
        ("Where", f"{escaped(line.namespace, 70)} in {escaped(overview.cluster_name, 80)}"),
    ]
    if question.state is ApprovalState.PENDING:
        facts.append(("Expires", words.time_token(question.deadline)))
    facts.append(("For", one_line(overview.resolution.request.action_description, 200)))
    return {
        "type": "section",
        "fields": [{"type": "mrkdwn", "text": f"*{name}*\n{value}"} for name, value in facts],
    }


def _targets(line: PermittedLine) -> str:
    shown = [f"• {one_line(str(one), 160)}{'' if one.uid else ' (made by it)'}" for one in line.targets[:SHOWN_TARGETS]]
    more = len(line.targets) - SHOWN_TARGETS
    return "\n".join(shown + ([f"• … and {more} more (see Details)"] if more > 0 else []))


def _fields_now(line: PermittedLine) -> list[Block]:
    """What the fields hold that it changes: with other values it does not run."""
    if not line.preconditions:
        return []
    shown = [f"• {one_line(one.sentence(), 240)}" for one in line.preconditions[:SHOWN_FIELDS]]
    more = len(line.preconditions) - SHOWN_FIELDS
    lines = shown + ([f"• … and {more} more (see Details)"] if more > 0 else [])
    return [_section("*As it is now*\n" + "\n".join(lines))]


def _files(line: PermittedLine) -> list[Block]:
    if not line.files:
        return []
    told = [f"• {inline_code(name, 120)} (SHA-256 `{digest[:12]}`)" for name, digest in line.files[:SHOWN_FIELDS]]
    return [_section("*With these files, as they were judged*\n" + "\n".join(told))]


def _undo(line: PermittedLine) -> str:
    """What is lost first; the rest can be put back, and may be."""
    kept = "Each object is stored before. The undo of exactly this change is approved along with it."
    lost = [one.strip() for one in line.undo.split(". ") if one.strip()]
    if not lost:
        return f"*Undo*\n{kept}"
    told = "\n".join(f"• {one_line(one, 240)}" for one in lost[:SHOWN_FIELDS])
    return f"⚠️ *Cannot be undone*\n{told}\n*The rest*\n{kept}"


def _footer(overview: Overview, question: Approval, rendering: Rendering) -> Block:
    parts = [f"resolution `{overview.resolution.id}`"]
    if question.state is ApprovalState.PENDING:
        then = "the run ends" if question.is_further_plan else "the agent goes on"
        parts.insert(0, f"without an answer it does not run, and {then}")
    if question.state is ApprovalState.PENDING and rendering.approvers:
        parts.insert(0, f"may approve: {cards.who_may(rendering.approvers)}")
    parts.append(f"permit `{question.permit.digest[:12]}`")
    return _context(" · ".join(parts))


def _actions(question: Approval, rendering: Rendering) -> Block:
    signer, digest = rendering.signer, question.permit.digest
    approve = _button("Approve", buttons.APPROVE, signer.value(buttons.APPROVE, question.id, digest))
    approve |= {"style": "primary", "confirm": _confirm(question)}
    reject = _button("Reject…", buttons.REJECT, signer.value(buttons.REJECT, question.id, digest))
    reject |= {"style": "danger"}
    details = _button("Details", buttons.QUESTION, signer.value(buttons.QUESTION, question.id))
    return {"type": "actions", "elements": [approve, reject, details]}


def _button(label: str, action_id: str, value: str) -> Block:
    return {
        "type": "button",
        "text": {"type": "plain_text", "text": label},
        "action_id": action_id,
        "value": value,
        "accessibility_label": f"{label.rstrip('…')} exactly these lines",
    }


def _confirm(question: Approval) -> Block:
    lines = question.permit.lines
    told = "; ".join(redact(one.line) for one in lines)
    return {
        "title": {"type": "plain_text", "text": "Run these lines?" if len(lines) > 1 else "Run this line once?"},
        "text": {"type": "plain_text", "text": plain(told, 300)},
        "confirm": {"type": "plain_text", "text": "Approve"},
        "deny": {"type": "plain_text", "text": "Back"},
    }


def question_details(question: Approval) -> Sequence[Block]:
    """For a modal: the words as they are run, every target with its uid, every field, every file."""
    if question.is_further_plan:
        return [*plans.details_blocks(question.permit), _section(f"Digest {inline_code(question.permit.digest)}")]
    line = question.permit.lines[0]
    argv = "\n| ".join(" ".join(stage) for stage in line.stages)
    targets = [f"uid {one.uid or '(yet to be made)'} · {one}" for one in line.targets]
    fields = [one.sentence() for one in line.preconditions] or ["none is bound: it does not change single fields"]
    files = [f"{name} SHA-256 {digest}" for name, digest in line.files] or ["none"]
    blocks = [
        _section(f"*The line, as it would run*\n{code(redact(argv))}"),
        *_listed("It changes", targets),
        *_listed("Fields, as they were when it was asked", fields),
        *_listed("Files", files),
        _section(_undo(line)),
        _section(f"Digest {inline_code(question.permit.digest)}"),
    ]
    return blocks + ([] if question.decided_at is None else [_section(cards.decision_words(question))])


def _listed(title: str, items: Sequence[str]) -> list[Block]:
    """As many sections as it takes; nothing is left out."""
    found: list[Block] = []
    lines = [f"*{title}*"]
    for one in [f"• {one_line(item, 300)}" for item in items]:
        if sum(map(len, lines)) + len(one) > _LINE_LIMIT:
            found.append(_section("\n".join(lines)))
            lines = []
        lines.append(one)
    return [*found, _section("\n".join(lines))]


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000]}}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text[:2_000]}]}
