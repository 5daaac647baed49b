"""helm, found where the environment says, else built from a Go module of its own into the cache."""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers.kubernetes.programs import BUILD_SECONDS, find_go
from tests.servers.parts import PartMissingError

_HERE = Path(__file__).parent
_PACKAGE = "helm.sh/helm/v3/cmd/helm"


def find_or_build() -> Path:
    """The program that `HELM_PATH` names if that is set, else the one in the cache folder, built when missing.

    A cold build takes a minute or two. Raises PartMissingError.
    """
    if given := os.environ.get("HELM_PATH"):
        if not os.access(given, os.X_OK):
            raise PartMissingError(f"the program {given} (HELM_PATH)")
        return Path(given)
    program = cache_folder() / "helm"
    if not program.exists():
        _build(program)
    return program


def cache_folder() -> Path:
    """A folder outside the checkout, named after all that helm is made of."""
    inputs = "\0".join((_HERE / name).read_text() for name in ("go.mod", "go.sum"))
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "incident-resolver" / "helm" / hashlib.sha256(inputs.encode()).hexdigest()[:16]


def _build(program: Path) -> None:
    """Built under another name and renamed, so that a build that was cut short is never taken for a whole one."""
    go = find_go()
    program.parent.mkdir(parents=True, exist_ok=True)
    with (program.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            return
        unfinished = Path(tempfile.mkdtemp(dir=program.parent)) / "helm"
        done = subprocess.run(
            [
                go,
                "build",
                "-p",
                "2",
                "-trimpath",
                "-mod=readonly",
                "-ldflags",
                "-s -w",
                "-o",
                str(unfinished),
                _PACKAGE,
            ],
            cwd=_HERE,
            env=os.environ | {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        if done.returncode:
            raise PartMissingError(f"a build of helm: {done.stderr.strip()[-600:]}")
        unfinished.rename(program)
        unfinished.parent.rmdir()


if __name__ == "__main__":
    try:
        print(find_or_build())
    except PartMissingError as error:
        sys.exit(f"missing: {error}")
