"""Who people are: Slack's word on members, guests, bots and groups, kept for ten minutes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.connection import error_code
from core.actor import Actor, Right
from core.errors import NotAllowedError, UnavailableError
from core.resolution import Person

KEPT_SECONDS = 600.0
_NOT_INVITED = frozenset({"channel_not_found", "not_in_channel"})
_MEMBER = frozenset({Right.VIEW, Right.REQUEST, Right.APPROVE, Right.INTERRUPT, Right.ROLLBACK})


@dataclass(slots=True)
class People:
    """Turns ids of Slack into actors.

    `groups` are the ids of user groups that are approvers; `monotonic` is a clock in seconds. A full member is no bot,
    no guest, nobody from another company, not deactivated, and in the channel in question.
    """

    client: AsyncWebClient
    team_id: str
    groups: tuple[str, ...]
    monotonic: Callable[[], float]
    _kept: dict[tuple[str, str], tuple[float, Any]] = field(default_factory=dict)

    async def actor(self, user: str, *, channel: str) -> Actor:
        """NotAllowedError for who is no full member; UnavailableError when Slack does not answer."""
        profile = await self._once("user", user, self._profile)
        if not _is_member(profile, self.team_id):
            raise NotAllowedError("Only full members of this workspace may use this; guests and bots may not.")
        if user not in await self._members(channel, user):
            raise NotAllowedError("Only members of the channel may use this; join it first.")
        mine = frozenset([one for one in self.groups if user in await self._once("group", one, self._group)])
        name = profile.get("profile", {}).get("display_name") or profile.get("real_name") or user
        person = Person(f"slack:{self.team_id}/{user}", str(name))
        return Actor(person, _MEMBER, is_full_member=True, groups=mine)

    async def _members(self, channel: str, user: str) -> frozenset[str]:
        """Asked again at once for somebody who is not in the kept list: they may just have joined."""
        members: frozenset[str] = await self._once("channel", channel, self._channel)
        if user in members:
            return members
        self._kept.pop(("channel", channel), None)
        fresh: frozenset[str] = await self._once("channel", channel, self._channel)
        return fresh

    async def _once(self, kind: str, id_: str, look: Any) -> Any:  # noqa: ANN401  whatever `look` answers
        kept = self._kept.get((kind, id_))
        if kept is not None and self.monotonic() - kept[0] < KEPT_SECONDS:
            return kept[1]
        try:
            found = await look(id_)
        except SlackApiError as error:
            if kind == "channel" and error_code(error) in _NOT_INVITED:
                raise NotAllowedError("I am not in this channel and cannot see who is; /invite me first.") from error
            raise UnavailableError(f"Slack did not say who this is ({error_code(error)}).") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnavailableError("Slack did not say who this is; try again.") from error
        self._kept[kind, id_] = (self.monotonic(), found)
        return found

    async def _profile(self, user: str) -> dict[str, Any]:
        return dict((await self.client.users_info(user=user))["user"])

    async def _group(self, group: str) -> frozenset[str]:
        return frozenset((await self.client.usergroups_users_list(usergroup=group))["users"])

    async def _channel(self, channel: str) -> frozenset[str]:
        found: set[str] = set()
        cursor = ""
        while True:
            page = await self.client.conversations_members(channel=channel, cursor=cursor, limit=1000)
            found |= set(page["members"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return frozenset(found)


def _is_member(profile: dict[str, Any], team_id: str) -> bool:
    flags = ("deleted", "is_bot", "is_restricted", "is_ultra_restricted", "is_stranger", "is_app_user")
    return profile.get("team_id") == team_id and not any(profile.get(flag) for flag in flags)
