"""The folder an agent works in: the context in words and one file per affected object, never a Secret."""

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import yaml

from core.effects import JudgedFile
from core.findings import IncidentContext
from core.permit import Permit
from core.redaction import redact
from core.resolution import Request
from core.resources import Resource
from core.snapshot import Manifest

MOST_BYTES = 256 * 1024
_UNSAFE = re.compile(r"[^a-z0-9.-]+")


def context_text(request: Request, context: IncidentContext, permit: Permit) -> str:
    """What was found out, as Markdown. Findings are quoted text from the cluster: data, whatever they say."""
    lines = [
        f"# {request.action_type.value} in namespace {request.namespace}",
        "",
        f"Asked for: {request.action_description}",
        "",
        "## Affected",
        *(
            f"- {one.resource}: {one.ready_replicas} of {one.desired_replicas} replicas ready"
            for one in context.affected
        ),
        "",
        "## What may be done",
        *(f"- {sentence}" for sentence in permit.sentences()),
        "",
        "## Findings",
    ]
    for finding in context.findings:
        lines += ["", f"### {finding.source}: {finding.title}", "", *_quoted(finding.text)]
    lines += ["", "## Gaps", *(f"- {gap.source}: {gap.reason}" for gap in context.gaps)]
    return "\n".join(lines) + "\n"


def write_workspace(folder: Path, *, text: str, objects: Sequence[tuple[Resource, Manifest]]) -> None:
    """Fills the folder (mode 0700). Secrets are left out, and so are the fields only the API server needs.

    Redacted before they are written: an agent that could edit the text around a secret would make it readable.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "context.md").write_text(redact(text), encoding="utf-8")
    for resource, manifest in objects:
        if resource.kind == "Secret":
            continue
        name = _UNSAFE.sub("-", f"{resource.kind}-{resource.name}".lower())
        body = yaml.safe_dump(_readable(manifest), sort_keys=False, allow_unicode=True)
        (folder / f"{name}.yaml").write_text(redact(body), encoding="utf-8")


class RefusedPathError(Exception):
    """The path leads outside, through a link, or to no plain file."""


def open_workspace_file(folder: Path, name: str, flags: int) -> int:
    """A descriptor of a plain file by its relative name, opened step by step below `folder`, no link followed.

    RefusedPathError or OSError.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or re.search(r"[\x00-\x1f]", name):
        raise RefusedPathError("only relative paths inside the folder")
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            following = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = following
        file = os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    finally:
        os.close(here)
    shown = os.fstat(file)
    if not stat.S_ISREG(shown.st_mode) or shown.st_nlink > 1:
        os.close(file)
        raise RefusedPathError("only plain files")
    return file


def read_workspace_file(folder: Path, name: str) -> bytes | None:
    """The whole of a plain file by its relative name; None for links, folders, what is outside, and what is large."""
    try:
        with os.fdopen(open_workspace_file(folder, name, os.O_RDONLY), "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (RefusedPathError, OSError):
        return None
    return content if len(content) <= MOST_BYTES else None


@contextmanager
def sealed_folder(files: Sequence[JudgedFile]) -> Iterator[Path]:
    """A folder of our own that holds exactly these bytes, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="incident-resolver-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for one in files:
            place = folder / one.name
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.write_bytes(one.content)
            place.chmod(0o400)
        yield folder


def _quoted(text: str) -> list[str]:
    return [f"> {line}" for line in text.splitlines()]


def _readable(manifest: Manifest) -> dict[str, object]:
    plain = dict(manifest)
    metadata = dict(plain.get("metadata", {}))
    metadata.pop("managedFields", None)
    plain["metadata"] = metadata
    return plain
