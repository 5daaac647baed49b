"""Clerks for what people type: the slash command and the mention. Each records, then acknowledges."""

import re
from dataclasses import dataclass
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.async_app import AsyncAck
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import commands, lists
from bot.slack.commands import (
    SHORTEST_ID,
    Asked,
    Help,
    History,
    Interrupt,
    PauseAll,
    Pending,
    Resolve,
    ResumeAll,
    Rollback,
    Status,
)
from bot.slack.connection import error_code
from bot.slack.people import People
from bot.slack.rollback_window import RollbackWindow
from bot.slack.text import unescaped
from core.actor import Actor
from core.approvals import ApprovalEngine
from core.card_slots import CardStore
from core.errors import InvalidInputError, NotFoundError, ResolverError
from core.intake import Intake, undoable
from core.overview import Overview
from core.ports import HistoryFilter
from core.resolution import ResolutionId

COMMAND = "/incident"
Json = dict[str, Any]
_LOOKED_BACK = 500
_AFTER_MENTION = re.compile(r"\A.*?(?:<@[^>]*>[\s,:]*)+", re.DOTALL)
"""All up to the words for us: a greeting, other people who are mentioned beside us."""
_IN_WINDOW = "↩️ The window shows what an undo would do. Nothing is put back until you press its button."


@dataclass(frozen=True, slots=True)
class Clerk:
    """Does what was typed and says what came of it. `home` is the channel that cards go to, None for where asked."""

    intake: Intake
    engine: ApprovalEngine
    cards: CardStore
    people: People
    client: AsyncWebClient
    window: RollbackWindow
    token_limit: int
    home: str | None

    def register(self, app: AsyncApp) -> None:
        app.command(COMMAND)(self.on_command)
        app.event("app_mention")(self.on_mention)

    async def on_command(self, ack: AsyncAck, body: Json) -> None:
        try:
            channel = body["channel_id"]
            actor = await self.people.actor(body["user_id"], channel=channel)
            asked = commands.parse_command(body.get("text") or "", token_limit=self._limit(actor))
            if isinstance(asked, Rollback):
                await self._preview(asked, ack, body)
                return
            thread = None if self.home else (channel, "")
            told = await self._do(asked, actor, thread=thread, here=None, key=f"slack:{body['trigger_id']}"[:255])
        except ResolverError as error:
            told = f"⚠️ {error}"
        except SlackApiError as error:
            told = f"⚠️ Slack did not open the window ({error_code(error)}); type it again."
        await ack(response_type="ephemeral", text=told)

    async def _preview(self, asked: Rollback, ack: AsyncAck, body: Json) -> None:
        """What an undo would do, in a window with the button that does it."""
        snapshot_id = undoable(await self._named(asked.id, None))
        view_id = await self.window.open(body["trigger_id"])
        await ack(response_type="ephemeral", text=_IN_WINDOW)
        await self.window.fill(view_id, snapshot_id, place=(body["channel_id"], ""))

    async def on_mention(self, event: Json) -> None:
        """Bolt acknowledges events itself; a second delivery of the same one makes no second resolution."""
        channel, ts = event["channel"], event["ts"]
        root = event.get("thread_ts") or ts
        try:
            actor = await self.people.actor(event["user"], channel=channel)
            text = unescaped(_AFTER_MENTION.sub("", event.get("text", ""), count=1))
            asked = commands.parse_command(text, token_limit=self._limit(actor))
            here = await self.cards.resolution_at(channel, root)
            told = await self._do(asked, actor, thread=(channel, root), here=here, key=f"slack:{channel}:{ts}")
        except ResolverError as error:
            told = f"⚠️ {error}"
        await self.client.chat_postMessage(
            channel=channel, thread_ts=root, text=told, unfurl_links=False, unfurl_media=False
        )

    def _limit(self, actor: Actor) -> int:
        return self.intake.token_limit(actor.person, asked=None, setting=self.token_limit)

    async def _do(
        self, asked: Asked, actor: Actor, *, thread: tuple[str, str] | None, here: ResolutionId | None, key: str
    ) -> str:
        match asked:
            case Resolve(request=request):
                overview = await self.intake.request(request, by=actor.person, thread=thread, idempotency_key=key)
                where = f" The card comes to <#{self.home}>." if self.home and thread is None else ""
                return f"🔎 Looking into it: `{overview.resolution.id[:8]}`.{where}"
            case Status(id=None) if here is None:
                found = await self.intake.history(HistoryFilter(limit=5))
                return lists.list_text("The latest", found, empty="Nothing was asked for yet.")
            case Status(id=id_):
                return lists.status_text(await self._named(id_, here))
            case Pending():
                found = await self.intake.pending()
                return lists.list_text("Waiting for an answer", found, empty="Nothing waits for an answer.")
            case History(count=count):
                found = await self.intake.history(HistoryFilter(limit=count))
                return lists.list_text("The latest", found, empty="Nothing was asked for yet.")
            case Help():
                return commands.HELP
            case Interrupt() | Rollback() | PauseAll() | ResumeAll():
                return await self._stop(asked, actor, here)

    async def _stop(
        self, asked: Interrupt | Rollback | PauseAll | ResumeAll, actor: Actor, here: ResolutionId | None
    ) -> str:
        match asked:
            case Interrupt(id=id_, reason=reason):
                found = await self._named(id_, here)
                after = await self.intake.interrupt(found.resolution.id, by=actor.person, reason=reason)
                return f"🛑 {after.resolution.summary or 'Stopping it now; the thread says what was done.'}"
            case Rollback(id=id_):
                snapshot_id = undoable(await self._named(id_, here))
                await self.intake.rollback(snapshot_id, by=actor.person)
                return "↩️ Looking at what that undoes; the thread says what was put back, or the card asks first."
            case PauseAll(reason=reason):
                await self.intake.pause(by=actor.person, reason=reason)
                return "⏸️ Paused: nothing new starts, anywhere. Agents at work go on; interrupt them one by one."
            case ResumeAll():
                self.engine.check_approver(actor)
                await self.intake.resume(by=actor.person)
                return "▶️ Resumed."

    async def _named(self, id_: str | None, here: ResolutionId | None) -> Overview:
        """The resolution with this id or the beginning of it; without one, the thread's."""
        if id_ is None:
            if here is None:
                raise InvalidInputError("Which one? Add its id, which stands at the foot of the card.")
            return await self.intake.overview(here)
        if len(id_) == len("00000000-0000-0000-0000-000000000000"):
            return await self.intake.overview(ResolutionId(id_))
        lately = await self.intake.history(HistoryFilter(limit=_LOOKED_BACK))
        found = [one for one in lately if one.resolution.id.startswith(id_)]
        if len(found) > 1:
            raise InvalidInputError(f"{len(found)} resolutions begin with {id_}; give more of the id.")
        if not found or len(id_) < SHORTEST_ID:
            raise NotFoundError(f"None of the last {_LOOKED_BACK} resolutions begins with {id_}.")
        return found[0]
