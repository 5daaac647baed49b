"""kubectl's reading verbs (R3) and what they may not print (R4)."""

import re

from core.commands.flags import Invocation
from core.commands.grammar import Refused
from core.commands.kinds import kind_of
from core.commands.kubectl import KUBECTL
from core.commands.local_files import named_files

READS = frozenset(
    {
        *(
            "get",
            "describe",
            "logs",
            "top",
            "top pod",
            "top node",
            "explain",
            "events",
            "api-resources",
            "api-versions",
        ),
        *("version", "cluster-info", "cluster-info dump", "auth can-i", "auth whoami", "rollout status"),
        *("rollout history", "diff", "wait", "config view", "config get-contexts", "config get-clusters"),
        *("config get-users", "config current-context", "plugin list", "options", "help", "completion bash"),
        *("completion", "completion zsh", "completion fish", "completion powershell"),
        *("apply view-last-applied", "kustomize"),
    }
)
_TYPED = frozenset(
    {"get", "describe", "wait", "rollout status", "rollout history", "apply view-last-applied", "annotate"}
)
_HARMLESS_ALOUD = frozenset(
    {
        *("top", "top pod", "top node", "logs", "events", "api-resources", "api-versions", "version", "explain"),
        *("auth can-i", "auth whoami", "get", "wait", "rollout status", "rollout history", "apply view-last-applied"),
    }
)
"""Not describe: that of a ServiceAccount asks for the Secrets, too."""
_HARMLESS_ORDER = frozenset({".metadata.name", ".metadata.namespace", ".metadata.creationTimestamp", ".type"})
_FORMATS = frozenset({"", "wide", "name", "yaml", "json", "kyaml", "plaintext", "plaintext-openapiv2"})
_NAMES_ONLY = frozenset({"", "wide", "name"})
_TEMPLATES = ("jsonpath", "jsonpath-as-json", "custom-columns", "go-template", "template")
_RAW = re.compile(
    r"/(livez|readyz|healthz|version|metrics|openapi|apis/metrics\.k8s\.io)(/[A-Za-z0-9._/-]*)?(\?[A-Za-z0-9=&_-]*)?"
)
_SUBRESOURCES = frozenset({"", "status", "scale", "resize", "ephemeralcontainers", "approval", "finalize"})
"""Parts of an object. Others are doors: kubectl takes any, and `proxy` is a request to a kubelet or an application."""
_LEAST_VERBOSE_BODIES = 7
_TOO_MUCH = {
    ("diff", "show-secrets"): ("R4", "--show-secrets would print Secrets' values."),
    ("config view", "raw"): ("R4", "config view --raw would print credentials."),
    ("config view", "flatten"): ("R4", "config view --flatten prints credentials as --raw does."),
    ("set env", "resolve"): ("R4", "--resolve would print Secrets' values."),
}
TELLING = frozenset({"apply view-last-applied", "describe", "diff"})
"""They print fields whatever the format: describe the token of an account, diff an annotation with all as applied."""
_KUSTOMIZE_PLAIN = frozenset({"namespace", "request-timeout", "v"})
_FOLDER_WORDS = re.compile(r"(\./)?[A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*/?")


def check_read(invocation: Invocation) -> None:
    """Refused where a reading verb would print or write more than R3 and R4 let it."""
    verb = invocation.verb
    if verb not in READS:
        _check_listing(invocation)
        return
    if "raw" in invocation.flags and verb == "get":
        _check_raw(invocation)
    if "output-directory" in invocation.flags:
        raise Refused("R1c", "--output-directory would write files.")
    if verb == "kustomize":
        _check_kustomize(invocation)
    if verb == "cluster-info" and invocation.words:
        raise Refused("R3", "cluster-info takes no further word but dump.")
    kinds = _kinds(invocation)
    if "Secret" in kinds and _looks_into_values(invocation):
        raise Refused("R4", "Secrets are listed by name only (get); their values are nobody's to read here.")


def _check_listing(invocation: Invocation) -> None:
    """--list of label and set env shows names and plain values; annotations may hold a whole object, as applied."""
    if invocation.verb == "annotate" and not is_local(invocation) and "Secret" in _kinds(invocation):
        raise Refused("R4", "The annotations of a Secret may hold its values.")


def is_local(invocation: Invocation) -> bool:
    """--local transforms text and asks no server."""
    return invocation.is_on("local") and "local" in KUBECTL.verbs.get(invocation.verb, {})


def check_output(invocation: Invocation) -> None:
    """For every verb: formats that read local files, requests printed whole, flags that unveil values, doors."""
    for (verb, name), (rule, sentence) in _TOO_MUCH.items():
        if invocation.verb == verb and invocation.is_on(name):
            raise Refused(rule, sentence)
    if invocation.verb != "auth can-i" and not _SUBRESOURCES.issuperset(invocation.flags.get("subresource", ())):
        raise Refused("R5", "--subresource takes a part of an object, such as status or scale, no door to one.")
    if "vmodule" in invocation.flags or not all(level.isdigit() for level in invocation.flags.get("v", ())):
        raise Refused("R4", "Give one level of verbose output, -v=0 to -v=9.")
    if is_verbose(invocation) and not _names_its_kinds(invocation):
        raise Refused("R4", "Verbose output from level 7 prints whole answers, and these may hold Secrets' values.")
    for given in invocation.flags.get("output", ()) if _prints_formats(invocation.verb) else ():
        _check_format(given)


def _prints_formats(verb: str) -> bool:
    """Whether -o is a format; for kustomize it is a file, which check_read refuses."""
    return verb != "kustomize"


def is_verbose(invocation: Invocation) -> bool:
    """Whether requests and answers are printed whole."""
    return any(int(level[:4]) >= _LEAST_VERBOSE_BODIES for level in invocation.flags.get("v", ()) if level.isdigit())


def _names_its_kinds(invocation: Invocation) -> bool:
    """Verbs whose every object is of a kind that stands in the line, and is looked at there."""
    has_files = any(True for _ in named_files(invocation))
    return invocation.verb in _HARMLESS_ALOUD and not has_files and "raw" not in invocation.flags


def prints_values(invocation: Invocation) -> bool:
    """Whether the output shows more of an object than its name and columns; a conflict of apply quotes both sides."""
    told = (invocation.last("output") or "") not in _NAMES_ONLY or "template" in invocation.flags
    is_quoting = invocation.verb == "apply" and "overwrite" in invocation.flags and not invocation.is_on("overwrite")
    return told or invocation.verb in TELLING or is_quoting


def _looks_into_values(invocation: Invocation) -> bool:
    """Prints fields, orders by them, or waits until one has a value: each tells what a field holds."""
    if is_verbose(invocation) or invocation.verb in TELLING:
        return True
    return (
        prints_values(invocation)
        or not _HARMLESS_ORDER.issuperset(one.strip("{}") for one in invocation.flags.get("sort-by", ()))
        or any(one.startswith("jsonpath") for one in invocation.flags.get("for", ()))
    )


def _check_format(given: str) -> None:
    name, has_value, _ = given.partition("=")
    if given in _FORMATS or name in _TEMPLATES:
        return
    if has_value or name.endswith("file"):
        raise Refused("R4", "Output templates from files would print local files.")
    raise Refused("R3", f"-o {given!r} is not known; there are wide, name, yaml, json, jsonpath=…, custom-columns=….")


def _check_raw(invocation: Invocation) -> None:
    for path in invocation.flags["raw"]:
        if not _RAW.fullmatch(path) or ".." in path or "//" in path:
            rule = "R4" if "secrets" in path.lower() else "R3"
            raise Refused(rule, "--raw reads health, version, metrics and openapi paths only; use get for objects.")


def _check_kustomize(invocation: Invocation) -> None:
    if "output" in invocation.flags:
        raise Refused("R1c", "kustomize -o would write a file; the result is printed by itself.")
    for name in invocation.flags:
        if name not in _KUSTOMIZE_PLAIN:
            raise Refused("R1b", f"kustomize --{name} may run programs or read outside the folder.")
    for word in invocation.words:
        if ".." in word or word.startswith("/") or not _FOLDER_WORDS.fullmatch(word) or _is_host(word):
            raise Refused("R6", f"kustomize {word!r}: only a folder of your own is built, by its relative name.")


def _is_host(word: str) -> bool:
    """Kustomize takes `host.example/path` for a repository."""
    return "." in word.removeprefix("./").removeprefix(".").split("/")[0]


def _kinds(invocation: Invocation) -> set[str]:
    """The kinds a read names; Refused for an unknown one, since an unknown kind may hold anything."""
    words = invocation.words
    if invocation.verb == "logs":
        words = tuple(word for word in words[:1] if "/" in word)
    elif invocation.verb not in _TYPED or "raw" in invocation.flags:
        return set()
    elif words and not any("/" in word for word in words):
        words = words[:1]
    kinds: set[str] = set()
    for word in words:
        for one in word.split("/")[0].split(","):
            if one.lower() == "all":
                continue
            kind = kind_of(one)
            if kind is None:
                raise Refused("R12", f"{one!r} is not a kind this gate knows.")
            kinds.add(kind)
    if not words and invocation.verb in _TYPED and not {"filename", "kustomize"} & invocation.flags.keys():
        raise Refused("R12", f"{invocation.verb} needs a kind.")
    return kinds
