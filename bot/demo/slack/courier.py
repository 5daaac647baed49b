"""How an envelope reaches the app: the promise that Socket Mode and signed requests both keep."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from typing_extensions import override

from bot.demo.slack.workspace import Json

EnvelopeKind = Literal["events_api", "slash_commands", "interactive"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: acked with a payload, or not acked and why. Unreachable: nobody was there to be asked."""

    is_acked: bool
    payload: Json = field(default_factory=dict)
    reason: str = ""
    is_reachable: bool = True


class Courier(Protocol):
    """Brings one envelope to the app and waits for its acknowledgement."""

    async def deliver(
        self, kind: EnvelopeKind, payload: Json, *, retry_number: int = 0, retry_reason: str = ""
    ) -> Answer: ...


class ChosenCourier(Courier):
    """Whichever way is set at the moment."""

    def __init__(self, way: Courier) -> None:
        self.way = way

    @override
    async def deliver(
        self, kind: EnvelopeKind, payload: Json, *, retry_number: int = 0, retry_reason: str = ""
    ) -> Answer:
        return await self.way.deliver(kind, payload, retry_number=retry_number, retry_reason=retry_reason)
