"""Moments at which a replica stands still for a test to kill it there: what it was about to record never is."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from storage.executions import Executions


@dataclass(frozen=True, slots=True)
class Moment:
    """Right before the store's `recording`, the first time after a line that begins with `line` was started.

    `mark` is a file that is there from then on.
    """

    recording: str
    line: str
    mark: str

    @property
    def is_reached(self) -> bool:
        return Path(self.mark).exists()


def stand_still(moment: Moment) -> None:
    """Makes this process one that stands still there, its lease renewed and its other tasks alive."""
    add_command, record = Executions.add_command, getattr(Executions, moment.recording)
    started: list[str] = []

    async def started_command(store, resolution, command):
        seq = await add_command(store, resolution, command)
        if command.is_executed and command.line.startswith(moment.line):
            started.append(command.line)
        return seq

    async def never_recorded(store, *args, **kwargs):
        if started:
            Path(moment.mark).touch()
            await asyncio.Event().wait()
        return await record(store, *args, **kwargs)

    Executions.add_command = started_command
    setattr(Executions, moment.recording, never_recorded)
