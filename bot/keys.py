"""The two keys of the service: one encrypts snapshots, one signs buttons."""

import base64
import binascii
import os
import secrets
from pathlib import Path

from core.errors import InvalidInputError

KEY_BYTES = 32
HOW = "make one with: python3 -c 'import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())'"


def load_key(name: str, *, given: str | None, data: Path, may_make: bool) -> bytes:
    """The key from the setting, else from DATA/keys/NAME, else a new one kept there if `may_make`.

    InvalidInputError when it is malformed, readable by others, or missing where it may not be made.
    """
    if given is not None:
        return _decoded(given, where=f"INCIDENT_RESOLVER_{name.upper()}_KEY")
    file = data / "keys" / name
    if _is_there(file):
        if file.stat().st_mode & 0o077:
            raise InvalidInputError(f"The key file {file} is readable by others; run: chmod 600 {file}")
        return _decoded(file.read_text(encoding="ascii", errors="replace"), where=str(file))
    if not may_make:
        raise InvalidInputError(
            f"With DATABASE_URL set, INCIDENT_RESOLVER_{name.upper()}_KEY (or the file {file}) must be set too, or "
            f"every replica would make its own: {HOW}"
        )
    try:
        return _made(file)
    except OSError as error:
        raise InvalidInputError(
            f"The key file {file} cannot be made ({error.strerror}); set INCIDENT_RESOLVER_DATA to a folder that can."
        ) from error


def renew_key(name: str, *, data: Path) -> bytes:
    """Sets the key in DATA/keys/NAME aside as NAME.old and returns it; the next `load_key` makes a new one.

    One that was set aside before and is still needed is returned as it is: a renewal that was cut short goes on.
    """
    file = data / "keys" / name
    old = file.with_name(f"{name}.old")
    if not old.exists():
        if not file.exists():
            raise InvalidInputError(f"There is no key file {file} to renew.")
        file.rename(old)
    return read_key(old)


def end_renewal(name: str, *, data: Path) -> None:
    """Once nothing is sealed with the old key any more."""
    (data / "keys" / f"{name}.old").unlink(missing_ok=True)


def read_key(file: Path) -> bytes:
    try:
        return _decoded(file.read_text(encoding="ascii", errors="replace"), where=str(file))
    except OSError as error:
        raise InvalidInputError(f"The key file {file} cannot be read.") from error


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError as error:
        raise InvalidInputError(f"The key file {file} cannot be read ({error.strerror}).") from error


def _made(file: Path) -> bytes:
    """Two processes that start at once agree on one key: the first to link it wins."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _decoded(file.read_text(encoding="ascii"), where=str(file))


def _decoded(text: str, *, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError(f"The key in {where} is not base64; {HOW}") from error
    if len(key) != KEY_BYTES:
        raise InvalidInputError(f"The key in {where} has {len(key)} bytes, not {KEY_BYTES}; {HOW}")
    return key
