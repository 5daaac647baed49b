"""Writes go.mod and go.sum anew, to change a version: `python -m tests.servers.kubernetes.modules`.

Kubernetes requires its own libraries at v0.0.0 and replaces them by folders of its repository. Replacements of a
dependency are ignored by Go, so this module names each library's published version instead. etcd stands in a module of
its own: its requirements are others.
"""

import json
import os
import re
import subprocess
from pathlib import Path

from tests.servers.kubernetes.programs import ETCD_VERSION, GO_AT_LEAST, KUBERNETES_VERSION, MODULES, find_go

_HERE = Path(__file__).parent
_LIBRARY = re.compile(r"^\s*(k8s\.io/\S+) => \./staging/", re.MULTILINE)


def write_modules() -> None:
    language = f"-go={'.'.join(map(str, GO_AT_LEAST))}.0"
    tools = {module: [f"-tool={package}" for package in packages] for module, packages in MODULES.items()}
    kubernetes = f"k8s.io/kubernetes@v{KUBERNETES_VERSION}"
    _start("kube")
    libraries = f"v0{KUBERNETES_VERSION[1:]}"
    own = json.loads(_go("kube", "mod", "download", "-json", kubernetes))["GoMod"]
    replaced = _LIBRARY.findall(Path(own).read_text(encoding="utf-8"))
    edits = [f"-replace={name}={name}@{libraries}" for name in replaced]
    godebug = f"-godebug=default=go{'.'.join(map(str, GO_AT_LEAST))}"
    _go("kube", "mod", "edit", language, godebug, f"-require={kubernetes}", *tools["kube"], *edits)
    _go("kube", "mod", "tidy")
    _start("etcd")
    _go("etcd", "mod", "edit", language, f"-require={MODULES['etcd'][0]}@v{ETCD_VERSION}", *tools["etcd"])
    _go("etcd", "mod", "tidy")


def _start(module: str) -> None:
    for name in ("go.mod", "go.sum"):
        (_HERE / module / name).unlink(missing_ok=True)
    _go(module, "mod", "init", f"testservers/{module}")


def _go(module: str, *arguments: str) -> str:
    return subprocess.run(
        [find_go(), *arguments],
        cwd=_HERE / module,
        env=os.environ | {"GOTOOLCHAIN": "local"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


if __name__ == "__main__":
    write_modules()
