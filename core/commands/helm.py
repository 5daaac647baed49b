"""helm by rule R10, with the real flags of the pinned version."""

from pathlib import Path

from core.commands.flags import Invocation, is_dry_run, load_table, parse_invocation
from core.commands.grammar import Refused
from core.commands.local_files import is_address, refuse_addresses, refuse_foreign_files
from core.commands.targets import namespace_of, refuse_odd_namespaces
from core.commands.verdicts import Reasons, Verdict
from core.effects import WHOLE, Aim
from core.resources import SYSTEM_NAMESPACES
from core.risk_levels import RiskLevel

HELM = load_table(Path(__file__).parent / "helm_flags.json", reads_underscores=False)
_IDENTITY = frozenset(
    {
        *("kubeconfig", "registry-config", "repository-config", "repository-cache", "post-renderer"),
        *("post-renderer-args", "username", "password", "pass-credentials", "ca-file", "cert-file", "key-file"),
        *("insecure-skip-tls-verify", "plain-http", "keyring", "endpoint"),
    }
)
_HARMLESS_KUBE = frozenset({"kube-version"})
_READS = frozenset(
    {
        *("list", "status", "history", "get notes", "get metadata", "show all", "show chart", "show crds"),
        *("show readme", "show values", "search repo", "search hub", "lint", "verify", "version", "env", "repo list"),
        *("plugin list", "dependency list", "template", "completion bash", "completion zsh", "completion fish"),
        "completion powershell",
    }
)
_CHARTS = frozenset({"template", "lint", "verify", "show all", "show chart", "show crds", "show readme", "show values"})
_UNVEILING = frozenset({"get all", "get values", "get manifest", "get hooks"})
_CHANGES = {
    "install": (RiskLevel.HIGH, "R7", "helm install makes several objects."),
    "upgrade": (RiskLevel.HIGH, "R7", "helm upgrade changes several objects."),
    "rollback": (RiskLevel.HIGH, "R7", "helm rollback changes several objects."),
    "test": (RiskLevel.HIGH, "R10", "helm test runs pods of the chart."),
    "uninstall": (RiskLevel.CRITICAL, "R8", "helm uninstall deletes all objects of a release."),
}


def judge_helm(arguments: tuple[str, ...], namespace: str) -> Verdict:
    """`arguments` are those after the program. Refused for DENY."""
    if arguments[:1] == ("help",):
        parse_invocation("helm", arguments[1:], HELM, _refuse_identity)
        return Verdict(RiskLevel.LOW, "R10", "It only prints help.")
    invocation = parse_invocation("helm", arguments, HELM, _refuse_identity)
    verb = invocation.verb
    if invocation.is_on("help") and (verb not in HELM.groups or not invocation.words):
        return Verdict(RiskLevel.LOW, "R10", "It only prints help.")
    refuse_odd_namespaces(invocation)
    where = namespace_of(invocation, namespace)
    refuse_addresses(invocation)
    if verb in _UNVEILING:
        raise Refused("R4", f"helm {verb} would print Secrets and values; use helm status, or kubectl.")
    if verb == "status" and (invocation.last("output") or "table") != "table":
        raise Refused("R4", "helm status -o prints the whole release, Secrets and values included; leave -o out.")
    if verb in _READS:
        _check_read(invocation)
        verdict = Verdict(RiskLevel.LOW, "R10", "It only reads.")
    elif verb in _CHANGES:
        verdict = _judge_change(invocation, where)
    else:
        raise Refused("R10", f"helm {verb or (invocation.words or ('',))[0]} is not among what may be run here.")
    return Verdict(
        risk=verdict.risk,
        rule=verdict.rule,
        sentence=verdict.sentence,
        namespaces=frozenset({"*"} if invocation.is_on("all-namespaces") else {where}),
        kinds=frozenset({"Release"}),
        verb=f"helm {verb}",
        paths=() if verb in _CHARTS or verb in _CHANGES else None,
        aim=_aim(invocation, where) if verb in _CHANGES else None,
    )


def _aim(invocation: Invocation, where: str) -> Aim:
    """A chart may hold anything; what a release holds already, and held before, stands in its revisions."""
    verb, words = invocation.verb, invocation.words
    if verb not in {"rollback", "uninstall"} or not words:
        told = f"What helm {verb} makes of a chart cannot be bound to an approval; helm rollback and uninstall can."
        return Aim(where, unclear=told)
    if verb == "uninstall":
        return Aim(where, releases=words, fields=(WHOLE,))
    revision = words[1] if len(words) > 1 else "0"
    if not revision.isdecimal() or len(words) > 2:  # noqa: PLR2004  a release and its revision
        return Aim(where, unclear="helm rollback takes a release and the number of a revision.")
    return Aim(where, releases=words[:1], rolls_back=True, to_revision=int(revision) or None, fields=(WHOLE,))


def _refuse_identity(verb: str, name: str) -> None:
    is_kube = name.startswith("kube-") and name not in _HARMLESS_KUBE
    if is_kube or name in _IDENTITY:
        raise Refused(
            "R2", f"--{name} chooses an identity, a target, a program or a file; that is not yours to choose."
        )
    if name == "output-dir":
        raise Refused("R1c", f"helm {verb} --output-dir would write files.")


def _check_read(invocation: Invocation) -> None:
    """Of a line that runs without approval: it reads the workspace, and asks no other server than the cluster's."""
    refuse_foreign_files(invocation)
    for word in invocation.words if invocation.verb in _CHARTS | _CHANGES.keys() else ():
        if is_address(word) or word.startswith("/") or ".." in word:
            raise Refused("R4", f"{word!r}: only a chart of your own folder is read, by its relative name.")
    if "repo" in invocation.flags:
        raise Refused("R10", "--repo would fetch from an address; that is refused.")
    if invocation.any_on("dependency-update", "enable-dns"):
        raise Refused("R10", "It would ask other servers than the cluster's.")


def _judge_change(invocation: Invocation, where: str) -> Verdict:
    if is_dry_run(invocation, HELM):
        _check_read(invocation)
        return Verdict(RiskLevel.LOW, "R9", "An effective dry run changes nothing.")
    reasons = Reasons()
    reasons.add(*_CHANGES[invocation.verb])
    if invocation.any_on("force", "replace"):
        reasons.add(RiskLevel.CRITICAL, "R8", f"helm {invocation.verb} --force deletes what it replaces.")
    if invocation.is_on("take-ownership"):
        reasons.add(RiskLevel.CRITICAL, "R8", "--take-ownership takes objects over from others.")
    if where in SYSTEM_NAMESPACES:
        reasons.add(RiskLevel.CRITICAL, "R8", f"A change in {where} touches the cluster itself.")
    return Verdict(*reasons.worst)
