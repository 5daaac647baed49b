"""The thread of a card: one line for each thing that happened, and a message of its own for the end. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.slack import buttons, plans, sizes, words
from bot.slack.cards import Rendering
from bot.slack.questions import question_card
from bot.slack.text import code, escaped, inline_code
from core.approval import Approval
from core.history import Happened, RecordedEntry
from core.offers import offered_request, refused_changes
from core.overview import Overview
from core.resolution import ActionType, State

Block = dict[str, Any]
LINES_PER_MESSAGE = 8
OUTPUT_LIMIT = 700
_MESSAGE_LIMIT = sizes.MESSAGE_LIMIT - 100 * LINES_PER_MESSAGE
"""What is left for the lines themselves beside the JSON of their blocks."""
ENDS = frozenset(
    {
        Happened.COMPLETED,
        Happened.FAILED,
        Happened.INTERRUPTED,
        Happened.ROLLED_BACK,
        Happened.ROLLBACK_FAILED,
        Happened.REJECTED,
        Happened.EXPIRED,
        Happened.CANCELLED,
    }
)


_UNDOABLE = frozenset({Happened.COMPLETED, Happened.FAILED, Happened.INTERRUPTED, Happened.ROLLBACK_FAILED})
_ASKABLE = frozenset({Happened.FAILED, Happened.INTERRUPTED, Happened.REJECTED, Happened.EXPIRED, Happened.CANCELLED})


@dataclass(frozen=True, slots=True)
class Reply:
    """A message for the thread; `seq` is the newest history entry in it, `question` the approval that it asks for."""

    seq: int
    text: str
    blocks: list[Block]
    question: str | None = None


def replies(entries: Sequence[RecordedEntry], overview: Overview, rendering: Rendering) -> list[Reply]:
    """Messages in order: what happened close together shares one; each end and each question has its own.

    None is larger than Slack takes.
    """
    found: list[Reply] = []
    lines: list[str] = []
    seq = 0
    for one in entries:
        if one.entry.what in ENDS:
            found += _reply(seq, lines)
            found.append(_end(one, overview, rendering))
            lines = []
            continue
        if (question := _question(one, overview)) is not None:
            card = question_card(overview, question, rendering, why=_text(one.entry.facts, "why"))
            found += [*_reply(seq, lines), Reply(one.seq, card.text, card.blocks, question.id)]
            lines = []
            continue
        told = line(one)
        if one.entry.what is Happened.VERIFIED and _is_investigation(overview):
            told = "🔎 An investigation changes nothing, so there is nothing to check."
        if len(lines) == LINES_PER_MESSAGE or sizes.size_of([*lines, told]) > _MESSAGE_LIMIT:
            found += _reply(seq, lines)
            lines = []
        lines.append(told)
        seq = one.seq
    return found + _reply(seq, lines)


def why_asked(entries: Sequence[RecordedEntry], question: Approval) -> str:
    """What the entry that put this question says of its reason, "" where it says nothing."""
    put = (one.entry for one in entries if one.entry.what is Happened.QUESTION_ASKED)
    return next((_text(one.facts, "why") for one in put if one.facts.get("approval_id") == question.id), "")


def _question(recorded: RecordedEntry, overview: Overview) -> Approval | None:
    """The question that this entry puts, as it stands by now."""
    if recorded.entry.what is not Happened.QUESTION_ASKED:
        return None
    id_ = recorded.entry.facts.get("approval_id")
    return next((one for one in overview.approvals if one.id == id_ and one.permit.lines), None)


def _is_investigation(overview: Overview) -> bool:
    return overview.resolution.request.action_type is ActionType.INVESTIGATION


def _reply(seq: int, lines: Sequence[str]) -> list[Reply]:
    if not lines:
        return []
    return [Reply(seq, "\n".join(lines)[:3_000], [_section(text) for text in lines])]


def line(recorded: RecordedEntry) -> str:
    """One entry in words."""
    entry, facts = recorded.entry, recorded.entry.facts
    who = escaped(entry.by.name, 80) if entry.by else "the service"
    match entry.what:
        case Happened.REQUESTED:
            return f"📣 {who} asked for it {words.time_token(recorded.at)}."
        case Happened.ASSESSED:
            return f"⚖️ Assessed as *{_text(facts, 'level')}*: {'; '.join(_texts(facts, 'factors'))}."
        case Happened.ASKED if facts.get("about") == "rollback":
            return (
                f"✋ Rolling back would go beyond undoing its own change, so it is asked first: "
                f"{' '.join(_texts(facts, 'factors'))}"
            )
        case Happened.ASKED:
            return "✋ Asked for approval."
        case Happened.AUTO_APPROVED:
            return "👍 Approved by the policy: nobody needs to be asked at this risk."
        case Happened.APPROVED:
            return f"👍 *Approved* by {who} {words.time_token(recorded.at)}.{_because(facts)}"
        case Happened.EXECUTION_STARTED:
            left_out = _texts(facts, "left_out")
            who = (
                "The approved plan is run, line by line, without an agent"
                if facts.get("is_plan")
                else "The agent starts"
            )
            return f"⚙️ {who}." + (f" Left out: {' '.join(left_out)}" if left_out else "")
        case Happened.AGENT_SAID:
            return f"💬 {escaped(_text(facts, 'text'), 1_500)}"
        case Happened.COMMAND_JUDGED:
            return _judged(facts)
        case Happened.COMMAND_ENDED:
            return _ended(facts)
        case _:
            return plans.told(entry.what, facts) or _other(recorded, who)


def _other(recorded: RecordedEntry, who: str) -> str:
    facts = recorded.entry.facts
    match recorded.entry.what:
        case Happened.QUESTION_ASKED:
            return f"✋ Asked about one line: {inline_code(_text(facts, 'line'), 600)}"
        case Happened.QUESTION_ENDED:
            return _question_ended(facts, who)
        case Happened.BUDGET_WARNED:
            return f"🪙 {escaped(_text(facts, 'sentence') or '80 % of the token limit is used.', 300)}"
        case Happened.INTERRUPT_ASKED:
            return f"🛑 {who} asked to stop.{_because(facts)}"
        case Happened.EXECUTION_ENDED:
            ending = _text(facts, "ending")
            if facts.get("is_plan"):
                return "🏁 The plan was run to its end." if ending == "success" else "🏁 The plan stopped."
            return "🏁 The agent is done." if ending == "success" else f"🏁 The agent ended: {escaped(ending, 40)}."
        case Happened.VERIFIED:
            sign = "🩺 Healthy:" if facts.get("is_healthy") else "🩺 Not healthy:"
            return f"{sign} {' '.join(_texts(facts, 'sentences'))}"
        case Happened.ROLLBACK_ASKED:
            return f"↩️ {who} asked to roll back; the API server is asked what that would do."
        case Happened.ROLLBACK_STARTED:
            asked = f", asked by {who}" if recorded.entry.by else ""
            return f"↩️ Rolling back{asked}. {escaped(_text(facts, 'summary'), 600)}".rstrip()
        case Happened.GRANT_ISSUED | Happened.GRANT_REVOKED | Happened.GRANT_SWEPT:
            return _grant(recorded.entry.what, facts)
        case Happened.EVIDENCE_KEPT:
            findings = facts.get("findings")
            count = len(findings) if isinstance(findings, list) else 0
            kept = words.counted(count, "piece")
            return f"🗂️ Kept {kept} of evidence of how it stands, before anything is put back."
        case other:
            return f"{escaped(other.value.replace('_', ' '), 40).capitalize()} by {who}.{_because(facts)}"


def _question_ended(facts: Mapping[str, object], who: str) -> str:
    if "revision" in facts:
        return plans.further_ended(facts, who, because=_because(facts))
    line = inline_code(_text(facts, "line"), 300)
    match _text(facts, "state"):
        case "approved":
            return f"👍 {who} approved this line for one run: {line}"
        case "rejected":
            return f"🚫 {who} rejected this line: {line}.{_because(facts)}"
        case "expired":
            return f"⌛ Nobody answered about this line: {line}. It does not run; the agent goes on."
        case _:
            return f"🚫 The question about this line is closed, it does not run: {line}.{_because(facts)}"


def _grant(what: Happened, facts: Mapping[str, object]) -> str:
    if what is Happened.GRANT_REVOKED:
        return "🔒 The credential was taken away again."
    if what is Happened.GRANT_SWEPT:
        return "🧹 A credential that was left over was removed."
    token = inline_code(_text(facts, "token_id"))
    if facts.get("is_renewal"):
        return f"🔑 The credential was renewed ({token})."
    held = "" if facts.get("has_value_rules") else " The cluster does *not* hold it to the approved values."
    return f"🔑 A credential for this approval alone was issued ({token}).{held}"


def _judged(facts: Mapping[str, object]) -> str:
    verdict = _text(facts, "verdict")
    told = f"{words.VERDICTS.get(verdict, '❔')} {inline_code(_text(facts, 'line'), 600)} — {escaped(verdict, 10)}"
    if facts.get("is_executed"):
        return f"{told}, runs."
    return f"{told}, *refused* ({escaped(_text(facts, 'rule'), 20)}): {escaped(_text(facts, 'reason'), 500)}"


def _ended(facts: Mapping[str, object]) -> str:
    exit_code = facts.get("exit_code")
    ending = "stopped" if exit_code is None else "done" if exit_code == 0 else f"exit code {exit_code}"
    output = _text(facts, "output").strip()
    return f"↳ {ending}\n{code(output, OUTPUT_LIMIT)}" if output else f"↳ {ending}, no output"


def _end(recorded: RecordedEntry, overview: Overview, rendering: Rendering) -> Reply:
    """The last word: state, summary, what ran, what it cost, and what can still be done."""
    sign, title = END_WORDS[recorded.entry.what]
    if recorded.entry.what is Happened.COMPLETED:
        title = words.state_words(replace(overview.resolution, state=State.COMPLETED))
    facts = recorded.entry.facts
    who = f" by {escaped(recorded.entry.by.name, 80)}" if recorded.entry.by else ""
    summary = _text(facts, "summary") or _text(facts, "reason") or overview.resolution.summary or ""
    head = f"{sign} *{title}*{who}"
    blocks: list[Block] = [_section(f"{head}\n{escaped(summary, 2_000)}" if summary else head)]
    steps = facts.get("steps")
    if isinstance(steps, list) and steps:
        told = [f"• {escaped(str(one.get('sentence')), 300)}" for one in steps[:10] if isinstance(one, dict)]
        blocks.append(_section("*What was put back*\n" + "\n".join(told)))
    figures = " · ".join([_totals(overview), *_next(recorded.entry.what, overview)])
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": figures}]})
    blocks += _offer(overview, rendering)
    return Reply(recorded.seq, escaped(f"{sign} {title}: {summary}", 600), blocks)


def _offer(overview: Overview, rendering: Rendering) -> list[Block]:
    """What an investigation would have changed, and the button that asks for it."""
    wanted = offered_request(overview)
    if wanted is None:
        return []
    lines = "\n".join(inline_code(one.line, 300) for one in refused_changes(overview.commands)[:5])
    typed = inline_code(f"/incident resolve {wanted.action_type.value} {wanted.namespace} …", 200)
    value = rendering.signer.value(buttons.OFFER, overview.resolution.id)
    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Ask for this change"},
        "action_id": buttons.OFFER,
        "value": value,
        "accessibility_label": "Ask for the change that this investigation proposes",
    }
    how = f"The button asks for it, with a card of its own; so does {typed}."
    told = f"🧭 *It changed nothing. It proposes*\n{lines}\n{how}"
    return [_section(told), {"type": "actions", "elements": [button]}]


def _totals(overview: Overview) -> str:
    ran = sum(1 for one in overview.commands if one.is_executed)
    refused = len(overview.commands) - ran
    changes = words.counted(overview.changes, "change") if overview.changes else "nothing was changed"
    return " · ".join([f"{words.counted(ran, 'command')} ran, {refused} refused", changes, words.used(overview.usage)])


def _next(what: Happened, overview: Overview) -> list[str]:
    """What can still be done, by the buttons of the card."""
    if what in _UNDOABLE and overview.changes:
        return ["*Roll back…* on the card first shows what an undo would do"]
    return ["*Ask again* on the card asks once more"] if what in _ASKABLE else []


END_WORDS = {
    Happened.COMPLETED: ("✅", "Resolved"),
    Happened.FAILED: ("❌", "Failed"),
    Happened.INTERRUPTED: ("🛑", "Interrupted"),
    Happened.ROLLED_BACK: ("↩️", "Rolled back"),
    Happened.ROLLBACK_FAILED: ("⚠️", "Rollback incomplete"),
    Happened.REJECTED: ("🚫", "Rejected"),
    Happened.EXPIRED: ("⌛", "Nobody answered"),
    Happened.CANCELLED: ("🚫", "Cancelled"),
}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000]}}


def _text(facts: Mapping[str, object], name: str) -> str:
    value = facts.get(name)
    return "" if value is None else str(value)


def _texts(facts: Mapping[str, object], name: str) -> list[str]:
    value = facts.get(name)
    return [escaped(str(one), 240) for one in value[:12]] if isinstance(value, list) else []


def _because(facts: Mapping[str, object]) -> str:
    reason = _text(facts, "reason")
    return f" Reason: {escaped(reason, 500)}" if reason else ""
