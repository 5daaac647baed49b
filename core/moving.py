"""Moves that several stretches of the flow make, and what losing one means."""

from core.errors import LeaseLostError
from core.history import Entry, Happened
from core.ports import Transaction
from core.resolution import Resolution, State


def held(moved: bool) -> None:  # noqa: FBT001  the one positional answer of move()
    """LeaseLostError where another worker moved it first."""
    if not moved:
        raise LeaseLostError("Another worker moved this resolution.")


async def fail(tx: Transaction, resolution: Resolution, sentence: str, *, has_changed: bool = False) -> None:
    """Ends as failed; where something was changed and the policy says so, goes on to roll it back."""
    facts = {"summary": sentence}
    if has_changed and resolution.auto_rollback:
        entry = Entry(Happened.ROLLBACK_STARTED, resolution.id, None, facts)
        moved = await tx.move(resolution, to=State.ROLLING_BACK, because=entry, wake_in_seconds=0, summary=sentence)
    else:
        entry = Entry(Happened.FAILED, resolution.id, None, facts)
        moved = await tx.move(resolution, to=State.FAILED, because=entry, summary=sentence)
    held(moved)


def told_why(words: str, reason: str) -> str:
    """`words` and the reason that a person gave, as one sentence that another may follow; none is no reason."""
    if not reason:
        return f"{words}."
    return f"{words}: {reason}{'' if reason.endswith(('.', '!', '?', '…')) else '.'}"
