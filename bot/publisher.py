"""The publisher: renders cards and threads from rows. One leased sender per card, over all replicas."""

import asyncio
import contextlib
from dataclasses import dataclass, field

import structlog
from slack_sdk.errors import SlackApiError

from bot.slack.sender import CardSender, PartlySentError
from core.errors import ResolverError, UnavailableError
from core.ports import CardSlot, CardStore

log = structlog.get_logger()
POLL_SECONDS = 1.0
GAP_SECONDS = 1.2
"""Between two updates of one card: Slack allows about fifty a minute."""
AT_ONCE = 8
RETRY_SECONDS = 2.0
LONG_RETRY_SECONDS = 60.0
_HOPELESS = frozenset({"invalid_auth", "token_revoked", "account_inactive", "missing_scope", "channel_not_found"})


@dataclass(slots=True)
class Publisher:
    """`hint` wakes it early. `problem` says what last went wrong with Slack, None once a card was sent again."""

    cards: CardStore
    sender: CardSender
    owner: str
    hint: asyncio.Event = field(default_factory=asyncio.Event)
    problem: str | None = None

    async def run(self) -> None:
        """Until cancelled. Slack being down loses nothing: cards stay due."""
        while True:
            try:
                slots = await self.cards.claim_cards(self.owner, limit=AT_ONCE)
            except UnavailableError as error:
                log.warning("claim_cards_failed", error=str(error))
                slots = ()
            async with asyncio.TaskGroup() as group:
                for slot in slots:
                    group.create_task(self._publish(slot))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS if not slots else 0.2):
                    await self.hint.wait()
            self.hint.clear()

    async def _publish(self, slot: CardSlot) -> None:
        try:
            sent = await self.sender.send(slot)
            await self.cards.card_sent(sent, next_in_seconds=GAP_SECONDS)
            self.problem = None
        except PartlySentError as error:
            await self._failed(error.slot, error.__cause__ or error)
        except (ResolverError, SlackApiError, OSError, TimeoutError) as error:
            await self._failed(slot, error)

    async def _failed(self, slot: CardSlot, error: BaseException) -> None:
        code = error.response.get("error") if isinstance(error, SlackApiError) else None
        self.problem = f"Slack answered {code}" if code else str(error) or type(error).__name__
        seconds = LONG_RETRY_SECONDS if code in _HOPELESS else RETRY_SECONDS
        log.warning("card_failed", resolution_id=slot.resolution_id, error=self.problem, retry_seconds=seconds)
        try:
            await self.cards.card_failed(slot, retry_in_seconds=seconds)
        except UnavailableError as later:
            log.warning("card_failed_not_noted", error=str(later))
