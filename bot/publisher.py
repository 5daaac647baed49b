"""The publisher: renders cards and threads from rows. One leased sender per card, over all replicas."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from core.card_slots import CardSlot, CardStore
from core.errors import ResolverError, UnavailableError

log = structlog.get_logger()
POLL_SECONDS = 1.0
GAP_SECONDS = 1.2
"""Between two updates of one card: Slack allows about fifty a minute."""
AT_ONCE = 8
RETRY_SECONDS = 2.0
LONG_RETRY_SECONDS = 60.0


class SendFailedError(ResolverError):
    """A card was not sent, or not all of it: `slot` says how far it came. `is_lasting` ones are tried less often."""

    def __init__(self, sentence: str, slot: CardSlot, *, is_lasting: bool = False) -> None:
        super().__init__(sentence)
        self.slot = slot
        self.is_lasting = is_lasting


class Sender(Protocol):
    """Posts or updates a card and its thread; SendFailedError where it could not."""

    async def send(self, slot: CardSlot) -> CardSlot: ...


@dataclass(slots=True)
class Publisher:
    """`hint` wakes it early. `problem` says what last went wrong with Slack, None once a card was sent again."""

    cards: CardStore
    sender: Sender
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
        except SendFailedError as error:
            await self._failed(error)
        except ResolverError as error:
            await self._failed(SendFailedError(str(error), slot))

    async def _failed(self, error: SendFailedError) -> None:
        is_told = error.is_lasting and self.problem == str(error)
        self.problem = str(error)
        seconds = LONG_RETRY_SECONDS if error.is_lasting else RETRY_SECONDS
        tell = log.debug if is_told else log.warning
        tell("card_failed", resolution_id=error.slot.resolution_id, error=str(error), retry_seconds=seconds)
        try:
            await self.cards.card_failed(error.slot, retry_in_seconds=seconds)
        except UnavailableError as later:
            log.warning("card_failed_not_noted", error=str(later))
