"""Makes the flag tables from the pinned programs' own help: `python -m core.commands.generate_flags KUBECTL [HELM]`.

A table says for each verb and flag: shorthand or "", and whether it takes a value ("value"), none ("bool"), or one only
when joined by = ("optional").
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KUBECTL_FILE = Path(__file__).parent / "kubectl_flags.json"
HELM_FILE = Path(__file__).parent / "helm_flags.json"
Flags = dict[str, list[str]]
_KUBECTL_FLAG = re.compile(r"^ {4}(?:-(?P<short>\w), )?--(?P<name>[\w-]+)=(?P<default>.*):$")
_HELM_FLAG = re.compile(
    r"^ {2,}(?:-(?P<short>\w), )?--(?P<name>[\w-]+)(?: (?P<type>[\w/]+)(?P<optional>\[=.*?\])?)?(?: {2,}|$)"
)
_COMMAND = re.compile(r"^  (?P<name>[a-z][\w-]*) {2,}\S")
_ALIASES = re.compile(r"^Aliases:\n\s*(?P<names>.+)$", re.MULTILINE)
_NEEDS_ONE = "flag needs an argument"


def kubectl_table(kubectl: str) -> dict[str, object]:
    """Whether a flag without = takes the next word is asked of kubectl itself; the rest stands in its help."""
    version = json.loads(_said(kubectl, "version", "--client", "-o", "json"))["clientVersion"]["gitVersion"]
    everywhere = _kubectl_flags(_said(kubectl, "options"))
    texts = dict(_verbs(kubectl))
    verbs = {verb: _kubectl_flags(text) for verb, text in texts.items() if verb}
    asked = [("version", name, flag) for name, flag in everywhere.items() if flag[1] == "value"]
    asked += [(verb, *one) for verb, flags in verbs.items() for one in flags.items() if one[1][1] == "value"]
    with ThreadPoolExecutor(4) as several:
        answers = several.map(lambda one: _takes_next_word(kubectl, one[0], one[1]), asked)
        for (_, _, flag), takes in zip(asked, answers, strict=True):
            flag[1] = "value" if takes else "optional"
    return {"version": version, "global": everywhere, "aliases": _aliases(texts), "verbs": verbs}


def helm_table(helm: str) -> dict[str, object]:
    version = _said(helm, "version", "--template", "{{.Version}}").strip()
    everywhere: Flags = {}
    verbs: dict[str, Flags] = {}
    texts = dict(_verbs(helm))
    for verb, text in texts.items():
        own, _, inherited = text.partition("Global Flags:")
        if verb:
            verbs[verb] = _helm_flags(own)
            everywhere |= _helm_flags(inherited)
    return {"version": version, "global": everywhere, "aliases": _aliases(texts), "verbs": verbs}


def _verbs(program: str) -> Iterator[tuple[str, str]]:
    """Every command and group below it, with its help text."""
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        path = waiting.pop(0)
        text = _said(program, *path, "--help")
        yield " ".join(path), text
        waiting += [(*path, name) for name in _commands(text) if name not in {"help", "options"}]


def _commands(help_text: str) -> Iterator[str]:
    """The names below a heading that ends with "Commands:", "Commands (…):" and the like."""
    is_listing = False
    for line in help_text.splitlines():
        match = _COMMAND.match(line)
        if is_listing and match:
            yield match["name"]
        else:
            is_listing = line.endswith(":") and "ommands" in line and not line.startswith(" ")


def _aliases(texts: dict[str, str]) -> dict[str, str]:
    """Other names of a verb's last word, in full: "create cm" is "create configmap"."""
    found: dict[str, str] = {}
    for verb, text in texts.items():
        match = _ALIASES.search(text)
        for other in match["names"].split(", ")[1:] if match else ():
            group = verb.rpartition(" ")[0]
            found[f"{group} {other}".strip()] = verb
    return found


def _kubectl_flags(help_text: str) -> Flags:
    matches = [match for line in help_text.splitlines() if (match := _KUBECTL_FLAG.match(line))]
    kinds: dict[str, str] = {"true": "bool", "false": "bool"}
    return {one["name"]: [one["short"] or "", kinds.get(one["default"], "value")] for one in matches}


def _helm_flags(help_text: str) -> Flags:
    found: Flags = {}
    for line in help_text.splitlines():
        match = _HELM_FLAG.match(line)
        if match and match["name"] != "help":
            kind = "bool" if match["type"] is None else "optional" if match["optional"] else "value"
            found[match["name"]] = [match["short"] or "", kind]
    return found


def _takes_next_word(kubectl: str, verb: str, name: str) -> bool:
    """Flags are read before --help is obeyed, so nothing is run by asking."""
    done = subprocess.run(  # noqa: S603  the pinned kubectl
        [kubectl, *verb.split(), "--help", f"--{name}"], check=False, capture_output=True, text=True
    )
    return _NEEDS_ONE in done.stderr


def _said(program: str, *arguments: str) -> str:
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout  # noqa: S603  the pinned program


def text_of(table: dict[str, object]) -> str:
    """JSON with one line a verb, so that a difference between versions can be read."""
    verbs = table["verbs"]
    if not isinstance(verbs, dict):
        raise TypeError("a table holds verbs")
    lines = ",\n".join(f"  {json.dumps(verb)}: {json.dumps(verbs[verb], sort_keys=True)}" for verb in sorted(verbs))
    heads = "".join(
        f' "{name}": {json.dumps(table[name], sort_keys=True)},\n' for name in ("version", "global", "aliases")
    )
    return f'{{\n{heads} "verbs": {{\n{lines}\n }}\n}}\n'


def main(programs: list[str]) -> None:
    makers: list[tuple[Path, Callable[[str], dict[str, object]]]] = [
        (KUBECTL_FILE, kubectl_table),
        (HELM_FILE, helm_table),
    ]
    for (file, make), program in zip(makers, programs, strict=False):
        file.write_text(text_of(make(program)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
