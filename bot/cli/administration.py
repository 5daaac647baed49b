"""The small commands: tables, API keys, history's chain, snapshot keys, pause and resume."""

import argparse
import getpass
from pathlib import Path

from bot.administration import TABLES, open_administration, open_resealing, tables_version
from bot.keys import end_renewal, read_key, renew_key
from bot.settings import Settings
from core.actor import Right
from core.errors import InvalidInputError
from core.resolution import Person


async def upgrade(settings: Settings, _: argparse.Namespace) -> int:
    before = await tables_version(settings, may_upgrade=True)
    was = "had no tables" if before is None else f"was at {before}"
    print(f"The database {was}; it is at {TABLES} now.")
    return 0


async def status(settings: Settings, _: argparse.Namespace) -> int:
    """Exit status 1 where the tables are not of this version."""
    found = await tables_version(settings, may_upgrade=False)
    where = "DATABASE_URL" if settings.database_url else f"embedded in {settings.data}"
    print(f"database: {where}\ntables: {found or 'none'}\nthis program: {TABLES}")
    if found != TABLES:
        print("Run: incident-resolver db upgrade")
        return 1
    return 0


async def verify_history(settings: Settings, _: argparse.Namespace) -> int:
    """Exit status 1 where an entry was changed, removed or put in between."""
    async with open_administration(settings) as administration:
        found = await administration.store.verify_history()
    if found.broken_at is None:
        print(f"The history is whole: {found.entries} entries, each fits the one before.")
        return 0
    print(f"The history does not fit from entry {found.broken_at} on: it was changed, cut or added to by other means.")
    return 1


async def create_key(settings: Settings, given: argparse.Namespace) -> int:
    rights = _rights(given.may)
    name = given.name.strip()
    if not 1 <= len(name) <= 128 or not name.isprintable():  # noqa: PLR2004  the contract's limit of names
        raise InvalidInputError("--name: 1 to 128 printable characters.")
    async with open_administration(settings) as administration:
        key = await administration.keys.create(name, rights)
    print(key)
    return 0


async def list_keys(settings: Settings, _: argparse.Namespace) -> int:
    async with open_administration(settings) as administration:
        for key in await administration.keys.all():
            ended = f"revoked {key.revoked_at:%Y-%m-%d %H:%M} UTC" if key.revoked_at else "valid"
            rights = ",".join(sorted(one.value for one in key.rights))
            print(f"{key.name}\t{rights}\t{ended}")
    return 0


async def revoke_key(settings: Settings, given: argparse.Namespace) -> int:
    async with open_administration(settings) as administration:
        await administration.keys.revoke(given.name)
    print(f"The key {given.name!r} is revoked.")
    return 0


async def pause(settings: Settings, given: argparse.Namespace) -> int:
    async with open_administration(settings) as administration:
        await administration.intake.pause(by=_operator(), reason=given.reason)
    print("Paused: nothing new starts until `incident-resolver resume`. Agents at work go on.")
    return 0


async def resume(settings: Settings, _: argparse.Namespace) -> int:
    async with open_administration(settings) as administration:
        await administration.intake.resume(by=_operator())
    print("Resumed.")
    return 0


async def rotate(settings: Settings, given: argparse.Namespace) -> int:
    """Snapshots that the former key sealed are sealed with the present one; safe to repeat where it was cut short."""
    is_own_file = given.old_key_file is None
    if is_own_file and settings.snapshot_key is not None:
        raise InvalidInputError("With INCIDENT_RESOLVER_SNAPSHOT_KEY set to the new key, --old-key-file is needed.")
    old = renew_key("snapshot", data=settings.data) if is_own_file else read_key(Path(given.old_key_file))
    async with open_resealing(settings) as resealing:
        count = await resealing.from_key(old)
    if is_own_file:
        end_renewal("snapshot", data=settings.data)
    print(f"{count} snapshot entries are encrypted with the present key now; the former one is not needed any more.")
    return 0


def _operator() -> Person:
    """Whoever is logged in on this machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "operator"
    return Person(f"cli:{name}", name)


def _rights(text: str) -> frozenset[Right]:
    words = [one.strip() for one in text.split(",") if one.strip()]
    known = {one.value: one for one in Right}
    wrong = [one for one in words if one not in known]
    if wrong or not words:
        raise InvalidInputError(
            f"--may: there is no right {', '.join(wrong) or '(none given)'}; use {', '.join(known)}."
        )
    return frozenset(known[one] for one in words)
