"""How a pod fares on the fake kubelet: read from its image, its spec and its annotations. Pure.

Image tags: `*crash*` ends with 1 again and again, `*never-ready*` runs and never becomes ready, and what no registry
has (`*bad*`, `*missing*`, `*does-not-exist*`, or a version with a letter in it, `1.4.O`) cannot be pulled.
Annotations of a pod, the same as the demo's simulator knows: `simulator/corrupt` crashes until the pod is deleted;
`simulator/broken-images` crash whoever runs one; `simulator/half-broken-images` crash the first pod of a ReplicaSet;
`simulator/needs-replicas` keeps pods unready while there are fewer; `simulator/log` is what containers print.
"""

import enum
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Object = dict[str, Any]

START_SECONDS = 0.3
RUN_SECONDS = 0.5
JOB_SECONDS = 2.0
LONGEST_BACK_OFF_SECONDS = 20
_UNPULLABLE = re.compile(r":(\d+\.\d+\.[^0-9].*|.*(bad|missing|does-not-exist).*)$")
_DEFAULT_LOG = "listening on :8080"


class Fate(enum.Enum):
    """What becomes of a pod."""

    READY = "ready"
    UNREADY = "unready"
    CRASHES = "crashes"
    NO_IMAGE = "no image"
    ENDS = "ends"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a pod cannot know of itself: whether its controller had no other when it came, and has how many now."""

    is_first: bool
    siblings: int


def fate(pod: Object, around: Surroundings) -> Fate:
    images = [container["image"] for container in pod["spec"]["containers"]]
    if any(_UNPULLABLE.search(image) for image in images):
        return Fate.NO_IMAGE
    does_crash = (
        any("crash" in _tag(image) for image in images)
        or _note(pod, "corrupt") == "true"
        or not _listed(pod, "broken-images").isdisjoint(images)
        or (around.is_first and not _listed(pod, "half-broken-images").isdisjoint(images))
    )
    if pod["spec"].get("restartPolicy", "Always") != "Always":
        return Fate.FAILS if does_crash else Fate.ENDS
    if does_crash:
        return Fate.CRASHES
    is_short = around.siblings < int(_note(pod, "needs-replicas") or 0)
    return Fate.UNREADY if is_short or any("never-ready" in _tag(image) for image in images) else Fate.READY


def log(pod: Object) -> str:
    return (_note(pod, "log") or _DEFAULT_LOG) + "\n"


@dataclass(frozen=True, slots=True)
class Phase:
    """One moment of a fate: what the status says, and the Warning event that goes with it, if one does."""

    phase: str
    container: Object
    is_ready: bool = False
    restarts: int = 0
    warning: tuple[str, str] | None = None


def moment(pod: Object, fate_now: Fate, *, since: datetime, now: datetime, restarts_before: int | None) -> Phase:
    """Where a pod stands that has had this fate `since` then; `restarts_before` None where it has not run yet."""
    age = (now - since).total_seconds()
    started = since + timedelta(seconds=START_SECONDS)
    image = pod["spec"]["containers"][0]["image"]
    match fate_now:
        case _ if age < START_SECONDS and restarts_before is None:
            return Phase("Pending", {"waiting": {"reason": "ContainerCreating"}})
        case Fate.NO_IMAGE:
            return _unpulled(image, age)
        case Fate.CRASHES:
            return _crashing(started, now, restarts_before or 0)
        case Fate.ENDS | Fate.FAILS if age >= JOB_SECONDS:
            code = 0 if fate_now is Fate.ENDS else 1
            return Phase("Succeeded" if code == 0 else "Failed", ended(started, code))
        case _:
            is_ready = fate_now is not Fate.UNREADY
            return Phase("Running", {"running": {"startedAt": stamp(started)}}, is_ready, restarts_before or 0)


def _unpulled(image: str, age: float) -> Phase:
    error = f'Failed to pull image "{image}": not found'
    if age < START_SECONDS * 3:
        return Phase("Pending", {"waiting": {"reason": "ErrImagePull", "message": error}}, warning=("Failed", error))
    waits = f'Back-off pulling image "{image}": not found'
    return Phase("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": waits}}, warning=("BackOff", waits))


def _crashing(started: datetime, now: datetime, restarts_before: int) -> Phase:
    """Runs half a second, then waits 1, 2, 4 … 20 s: real ones wait 10 s … 5 min."""
    run, restarts = started, restarts_before
    while True:
        ends = run + timedelta(seconds=RUN_SECONDS)
        if now < ends:
            return Phase("Running", {"running": {"startedAt": stamp(run)}}, restarts=restarts)
        back_off = min(2 ** min(restarts - restarts_before, 10), LONGEST_BACK_OFF_SECONDS)
        run = ends + timedelta(seconds=back_off)
        if now < run:
            message = f"back-off {back_off}s restarting failed container"
            waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            return Phase(
                "Running", waiting, restarts=restarts + 1, warning=("BackOff", "Back-off restarting failed container")
            )
        restarts += 1


def ended(at: datetime, code: int) -> Object:
    reason = "Completed" if code == 0 else "Error"
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": stamp(at), "finishedAt": stamp(at)}}


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _tag(image: str) -> str:
    return image.rpartition("/")[2].partition(":")[2]


def _note(pod: Object, name: str) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(f"simulator/{name}", ""))


def _listed(pod: Object, name: str) -> set[str]:
    return set(_note(pod, name).split(","))
