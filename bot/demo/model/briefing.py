"""A Briefing: what the scripted model reads in its first message, as a model would: task, targets and permit."""

import re
from dataclasses import dataclass

_HEADING = re.compile(r"^# (\w+) in namespace ([a-z0-9-]+)", re.MULTILINE)
_ASKED = re.compile(r"^Asked for: (.*)$", re.MULTILINE)
_AFFECTED = re.compile(r"^- (\w+) [a-z0-9-]+/([a-z0-9.-]+): (\d+) of (\d+) replicas ready", re.MULTILINE)
_PODS = re.compile(r"^- delete Pod [a-z0-9-]+/([a-z0-9.-]+)", re.MULTILINE)
_RESTARTS = re.compile(r"^- restart the rollout of (\w+) [a-z0-9-]+/([a-z0-9.-]+)", re.MULTILINE)
_UNDOS = re.compile(r"^- roll (\w+) [a-z0-9-]+/([a-z0-9.-]+) back", re.MULTILINE)
_IMAGES = re.compile(r"^- set the image of (\w+) [a-z0-9-]+/([a-z0-9.-]+) to (.+)$", re.MULTILINE)
_SCALES = re.compile(r"^- scale (\w+) [a-z0-9-]+/([a-z0-9.-]+) to between (\d+) and (\d+) replicas", re.MULTILINE)
_COUNT = re.compile(
    r"\b(?:to|needs?|wants?|give it|run) (\d{1,4})(?= (?:replicas|pods|copies)\b|[.,;]|$)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far one workload may be scaled, and how many replicas it has now. `workload` is as in kubectl: kind/name."""

    workload: str
    now: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Briefing:
    """`pods` may be deleted, `restarts` and `undos` are workloads (kind/name), `images` maps workloads to images."""

    action: str
    namespace: str
    asked: str
    affected: tuple[str, ...]
    pods: tuple[str, ...]
    restarts: tuple[str, ...]
    undos: tuple[str, ...]
    images: dict[str, tuple[str, ...]]
    scales: tuple[Bounds, ...]

    @property
    def wanted_count(self) -> int | None:
        """The number of replicas that was asked for in words, None without one."""
        found = _COUNT.search(self.asked)
        return None if found is None else int(found[1])


def read_briefing(text: str) -> Briefing | None:
    """None where the message is about no incident."""
    heading = _HEADING.search(text)
    if heading is None:
        return None
    asked = _ASKED.search(text)
    counts = {_workload(kind, name): int(wanted) for kind, name, _, wanted in _AFFECTED.findall(text)}
    return Briefing(
        action=heading[1],
        namespace=heading[2],
        asked=asked[1] if asked else "",
        affected=tuple(counts),
        pods=tuple(_PODS.findall(text)),
        restarts=tuple(_workload(*one) for one in _RESTARTS.findall(text)),
        undos=tuple(_workload(*one) for one in _UNDOS.findall(text)),
        images={_workload(kind, name): tuple(images.split(" or ")) for kind, name, images in _IMAGES.findall(text)},
        scales=tuple(
            Bounds(workload, counts.get(workload, int(low)), int(low), int(high))
            for kind, name, low, high in _SCALES.findall(text)
            for workload in [_workload(kind, name)]
        ),
    )


def _workload(kind: str, name: str) -> str:
    return f"{kind.lower()}/{name}"
