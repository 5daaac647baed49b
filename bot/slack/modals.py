"""Modals: why it is rejected, everything known, what an undo would do, and refusals. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from bot.slack import buttons, cards, plans, questions, words
from bot.slack.buttons import Signer
from bot.slack.text import code, escaped, inline_code, one_line, plain
from core.approval import Approval, Subject
from core.errors import InvalidInputError
from core.overview import Overview
from core.resolution import SnapshotId
from core.snapshot import UndoReport

View = dict[str, Any]
REASON = "reason"
REASON_LIMIT = 2_000
_SHOWN = 12
_BULLETS = 15


def reject_modal(value: str, *, place: tuple[str, str], overview: Overview, question: Approval) -> View:
    """Asks for a reason; carries the signed question and where the card stands."""
    return {
        "type": "modal",
        "callback_id": buttons.REJECT_FORM,
        "private_metadata": json.dumps({"value": value, "channel": place[0], "ts": place[1]}),
        "title": _plain("Reject"),
        "submit": _plain("Reject"),
        "close": _plain("Back"),
        "blocks": [
            _section(_rejected(overview, question)),
            {
                "type": "input",
                "block_id": REASON,
                "label": _plain("Reason"),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "multiline": True,
                    "max_length": REASON_LIMIT,
                    "placeholder": _plain("What should happen instead?"),
                },
            },
        ],
    }


def _rejected(overview: Overview, question: Approval) -> str:
    """What a rejection means: of the whole resolution, or of lines mid-run."""
    if question.subject is Subject.COMMAND:
        told = "This line does not run. The agent hears the reason and goes on without it."
        if question.is_further_plan:
            told = "These lines do not run, and the run ends here. What was changed before can be rolled back."
        return f"*{questions.question_sentence(question)}*\n{told}"
    told = "Nothing will be changed. The reason stands on the card and in history."
    return f"*{cards.card_sentence(overview)}*\n{told}"


def read_private(view: View) -> tuple[str, tuple[str, str]]:
    """(signed value, (channel, ts)) of a modal of ours; InvalidInputError for anything else."""
    try:
        kept = json.loads(view["private_metadata"])
        return str(kept["value"]), (str(kept["channel"]), str(kept["ts"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError("This form is not one of ours; open it again from the card.") from error


def reason_of(view: View) -> str:
    """What was typed, at most 2,000 characters."""
    values = view.get("state", {}).get("values", {})
    return str(values.get(REASON, {}).get(REASON, {}).get("value") or "").strip()[:REASON_LIMIT]


def notice(sentence: str, *, title: str = "Incident Resolver") -> View:
    """Says one thing."""
    return {
        "type": "modal",
        "title": _plain(title[:24]),
        "close": _plain("Close"),
        "blocks": [_section(escaped(sentence, 2_000))],
    }


def question_modal(question: Approval) -> View:
    """All that an approval mid-run binds."""
    blocks = list(questions.question_details(question))
    return {"type": "modal", "title": _plain("Details"), "close": _plain("Close"), "blocks": blocks[:100]}


def details_modal(overview: Overview, *, enforced: Sequence[str] = ()) -> View:
    """All that is known, in the order of a decision: risk, targets, permit, evidence, gaps, commands, numbers.

    `enforced` are sentences on who else than the gate holds an execution to its permit.
    """
    blocks: list[View] = [*_risk(overview), *_permit(overview)]
    if enforced:
        blocks.append(_section(f"*Who enforces it, beside the gate*\n{_bullets(tuple(enforced))}"))
    blocks += [*_evidence(overview), *_commands(overview)]
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": _numbers(overview)}]})
    return {"type": "modal", "title": _plain("Details"), "close": _plain("Close"), "blocks": blocks[:100]}


def _risk(overview: Overview) -> list[View]:
    assessment = overview.assessment
    if assessment is None:
        return [_section("The risk is still being assessed.")]
    return [
        _section(
            f"*Risk {assessment.level.value}* (policy {escaped(assessment.policy_version, 40)})\n"
            f"{_bullets(assessment.factors)}"
        ),
        _section(f"*Impact*\n{escaped(assessment.estimated_impact, 600)}"),
        _section(f"*Mitigation*\n{_bullets(assessment.mitigation_steps)}"),
        _section(f"*Affected*\n{_bullets(tuple(str(one) for one in assessment.affected))}"),
    ]


def _permit(overview: Overview) -> list[View]:
    approval = overview.approval
    if approval is None:
        return []
    permit, sentences = approval.permit, approval.permit.sentences()
    blocks = [
        _section(f"*The permit*\n{_bullets(sentences[:_BULLETS])}"),
        *([_section(_bullets(sentences[_BULLETS:]))] if len(sentences) > _BULLETS else []),
        *plans.details_blocks(permit),
        _section(
            f"At most {permit.token_limit:,} tokens, to be started until {words.time_token(permit.ends_at)}.\n"
            f"Digest {inline_code(permit.digest)}"
        ),
    ]
    decided = [one for one in overview.approvals if one.decided_at is not None]
    return blocks + [_section(cards.decision_words(one)) for one in decided]


def _evidence(overview: Overview) -> list[View]:
    blocks = [
        _section(f"*{escaped(one.source, 60)}*: {escaped(one.title, 200)}\n{code(one.text, 900)}")
        for one in overview.findings[:_SHOWN]
    ]
    if len(overview.findings) > _SHOWN:
        blocks.append(_section(f"… and {len(overview.findings) - _SHOWN} more findings."))
    if overview.gaps:
        told = [f"{gap.source}: {gap.reason}{' (switched off)' if gap.is_off else ''}" for gap in overview.gaps]
        blocks.append(_section(f"*Not known*\n{_bullets(tuple(told))}"))
    return blocks


def _commands(overview: Overview) -> list[View]:
    blocks = []
    for command in overview.commands[-_SHOWN:]:
        output = f"\n{code(command.output, 600)}" if command.output.strip() else ""
        why = "" if command.is_executed else f"\n{escaped(command.reason, 400)}"
        judged = f"{escaped(command.verdict, 10)}, rule {escaped(command.rule, 20)}"
        blocks.append(_section(f"{cards.command_line(command)} ({judged}){why}{output}"))
    return blocks


def _numbers(overview: Overview) -> str:
    resolution = overview.resolution
    snapshot = f" · snapshot `{resolution.snapshot_id}`" if resolution.snapshot_id else ""
    return (
        f"{words.used(overview.usage)} · {escaped(resolution.request.client_id, 128)} · resolution `{resolution.id}`"
        f"{snapshot}"
    )


def looking_modal() -> View:
    """Opened at once, since a trigger lives three seconds; replaced when the answer is there."""
    return notice("Asking the API server what an undo would do…", title="Roll back")


def rollback_modal(report: UndoReport, *, signer: Signer, snapshot_id: SnapshotId, place: tuple[str, str]) -> View:
    """The dry run, object by object; submitting it undoes."""
    signs = {"success": "↩️", "skipped": "⏭️", "conflict": "⚠️", "failed": "❌"}
    told = [
        f"{signs.get(step.status, '❔')} {escaped(step.sentence, 600)}"
        + (f"\n{inline_code(step.command, 200)}" if step.status == "success" else "")
        for step in report.steps[:40]
    ]
    has_something = bool(report.beyond) or any(step.status == "success" for step in report.steps)
    if report.beyond:
        lead = "Part of it goes beyond undoing its own change: that is asked on the card before anything is done."
    elif not has_something:
        lead = "There is nothing that can be put back."
    elif report.is_success:
        lead = "This was checked against the API server; nothing has been changed yet."
    else:
        lead = "Not everything can be put back. What is in conflict is left as it is."
    value = signer.value(buttons.ROLLBACK_FORM, snapshot_id)
    return {
        "type": "modal",
        "callback_id": buttons.ROLLBACK_FORM,
        "private_metadata": json.dumps({"value": value, "channel": place[0], "ts": place[1]}),
        "title": _plain("Roll back"),
        **({"submit": _plain("Ask" if report.beyond else "Roll back")} if has_something else {}),
        "close": _plain("Back"),
        "blocks": [_section(lead), *[_section(one) for one in told]],
    }


def _bullets(sentences: tuple[str, ...]) -> str:
    lines = [f"• {one_line(one, 180)}" for one in sentences[:_BULLETS]]
    if len(sentences) > _BULLETS:
        lines.append(f"• … and {len(sentences) - _BULLETS} more")
    return "\n".join(lines) or "• none"


def _section(text: str) -> View:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000]}}


def _plain(text: str) -> View:
    return {"type": "plain_text", "text": plain(text, 150)}
