"""kubectl's own grammar, by the flag tables of the pinned version, and the flags that nobody here may choose."""

from pathlib import Path

from core.commands.flags import Invocation, load_table, parse_invocation
from core.commands.grammar import Refused

KUBECTL = load_table(Path(__file__).parent / "kubectl_flags.json", reads_underscores=True)
IDENTITY = frozenset(
    {
        *("kubeconfig", "context", "cluster", "user", "server", "token", "username", "password"),
        *("as", "as-group", "as-uid", "as-user-extra", "client-certificate", "client-key", "certificate-authority"),
        *("insecure-skip-tls-verify", "insecure-skip-tls-verify-backend", "tls-server-name", "proxy-url"),
        *("kuberc", "cache-dir", "profile", "profile-output", "log-file", "log-dir"),
    }
)
"""Flags that choose who asks, where, or which file is read or written (R2)."""
_MEANS_ANOTHER_THING = frozenset(
    {
        *(("create clusterrolebinding", "user"), ("create rolebinding", "user"), ("set subject", "user")),
        ("debug", "profile"),
    }
)
_CLIENT_STATE = frozenset({"config", "kuberc"})
_STANDALONE = frozenset({"", "create", "apply", "cluster-info", "completion"})
"""Groups that are a verb by themselves, too."""


def parse_kubectl(arguments: tuple[str, ...]) -> Invocation:
    """`arguments` are those after the program. Refused for an unknown verb or flag, and for identity flags."""
    if not arguments:
        raise Refused("R12", "kubectl needs a verb, such as get.")
    if arguments[0] in {"help", "options"}:
        parse_invocation("kubectl", arguments[1:], KUBECTL, refuse_identity)
        return Invocation("kubectl", arguments[0], arguments[1:])
    found = parse_invocation("kubectl", arguments, KUBECTL, refuse_identity)
    is_leaf = found.verb in KUBECTL.verbs and found.verb not in KUBECTL.groups
    if found.is_on("help") and (is_leaf or not found.words):
        return found
    if not found.verb:
        word = found.words[0] if found.words else ""
        raise Refused("R12", f"kubectl has no verb {word!r}; plugins and aliases are off here.")
    if found.verb in KUBECTL.groups and found.verb not in _STANDALONE:
        rule = "R13" if found.verb in _CLIENT_STATE else "R12"
        raise Refused(rule, f"kubectl {found.verb} needs a known second word, such as in 'kubectl rollout status'.")
    if found.verb in _STANDALONE - {"completion"} and any(f"{found.verb} {word}" in _SECOND for word in found.words):
        raise Refused("R1b", f"Write the second word of kubectl {found.verb} right after it, and the flags behind.")
    return found


_SECOND = frozenset(KUBECTL.verbs) | frozenset(KUBECTL.aliases)


def refuse_identity(verb: str, name: str) -> None:
    """Refused for a flag that chooses an identity, a target or a file of the client (R2)."""
    if name in IDENTITY and (verb, name) not in _MEANS_ANOTHER_THING:
        raise Refused("R2", f"--{name} chooses an identity, a target or a file; that is not yours to choose.")
