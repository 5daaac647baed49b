"""Where Slack cards stand, and the port to the rows that say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.resolution import ResolutionId


@dataclass(frozen=True, slots=True)
class CardSlot:
    """Where a resolution's card stands.

    `ts` is None before it was posted; `thread_seq` is the newest history entry that was posted to the thread; `nonce`
    goes into message metadata so that a lost answer can be found again; `reply_to` is the ts of the message that asked.
    `is_uncertain` is true where the sender before this one failed or died, so that more may be posted than is noted.
    `nudges` counts what changes cards without an entry of theirs (a pause): one that came meanwhile makes it due again.
    """

    resolution_id: ResolutionId
    epoch: int
    nonce: str
    channel: str | None = None
    ts: str | None = None
    reply_to: str | None = None
    sent_seq: int = 0
    thread_seq: int = 0
    is_uncertain: bool = False
    nudges: int = 0


class CardStore(Protocol):
    """One leased sender per card, rendering from the newest rows."""

    async def claim_cards(self, owner: str, *, limit: int) -> Sequence[CardSlot]:
        """Cards whose resolution has newer history than was sent, whose gap has passed and which nobody is sending.

        A new card waits for the first second of gathering: mostly it can then be posted as the question at once.
        """

    async def card_sent(self, slot: CardSlot, *, next_in_seconds: float) -> bool:
        """Records channel, ts, sent_seq and thread_seq under the slot's epoch; False (render again) if it is lost."""

    async def card_failed(self, slot: CardSlot, *, retry_in_seconds: float) -> None: ...

    async def card_place(self, resolution_id: ResolutionId) -> tuple[str, str] | None:
        """(channel, ts) of the card, None before it was posted."""

    async def resolution_at(self, channel: str, ts: str) -> ResolutionId | None:
        """Whose card or thread this message belongs to."""
