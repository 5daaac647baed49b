"""Clerks for buttons and forms: permission is checked at the click and again at the submission."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.async_app import AsyncAck
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import buttons, modals
from bot.slack.buttons import Signer
from bot.slack.connection import error_code
from bot.slack.people import People
from bot.slack.rollback_window import RollbackWindow
from core.actor import Actor
from core.approval import Answer
from core.approvals import ApprovalEngine
from core.errors import InvalidInputError, ResolverError
from core.intake import Intake
from core.ports import Clock
from core.resolution import ApprovalId, ResolutionId, SnapshotId

log = structlog.get_logger()
Json = dict[str, Any]
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Clicks:
    """Records what people press. A refusal is told to that person alone; the record is the truth, not the card."""

    intake: Intake
    engine: ApprovalEngine
    people: People
    client: AsyncWebClient
    signer: Signer
    window: RollbackWindow
    clock: Clock
    enforced: tuple[str, ...] = ()

    def register(self, app: AsyncApp) -> None:
        app.action(buttons.APPROVE)(self.on_approve)
        app.action(buttons.REJECT)(self.on_reject)
        app.action(buttons.DETAILS)(self.on_details)
        app.action(buttons.QUESTION)(self.on_question)
        app.action(buttons.OFFER)(self.on_offer)
        app.action(buttons.INTERRUPT)(self.on_interrupt)
        app.action(buttons.ROLLBACK)(self.on_rollback)
        app.action(buttons.ASK_AGAIN)(self.on_ask_again)
        app.view(buttons.REJECT_FORM)(self.on_reject_form)
        app.view(buttons.ROLLBACK_FORM)(self.on_rollback_form)

    async def on_approve(self, ack: AsyncAck, body: Json) -> None:
        async def approve(actor: Actor, id_: str, digest: str) -> None:
            answer = Answer(ApprovalId(id_), actor.person, is_approval=True, reason="", digest=digest)
            await self.intake.decide(answer, actor=actor)

        await self._pressed(ack, body, buttons.APPROVE, approve)

    async def on_reject(self, ack: AsyncAck, body: Json) -> None:
        async def ask_why(actor: Actor, id_: str, digest: str) -> None:
            overview = await self.intake.approval_of(ApprovalId(id_))
            question = next(one for one in overview.approvals if one.id == id_)
            answer = Answer(question.id, actor.person, is_approval=False, reason="", digest=digest)
            self.engine.judge_answer(question, answer, actor=actor, now=self.clock())
            form = modals.reject_modal(
                self.signer.value(buttons.REJECT_FORM, id_, digest),
                place=_place(body),
                overview=overview,
                question=question,
            )
            await self.client.views_open(trigger_id=body["trigger_id"], view=form)

        await self._pressed(ack, body, buttons.REJECT, ask_why)

    async def on_reject_form(self, ack: AsyncAck, body: Json) -> None:
        async def reject(actor: Actor, id_: str, digest: str) -> None:
            reason = modals.reason_of(body["view"])
            answer = Answer(ApprovalId(id_), actor.person, is_approval=False, reason=reason, digest=digest)
            await self.intake.decide(answer, actor=actor)

        await self._submitted(ack, body, buttons.REJECT_FORM, reject)

    async def on_details(self, ack: AsyncAck, body: Json) -> None:
        async def show(_: Actor, id_: str, __: str) -> None:
            overview = await self.intake.overview(ResolutionId(id_))
            view = modals.details_modal(overview, enforced=self.enforced)
            await self.client.views_open(trigger_id=body["trigger_id"], view=view)

        await self._pressed(ack, body, buttons.DETAILS, show)

    async def on_question(self, ack: AsyncAck, body: Json) -> None:
        async def show(_: Actor, id_: str, __: str) -> None:
            overview = await self.intake.approval_of(ApprovalId(id_))
            question = next(one for one in overview.approvals if one.id == id_)
            await self.client.views_open(trigger_id=body["trigger_id"], view=modals.question_modal(question))

        await self._pressed(ack, body, buttons.QUESTION, show)

    async def on_offer(self, ack: AsyncAck, body: Json) -> None:
        async def ask(actor: Actor, id_: str, _: str) -> None:
            await self.intake.take_offer(ResolutionId(id_), by=actor.person)

        await self._pressed(ack, body, buttons.OFFER, ask)

    async def on_interrupt(self, ack: AsyncAck, body: Json) -> None:
        async def interrupt(actor: Actor, id_: str, _: str) -> None:
            await self.intake.interrupt(ResolutionId(id_), by=actor.person, reason="")

        await self._pressed(ack, body, buttons.INTERRUPT, interrupt)

    async def on_ask_again(self, ack: AsyncAck, body: Json) -> None:
        async def ask(actor: Actor, id_: str, _: str) -> None:
            thread = (_place(body)[0], str((body.get("container") or {}).get("thread_ts") or ""))
            await self.intake.ask_again(ResolutionId(id_), by=actor.person, thread=thread)

        await self._pressed(ack, body, buttons.ASK_AGAIN, ask)

    async def on_rollback(self, ack: AsyncAck, body: Json) -> None:
        async def preview(_: Actor, id_: str, __: str) -> None:
            view_id = await self.window.open(body["trigger_id"])
            await ack()
            await self.window.fill(view_id, SnapshotId(id_), place=_place(body))

        await self._pressed(ack, body, buttons.ROLLBACK, preview)

    async def on_rollback_form(self, ack: AsyncAck, body: Json) -> None:
        async def roll_back(actor: Actor, id_: str, _: str) -> None:
            await self.intake.rollback(SnapshotId(id_), by=actor.person)

        await self._submitted(ack, body, buttons.ROLLBACK_FORM, roll_back)

    async def _pressed(
        self, ack: AsyncAck, body: Json, action: str, act: Callable[[Actor, str, str], Awaitable[None]]
    ) -> None:
        """Who and what are known before anything is done; recorded before it is acknowledged."""
        channel, ts = _place(body)
        try:
            actor = await self.people.actor(body["user"]["id"], channel=channel)
            id_, digest = self.signer.read(action, _value(body, action))
            await act(actor, id_, digest)
        except ResolverError as error:
            await self._tell(body, channel, ts, str(error))
        except SlackApiError as error:
            await self._tell(body, channel, ts, f"Slack did not open the window ({error_code(error)}); press again.")
        await ack()

    async def _submitted(
        self, ack: AsyncAck, body: Json, action: str, act: Callable[[Actor, str, str], Awaitable[None]]
    ) -> None:
        try:
            value, (channel, _) = modals.read_private(body["view"])
            actor = await self.people.actor(body["user"]["id"], channel=channel)
            await act(actor, *self.signer.read(action, value))
        except ResolverError as error:
            await ack(response_action="update", view=modals.notice(str(error)))
            return
        await ack()

    async def _tell(self, body: Json, channel: str, ts: str, sentence: str) -> None:
        """To this person alone; never the only copy of anything."""
        root = (body.get("message") or {}).get("thread_ts")
        try:
            await self.client.chat_postEphemeral(
                channel=channel, user=body["user"]["id"], thread_ts=root if root != ts else None, text=f"⚠️ {sentence}"
            )
        except (SlackApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("ephemeral_failed", error=type(error).__name__, channel=channel, ts=ts)


def _place(body: Json) -> Place:
    container = body.get("container") or {}
    channel = container.get("channel_id") or (body.get("channel") or {}).get("id")
    ts = container.get("message_ts")
    if not channel or not ts:
        raise InvalidInputError("This button stands on no message.")
    return str(channel), str(ts)


def _value(body: Json, action: str) -> str:
    pressed = [one for one in body.get("actions") or [] if one.get("action_id") == action]
    if len(pressed) != 1:
        raise InvalidInputError("Exactly one button can be pressed at a time.")
    return str(pressed[0].get("value") or "")
