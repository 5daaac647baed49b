"""Programs that are none of ours: why each is refused, and what to write instead (R1b, R1e, R1f, R11)."""

from core.commands.grammar import Refused

_WRAPPERS = frozenset(
    {
        *("sudo", "su", "doas", "ssh", "nsenter", "chroot", "unshare", "xargs", "parallel", "find", "watch", "script"),
        *(
            "env",
            "timeout",
            "time",
            "nice",
            "nohup",
            "stdbuf",
            "command",
            "exec",
            "setsid",
            "ionice",
            "flock",
            "strace",
        ),
    }
)
_INTERPRETERS = frozenset(
    {
        *("sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "eval", "source", ".", "coproc", "alias", "builtin"),
        *("python", "python3", "perl", "ruby", "node", "php", "lua", "awk", "gawk", "sed", "busybox", "vi", "vim"),
    }
)
_OTHERS = frozenset(
    {
        *("crictl", "etcdctl", "systemctl", "kubeadm", "docker", "podman", "nerdctl", "ctr", "aws", "gcloud", "az"),
        *("eksctl", "doctl", "oc", "terraform", "tofu", "pulumi", "ansible", "curl", "wget", "nc", "ncat", "telnet"),
        *("k9s", "kustomize", "skaffold", "kubectx", "kubens", "stern", "kubelet", "reboot", "shutdown", "rm", "cp"),
    }
)
_OUTPUT = frozenset({"tee", "dd"})


def refuse_program(name: str) -> Refused:
    """The refusal of a line that begins with this program."""
    if "/" in name:
        return Refused("R1f", f"Write the bare name: programs are found by this service, not by a path ({name!r}).")
    if name in _WRAPPERS:
        return Refused("R1e", f"Leave {name} out: the command runs directly, with a time limit of its own.")
    if name in _INTERPRETERS:
        return Refused("R1b", f"{name} would decide at run time what happens; write the one command itself.")
    if name in _OUTPUT:
        return Refused("R1c", f"{name} would write a file; output comes back by itself.")
    if name in _OTHERS:
        return Refused("R11", f"{name} is not run here, whatever it is told; use kubectl.")
    if name == "k":
        return Refused("R1f", "Write kubectl: there are no aliases here.")
    return Refused("R1f", f"Only kubectl can be run, and text filters after it; {name!r} is neither.")


def refuse_unconfigured(name: str) -> Refused:
    rule = "R10" if name == "helm" else "R11"
    return Refused(rule, f"{name} is not configured here; use kubectl.")
