"""Running something inside pods: exec, run, debug, cp (R5)."""

import json
import re

from core.commands.flags import Invocation
from core.commands.grammar import Refused
from core.commands.kinds import kind_of
from core.commands.local_files import Files
from core.commands.manifests import field_reasons
from core.commands.verdicts import Reasons
from core.risk_levels import RiskLevel

_DESTRUCTIVE = frozenset(
    {
        *("rm", "rmdir", "unlink", "dd", "shred", "truncate", "mkfs", "fdisk", "wipefs", "kill", "killall", "pkill"),
        *(
            "shutdown",
            "reboot",
            "halt",
            "poweroff",
            "init",
            "mount",
            "umount",
            "iptables",
            "nft",
            "ip",
            "chmod",
            "chown",
        ),
        *("mv", "tee", "sed", "find", "xargs", "drop", "delete", "flushall", "flushdb", "dropdb", "kubectl", "helm"),
        *("etcdctl", "nsenter", "chroot", "systemctl", "service", "crictl", "ctr", "docker", "su", "sudo"),
        *("remove", "remove-files", "purge", "destroy", "erase", "wipe", "format", "clean", "prune", "reset", "drop"),
        *("stop", "quit", "sysctl", "swapoff", "parted", "blkdiscard", "fallocate", "lvremove", "vgremove", "dmsetup"),
        *("userdel", "passwd", "chpasswd", "crontab", "apt", "apt-get", "apk", "yum", "dnf", "dpkg", "rpm", "pip"),
        *("curl", "wget", "nc", "ncat", "socat", "ssh", "scp", "sftp", "ftp", "telnet"),
    }
)
_DEADLY_BEGINNINGS = (
    *("mkfs", "mke2fs", "drop", "delete", "purge", "destroy", "wipe", "truncat", "decommission", "flush", "remove"),
    *("reset", "stop", "shutdown"),
)
"""Of the pieces of a word, as in stop_app, pg_dropcluster, delete_queue or deleteall."""
_INTERPRETERS = re.compile(
    r"(ba|da|a|z|k|c|fi)?sh|python[\d.]*|perl|ruby|node|php|lua|awk|gawk|busybox|env|eval|java|psql|mysql|mongo(sh)?"
    r"|redis-cli|sqlite3"
)
_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_LONGEST_OVERRIDES = 3_000


def judge_in_pod(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    """exec, run, debug and cp; Refused for what is interactive or reaches a node or copies out of a pod."""
    if invocation.any_on("stdin", "tty"):
        raise Refused("R5", f"{invocation.verb} is never interactive here: leave -i and -t out.")
    reasons.kinds.add("Pod")
    reasons.add(RiskLevel.HIGH, "R5", f"{invocation.verb} runs or writes something inside a pod.")
    match invocation.verb:
        case "cp":
            _judge_copy(invocation, reasons, files)
        case "debug":
            _judge_debug(invocation, reasons)
        case "run":
            _judge_run(invocation, reasons)
        case _:
            _judge_inner(_inner_words(invocation), reasons)


def _inner_words(invocation: Invocation) -> tuple[str, ...]:
    if invocation.dash is not None:
        return invocation.words[invocation.dash :]
    return invocation.words[1:]


def _judge_inner(words: tuple[str, ...], reasons: Reasons) -> None:
    """Which program, and anything destructive among its words: its meaning is not read further than that."""
    if not words:
        return
    program = words[0].rpartition("/")[2].lower()
    parts = {part.lower().strip("-") for word in words for part in _WORD.findall(word)}
    if _INTERPRETERS.fullmatch(program):
        reasons.add(
            RiskLevel.CRITICAL, "R5", f"{program} in the pod may do anything: what it is told is not read here."
        )
    elif parts & _DESTRUCTIVE or any(
        piece.startswith(_DEADLY_BEGINNINGS) for part in parts for piece in re.split(r"[_-]", part)
    ):
        reasons.add(RiskLevel.CRITICAL, "R5", "The command in the pod destroys or moves something.")


def _judge_copy(invocation: Invocation, reasons: Reasons, files: Files | None) -> None:
    if len(invocation.words) != 2:  # noqa: PLR2004  from and to
        raise Refused("R5", "cp takes a file and POD:PATH.")
    source, target = invocation.words
    if ":" in source or ":" not in target:
        raise Refused("R5", "Nothing is copied out of a pod; read what you need with logs or describe.")
    if files is None or files(source) is None:
        reasons.kinds.add("unread")


def _judge_debug(invocation: Invocation, reasons: Reasons) -> None:
    if "filename" in invocation.flags:
        raise Refused("R5", "debug -f may name a node; name one pod.")
    for word in invocation.words[: invocation.dash]:
        kind, has_slash, _ = word.partition("/")
        if has_slash and kind_of(kind) != "Pod":
            raise Refused("R5", f"debug {word!r}: only pods can be debugged, a node would be entered.")
    if invocation.is_on("replace"):
        reasons.add(RiskLevel.CRITICAL, "R5", "debug --replace deletes the pod it copies.")
    if invocation.last("profile") in {"sysadmin", "netadmin"} or "custom" in invocation.flags:
        reasons.add(RiskLevel.CRITICAL, "R8", "The debug container may get the node's rights.")
    _judge_inner(invocation.words[invocation.dash :] if invocation.dash is not None else (), reasons)


def _judge_run(invocation: Invocation, reasons: Reasons) -> None:
    if invocation.is_on("privileged"):
        reasons.add(RiskLevel.CRITICAL, "R8", "A privileged pod has all the node's rights.")
    judge_overrides(invocation, reasons)
    _judge_inner(invocation.words[1:], reasons)


def judge_overrides(invocation: Invocation, reasons: Reasons) -> None:
    """--overrides of run and expose: JSON that is put over the object."""
    for text in invocation.flags.get("overrides", ()):
        try:
            value = json.loads(text[:_LONGEST_OVERRIDES])
        except (ValueError, RecursionError):
            reasons.add(RiskLevel.CRITICAL, "R8", "--overrides cannot be judged: it may hold the worst.")
        else:
            reasons.found += field_reasons(value)
