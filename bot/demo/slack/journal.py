"""The journal of every call and delivery, without the tokens."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Json = dict[str, Any]
Direction = Literal["call", "delivery", "control"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One exchange: a call of the app to us, a delivery of ours to the app, or an act of a person or test."""

    at: float
    direction: Direction
    name: str
    sent: Json
    answer: Json


class Journal:
    """Entries in the order in which they ended."""

    def __init__(self, now: Callable[[], float], *, on_entry: Callable[[], None]) -> None:
        self._now = now
        self._on_entry = on_entry
        self.entries: list[Entry] = []

    def record(self, direction: Direction, name: str, sent: Json, answer: Json) -> None:
        shown = {key: value for key, value in sent.items() if key != "token"}
        self.entries.append(Entry(self._now(), direction, name, shown, answer))
        self._on_entry()

    def calls(self, method: str) -> list[Entry]:
        return [one for one in self.entries if one.direction == "call" and one.name == method]

    def deliveries(self, kind: str) -> list[Entry]:
        return [one for one in self.entries if one.direction == "delivery" and one.name == kind]

    def as_json(self) -> list[Json]:
        return [asdict(one) for one in self.entries]
