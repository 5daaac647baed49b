"""Who is calling: an API key, or on the keyless demo whoever sits at this machine."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from core.actor import Actor, Right
from core.errors import NotAllowedError, NotAuthenticatedError
from core.resolution import Person

HOW = "Make one with: incident-resolver api-keys create --name NAME --may view,request,approve,interrupt,rollback"
FindKey = Callable[[str], Awaitable[tuple[str, frozenset[Right]] | None]]
"""An API key's name and rights, None for an unknown or revoked one."""


@dataclass(frozen=True, slots=True)
class KeyDoor:
    """`Authorization: Bearer KEY`. Without or with an unknown key: NotAuthenticatedError that says how to make one."""

    find_key: FindKey

    async def actor(self, request: web.Request) -> Actor:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticatedError(f"This needs an API key, sent as 'Authorization: Bearer KEY'. {HOW}")
        found = await self.find_key(token.strip())
        if found is None:
            raise NotAuthenticatedError(f"This API key is unknown or revoked. {HOW}")
        name, rights = found
        return Actor(Person(f"key:{name}", name), rights, is_approver=Right.APPROVE in rights)


@dataclass(frozen=True, slots=True)
class LocalDoor:
    """The demo's: no key, but only this machine's own programs: its own Host and no foreign Origin.

    That it takes only JSON, which no page of another site can send unasked, is the endpoints' rule for every caller.
    """

    host: str = "127.0.0.1"

    async def actor(self, request: web.Request) -> Actor:
        name, _, port = request.host.partition(":")
        if name.lower() not in {self.host, "localhost", "127.0.0.1"} or not (port or "0").isdecimal():
            raise NotAllowedError(f"The demo answers to its own address only, not to {request.host!r}.")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{request.scheme}://{request.host}":
            raise NotAllowedError("The demo takes no requests from other pages.")
        return Actor(Person("demo", "demo"), frozenset(Right), is_full_member=True, is_approver=True)


Door = KeyDoor | LocalDoor


def decider(actor: Actor, approved_by: str) -> Person:
    """Who is recorded: the authenticated name; another one only where the caller may act for others."""
    if approved_by == actor.person.name:
        return actor.person
    if Right.ACT_FOR_OTHERS not in actor.rights:
        raise NotAllowedError(f"approved_by must be {actor.person.name!r}: this key may not act for others.")
    return Person(f"{actor.person.id}/{approved_by}", approved_by)
