"""The folder an agent works in: the context in words and one file per affected object, never a Secret."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from core.findings import IncidentContext
from core.permit import Permit
from core.resolution import Request
from core.resources import Resource
from core.snapshot import Manifest

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
    """Fills the folder (mode 0700). Secrets are left out, and so are the fields only the API server needs."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "context.md").write_text(text, encoding="utf-8")
    for resource, manifest in objects:
        if resource.kind == "Secret":
            continue
        name = _UNSAFE.sub("-", f"{resource.kind}-{resource.name}".lower())
        body = yaml.safe_dump(_readable(manifest), sort_keys=False, allow_unicode=True)
        (folder / f"{name}.yaml").write_text(body, encoding="utf-8")


def _quoted(text: str) -> list[str]:
    return [f"> {line}" for line in text.splitlines()]


def _readable(manifest: Manifest) -> dict[str, object]:
    plain = dict(manifest)
    metadata = dict(plain.get("metadata", {}))
    metadata.pop("managedFields", None)
    plain["metadata"] = metadata
    return plain
