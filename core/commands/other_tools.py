"""argocd, istioctl, velero and flux by their effect (R11). Without flag tables: an unknown flag is never LOW."""

from dataclasses import dataclass

from core.commands.grammar import Refused
from core.commands.verdicts import Verdict
from core.resources import SYSTEM_NAMESPACES
from core.risk_levels import RiskLevel

_IDENTITY = frozenset(
    {
        *("server", "auth-token", "config", "core", "insecure", "plaintext", "port-forward", "header", "kubeconfig"),
        *("port-forward-namespace", "kube-context", "context", "cluster", "user", "token", "as", "as-group", "as-uid"),
        *(
            "client-crt",
            "client-crt-key",
            "server-crt",
            "redirect",
            "grpc-web-root-path",
            "cache-dir",
            "tls-server-name",
        ),
        *("insecure-skip-tls-verify", "certificate-authority", "client-certificate", "client-key", "kube-api-burst"),
        *(
            "kubecontext",
            "kube-config",
            "impersonate",
            "xds-address",
            "authority",
            "cert-dir",
            "plugin-dir",
            "argocd-context",
            "password",
            "username",
            "c",
        ),
    }
)
_DEADLY = frozenset({"prune", "force", "replace", "cascade", "purge", "delete", "overwrite"})
_NAMESPACE = frozenset({"n", "namespace", "N", "app-namespace", "istioNamespace", "i"})


@dataclass(frozen=True, slots=True)
class Tool:
    """Verbs by class, each as its first words. `valued` take the next word; `switches` take none.

    `dry` are the verbs that know --dry-run.
    """

    reads: tuple[str, ...]
    high: tuple[str, ...]
    critical: tuple[str, ...]
    valued: frozenset[str]
    switches: frozenset[str]
    dry: tuple[str, ...]


def _tool(*, reads: str, high: str, critical: str, valued: str, switches: str, dry: tuple[str, ...] = ()) -> Tool:
    def listed(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())

    return Tool(
        listed(reads), listed(high), listed(critical), frozenset(valued.split()), frozenset(switches.split()), dry
    )


TOOLS = {
    "argocd": _tool(
        reads=(
            "app get, app list, app diff, app history, app logs, app wait, app resources, app manifests, "
            "app actions list, appset get, appset list, cluster list, cluster get, proj list, proj get, "
            "repo list, version"
        ),
        high=(
            "app sync, app rollback, app set, app unset, app patch, app create, app terminate-op, app actions run, "
            "app add-source, app remove-source"
        ),
        critical=(
            "app delete, app delete-resource, app patch-resource, appset create, appset delete, proj delete, "
            "proj create, proj role, proj set, proj edit, cluster add, cluster rm, cluster set, repo add, repo rm"
        ),
        valued="o output l selector p project N app-namespace since tail timeout revision resource container group",
        switches=(
            "show-operation show-params grpc-web health sync operation follow f client short previous tree "
            "dry-run async prune force"
        ),
        dry=("app sync",),
    ),
    "istioctl": _tool(
        reads=(
            "analyze, version, proxy-status, ps, validate, x describe, experimental describe, describe, proxy-config "
            "cluster, proxy-config listener, proxy-config route, proxy-config endpoint, pc cluster, "
            "pc listener, pc route, pc endpoint, tag list, waypoint list, waypoint status, experimental precheck, "
            "x precheck"
        ),
        high="tag set, tag generate, waypoint apply",
        critical=(
            "uninstall, x uninstall, experimental uninstall, install, upgrade, operator init, operator remove, "
            "manifest apply, tag remove, waypoint delete"
        ),
        valued="n namespace i istioNamespace o output revision r failure-threshold color",
        switches="A all-namespaces recursive R remote short s verbose",
    ),
    "velero": _tool(
        reads=(
            "get, describe, backup get, backup describe, backup logs, restore get, restore describe, restore logs, "
            "schedule get, schedule describe, backup-location get, snapshot-location get, repo get, plugin get, version"
        ),
        high="backup create, create backup, schedule create, create schedule, schedule pause, schedule unpause",
        critical=(
            "backup delete, delete, restore create, create restore, restore delete, schedule delete, uninstall, "
            "install, backup-location create, backup-location set, backup-location delete"
        ),
        valued="n namespace o output l selector timeout",
        switches="details show-labels client-only",
    ),
    "flux": _tool(
        reads="get, logs, events, stats, tree, trace, check, version",
        high="reconcile, suspend, resume, create",
        critical="delete, uninstall, bootstrap, install",
        valued="n namespace o output since tail level kind name timeout for label-selector l status-selector",
        switches="A all-namespaces follow f client pre watch w no-header components dry-run",
        dry=("uninstall",),
    ),
}
_WRITES_OR_SHOWS = frozenset({"local", "output-file", "export", "manifest", "env-file"})


def judge_tool(argv: tuple[str, ...], namespace: str) -> Verdict:
    """Refused for DENY: an unknown verb, an identity flag, an unknown flag of a read."""
    program = argv[0]
    tool = TOOLS[program]
    words, flags, unknown = _taken_apart(tool, argv[1:])
    verb = " ".join(words)
    where = next((value for name, value in reversed(flags) if name in _NAMESPACE), namespace)
    risk = _class_of(tool, verb)
    if risk is None:
        raise Refused("R11", f"{program} {' '.join(words[:2])} is not among what may be run here.")
    deadly = any(name in _DEADLY and value != "false" for name, value in flags)
    dry_runs = [value for name, value in flags if name == "dry-run"]
    if risk is RiskLevel.LOW and unknown:
        raise Refused("R11", f"{program} --{unknown[0]} is not known to this gate.")
    if risk is RiskLevel.LOW and any(word.startswith(("/", "~")) or ".." in word for word in words):
        raise Refused("R4", "A read names no file outside your folder.")
    rule, sentence = (
        "R11",
        {RiskLevel.LOW: "It only reads.", RiskLevel.HIGH: "It changes what it manages."}.get(
            risk, "It deletes, or reaches the whole cluster."
        ),
    )
    if risk is not RiskLevel.LOW:
        if dry_runs and dry_runs[-1] in {"", "true"} and _is_one_of(verb, tool.dry) and not unknown:
            return Verdict(RiskLevel.LOW, "R9", "An effective dry run changes nothing.", verb=f"{program} {verb}")
        if deadly or where in SYSTEM_NAMESPACES:
            risk, sentence = RiskLevel.CRITICAL, "It deletes or replaces objects, or touches the cluster itself."
    return Verdict(
        risk, rule, sentence, verb=f"{program} {' '.join(words[:2])}", namespaces=frozenset({where}), paths=()
    )


def _class_of(tool: Tool, verb: str) -> RiskLevel | None:
    for risk, verbs in ((RiskLevel.CRITICAL, tool.critical), (RiskLevel.HIGH, tool.high), (RiskLevel.LOW, tool.reads)):
        if _is_one_of(verb, verbs):
            return risk
    return None


def _is_one_of(verb: str, verbs: tuple[str, ...]) -> bool:
    return any(verb == one or verb.startswith(f"{one} ") for one in verbs)


def _taken_apart(tool: Tool, arguments: tuple[str, ...]) -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """Words, flags with their values, and the names of flags that are not known."""
    left = list(reversed(arguments))
    words: list[str] = []
    flags: list[tuple[str, str]] = []
    unknown: list[str] = []
    while left:
        word = left.pop()
        if word == "--" or not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, has_value, value = word.lstrip("-").partition("=")
        if not word.startswith("--") and len(name) > 1 and not has_value:
            name, value, has_value = name[0], name[1:], "="
        _refuse(name)
        if name in tool.valued and not has_value:
            value = left.pop() if left else ""
        elif name not in tool.valued and name not in tool.switches:
            unknown.append(name)
        flags.append((name, value))
    return words, flags, unknown


def _refuse(name: str) -> None:
    if name.replace("_", "-") in _IDENTITY:
        raise Refused("R2", f"--{name} chooses an identity or a target; that is not yours to choose.")
    if name in _WRITES_OR_SHOWS:
        raise Refused("R4", f"--{name} reads or writes local files.")
