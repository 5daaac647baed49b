"""Sends one card and its thread, so that nothing is posted twice and what was lost is found again."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.publisher import SendFailedError
from bot.slack import cards, thread
from bot.slack.cards import Card, Rendering
from bot.slack.connection import error_code
from bot.slack.questions import question_card
from core.approval import Approval
from core.card_slots import CardSlot
from core.errors import ResolverError
from core.history import Happened, RecordedEntry
from core.overview import Overview
from core.ports import Store

EVENT_TYPE = "incident_resolver"
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
_NOT_HERE = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action"})
_NO_THREAD = frozenset({"thread_not_found", "invalid_thread_ts", "message_not_found", "cannot_reply_to_message"})
_LASTING = _NOT_HERE | {"invalid_auth", "token_revoked", "account_inactive", "missing_scope"}
_LOOKED_THROUGH = 200
_QUESTIONS = frozenset({Happened.QUESTION_ASKED, Happened.QUESTION_ENDED})


@dataclass(frozen=True, slots=True)
class CardSender:
    """Posts or updates the card, then the new replies in order. `home` is where cards go unless asked elsewhere."""

    client: AsyncWebClient
    store: Store
    rendering: Rendering
    home: str | None

    async def send(self, slot: CardSlot) -> CardSlot:
        """The slot as it stands afterwards; SendFailedError says how far it came."""
        progress = _Progress(slot)
        try:
            return await self._send(progress)
        except SlackApiError as error:
            code = error_code(error)
            sentence = f"Slack answered {code}."
            raise SendFailedError(sentence, progress.slot, is_lasting=code in _LASTING) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SendFailedError("Slack does not answer.", progress.slot) from error

    async def _send(self, progress: "_Progress") -> CardSlot:
        slot = progress.slot
        overview = await self.store.overview(slot.resolution_id)
        if overview is None:
            raise ResolverError(f"There is no resolution {slot.resolution_id}.")
        card = cards.resolution_card(overview, self.rendering)
        progress.slot = await self._place(slot, card)
        await self._replies(progress, overview)
        return replace(progress.slot, sent_seq=overview.history_seq)

    async def _place(self, slot: CardSlot, card: Card) -> CardSlot:
        if slot.ts is None and slot.is_uncertain:
            slot = await self._found_again(slot)
        if slot.ts is None or slot.channel is None:
            return await self._post(slot, card)
        try:
            await self.client.chat_update(
                channel=slot.channel, ts=slot.ts, text=card.text, blocks=card.blocks, metadata=_metadata(slot, 0)
            )
        except SlackApiError as error:
            if error_code(error) in _GONE:
                return await self._post(replace(slot, ts=None), card)
            raise
        return slot

    async def _post(self, slot: CardSlot, card: Card) -> CardSlot:
        channel = slot.channel or self.home
        if channel is None:
            raise SendFailedError("SLACK_CHANNEL is not set, so a card has nowhere to go.", slot, is_lasting=True)
        try:
            return await self._post_to(channel, slot, card)
        except SlackApiError as error:
            is_elsewhere = self.home is not None and channel != self.home
            if error_code(error) in _NO_THREAD and slot.reply_to:
                return await self._post_to(channel, replace(slot, reply_to=None), card)
            if error_code(error) in _NOT_HERE and is_elsewhere:
                return await self._post_to(str(self.home), replace(slot, reply_to=None), card)
            raise

    async def _post_to(self, channel: str, slot: CardSlot, card: Card) -> CardSlot:
        posted = await self.client.chat_postMessage(
            channel=channel,
            thread_ts=slot.reply_to or None,
            text=card.text,
            blocks=card.blocks,
            metadata=_metadata(slot, 0),
            unfurl_links=False,
            unfurl_media=False,
        )
        return replace(slot, channel=str(posted["channel"]), ts=str(posted["ts"]))

    async def _found_again(self, slot: CardSlot) -> CardSlot:
        """A sender may have died between Slack's answer and our note of it: its message carries our nonce."""
        channel = slot.channel or self.home
        if channel is None:
            return slot
        if slot.reply_to:
            seen = await self.client.conversations_replies(
                channel=channel, ts=slot.reply_to, include_all_metadata=True, limit=_LOOKED_THROUGH
            )
        else:
            seen = await self.client.conversations_history(
                channel=channel, include_all_metadata=True, limit=_LOOKED_THROUGH
            )
        for message in seen["messages"]:
            if _seq_of(message, slot) == 0:
                return replace(slot, channel=channel, ts=str(message["ts"]))
        return slot

    async def _replies(self, progress: "_Progress", overview: Overview) -> None:
        slot = progress.slot
        entries = await self.store.entries(slot.resolution_id, after_seq=slot.thread_seq)
        root = str(slot.reply_to or slot.ts)
        if not entries:  # a pause began or ended, which stands on every card
            await self._redraw(slot, root, [overview.question] if overview.question else [], overview)
            return
        try:
            await self._reply(progress, overview, entries, root=root)
        except SlackApiError as error:
            if error_code(error) not in _NO_THREAD or not slot.reply_to:
                raise
            await self._reply(progress, overview, entries, root=str(slot.ts))

    async def _reply(
        self, progress: "_Progress", overview: Overview, entries: Sequence[RecordedEntry], *, root: str
    ) -> None:
        slot = progress.slot
        if any(one.entry.what in _QUESTIONS for one in entries):  # they may be newer than what the card was drawn from
            overview = await self.store.overview(slot.resolution_id) or overview
            await self._end_questions(slot, root, entries, overview)
        done = await self._posted_already(slot, root) if slot.is_uncertain else slot.thread_seq
        for reply in thread.replies([one for one in entries if one.seq > done], overview, self.rendering):
            await self.client.chat_postMessage(
                channel=str(slot.channel),
                thread_ts=root,
                text=reply.text,
                blocks=reply.blocks,
                metadata=_metadata(slot, reply.seq, question=reply.question),
                unfurl_links=False,
                unfurl_media=False,
            )
            progress.slot = replace(slot, thread_seq=reply.seq)
        progress.slot = replace(slot, thread_seq=max(done, entries[-1].seq))

    async def _end_questions(
        self, slot: CardSlot, root: str, entries: Sequence[RecordedEntry], overview: Overview
    ) -> None:
        """Cards of questions that have ended lose their buttons, before the thread tells how."""
        ended = {one.entry.facts.get("approval_id") for one in entries if one.entry.what is Happened.QUESTION_ENDED}
        asked = [one for one in overview.approvals if one.id in ended and one.permit.lines]
        await self._redraw(slot, root, asked, overview)

    async def _redraw(self, slot: CardSlot, root: str, questions: Sequence[Approval], overview: Overview) -> None:
        """Each as it stands by now; why it was asked is told in the entry that put it."""
        asked = await self.store.entries(slot.resolution_id) if questions else []
        for question in questions:
            place = await self._question_at(slot, root, question.id)
            if place is None:
                continue  # it is posted with these entries, as it stands by now
            ts, seq = place
            card = question_card(overview, question, self.rendering, why=thread.why_asked(asked, question))
            try:
                await self.client.chat_update(
                    channel=str(slot.channel),
                    ts=ts,
                    text=card.text,
                    blocks=card.blocks,
                    metadata=_metadata(slot, seq, question=question.id),
                )
            except SlackApiError as error:
                if error_code(error) not in _GONE:
                    raise

    async def _question_at(self, slot: CardSlot, root: str, question: str) -> tuple[str, int] | None:
        """(ts, seq) of the message that asks it, found by its metadata; None where it was not posted."""
        async for message in self._thread(slot, root):
            seq = _seq_of(message, slot)
            if seq is not None and message["metadata"]["event_payload"].get("question") == question:
                return str(message["ts"]), seq
        return None

    async def _posted_already(self, slot: CardSlot, root: str) -> int:
        return max([slot.thread_seq, *[_seq_of(one, slot) or 0 async for one in self._thread(slot, root)]])

    async def _thread(self, slot: CardSlot, root: str) -> AsyncIterator[dict[str, Any]]:
        """Every message of the thread, page by page."""
        cursor = ""
        while True:
            seen = await self.client.conversations_replies(
                channel=str(slot.channel), ts=root, include_all_metadata=True, limit=_LOOKED_THROUGH, cursor=cursor
            )
            for message in seen["messages"]:
                yield message
            cursor = (seen.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return


@dataclass(slots=True)
class _Progress:
    """How far a sending has come."""

    slot: CardSlot


def _metadata(slot: CardSlot, seq: int, *, question: str | None = None) -> dict[str, Any]:
    payload: dict[str, Any] = {"nonce": slot.nonce, "seq": seq}
    return {"event_type": EVENT_TYPE, "event_payload": payload | ({"question": question} if question else {})}


def _seq_of(message: dict[str, Any], slot: CardSlot) -> int | None:
    """Which of this card's messages it is: 0 the card, else the newest history entry in it; None for others."""
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    if metadata.get("event_type") != EVENT_TYPE or payload.get("nonce") != slot.nonce:
        return None
    return int(payload.get("seq", 0))
