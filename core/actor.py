"""Who is asking through a door, and what that door lets them do."""

import enum
from dataclasses import dataclass

from core.errors import NotAllowedError
from core.resolution import Person


class Right(enum.Enum):
    """What a caller may do; the words of `api-keys create --may`."""

    VIEW = "view"
    REQUEST = "request"
    APPROVE = "approve"
    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"
    ACT_FOR_OTHERS = "act-for-others"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person as a door knows them.

    `is_full_member` is true for full members of the Slack workspace (no guest, no bot); `groups` are ids of Slack
    user groups they are in. `is_approver` is true for an API key that may approve: such a key is an approver.
    """

    person: Person
    rights: frozenset[Right]
    is_full_member: bool = False
    groups: frozenset[str] = frozenset()
    is_approver: bool = False

    def require(self, right: Right) -> None:
        """Raises NotAllowedError unless the door gave this right."""
        if right not in self.rights:
            raise NotAllowedError(f"{self.person.name} may not {_WORDS[right]} here.")


_WORDS = {
    Right.VIEW: "look at resolutions",
    Right.REQUEST: "ask for a resolution",
    Right.APPROVE: "approve or reject",
    Right.INTERRUPT: "interrupt",
    Right.ROLLBACK: "roll back",
    Right.ACT_FOR_OTHERS: "act for others",
}
