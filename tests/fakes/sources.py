"""A context source that answers what a test gives it."""

import asyncio
from dataclasses import dataclass, field

from core.errors import ResolverError
from core.findings import SourceAnswer
from core.resolution import Request


@dataclass
class ScriptedSource:
    """Answers after `delay` seconds, or raises `error`; `off_reason` switches it off; `asked` counts."""

    name: str
    answer: SourceAnswer = field(default_factory=SourceAnswer)
    delay: float = 0
    error: ResolverError | None = None
    off_reason: str | None = None
    asked: int = 0

    async def look(self, request: Request) -> SourceAnswer:
        self.asked += 1
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        return self.answer
