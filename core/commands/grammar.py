"""From a line to argument vectors: simple commands joined by pipes, nothing that a shell would compute.

tree-sitter-bash reads the line; every node that is not on the short list here refuses it.
"""

import re

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

MAX_LENGTH = 4_000
MAX_STAGES = 6
MAX_SIGNS = 40
"""Signs outside quotes that make the parser search; a line that is allowed has a handful of them."""
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_SHELL_SIGNS = re.compile(r"[(){}<>;&!|`$\\]")
_PARSER = Parser(Language(tree_sitter_bash.language()))
_PLAIN = re.compile(r"[\x20-\x7e]+")
_WORD = re.compile(r"[^\s\\$`*?\[\]{}~&;|<>()'\"]+")
_EXPANDED_BRACES = re.compile(r",|\.\.")
"""What makes bash expand a brace; any other, as in {.status.phase}, it leaves as it stands."""
_ESCAPED = re.compile(r"\\([\\$`\"])")
_HARMLESS_REDIRECT = re.compile(r"[12]?>>? ?/dev/null|&>>? ?/dev/null|< ?/dev/null|2>&1|[12]?>&[12]")
"""Nothing is written by these: output and errors come back together, whatever the line says (R1c)."""
_INSIDE = frozenset({"command", "pipeline", "redirected_statement"})


class Refused(Exception):  # noqa: N818  a verdict, not an accident
    """The line is refused; `rule` and `reason` are for the agent."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


def parse_line(line: str) -> tuple[tuple[str, ...], ...]:
    """The stages of the line as argument vectors; Refused otherwise. Bounded time: the length is looked at first."""
    if len(line) > MAX_LENGTH:
        raise Refused("R1h", f"The line is longer than {MAX_LENGTH} characters; write a shorter one.")
    text = line.strip(" ")
    if not text:
        raise Refused("R1h", "The line is empty.")
    if "\n" in text or "\r" in text:
        raise Refused("R1a", "One line at a time: run several commands one after the other.")
    if not _PLAIN.fullmatch(text):
        raise Refused("R1g", "Only plain ASCII characters are allowed, no control or look-alike characters.")
    if len(_SHELL_SIGNS.findall(_QUOTED.sub("", text))) > MAX_SIGNS:
        raise Refused("R1h", "Too many signs that only a shell understands; write one simple command.")
    root = _PARSER.parse(text.encode()).root_node
    if root.has_error:
        raise Refused("R1h", "The line cannot be parsed; check its quotes.")
    commands = [child for child in root.children if child.type != "comment"]
    if not commands:
        raise Refused("R1h", "There is no command, only a comment.")
    if len(commands) != 1:
        raise Refused("R1a", "One command at a time, without ; or &: run several one after the other.")
    stages = tuple(_stages(commands[0]))
    if len(stages) > MAX_STAGES:
        raise Refused("R1h", f"At most {MAX_STAGES} commands in one pipe.")
    return stages


def _stages(node: Node) -> list[tuple[str, ...]]:
    if node.type == "redirected_statement":
        body, *redirects = node.children
        for redirect in redirects:
            if redirect.type != "file_redirect" or not _HARMLESS_REDIRECT.fullmatch(_text(redirect)):
                raise Refused("R1c", "No redirections: output comes back by itself, and files cannot be written.")
        if body.type not in _INSIDE:
            raise Refused("R1h", "Only simple commands are allowed.")
        return _stages(body)
    if node.type == "pipeline":
        stages: list[tuple[str, ...]] = []
        for child in node.children:
            if child.type == "|":
                continue
            if child.type not in _INSIDE:
                raise Refused("R1a", f"Only simple commands joined by | are allowed, not {child.type}.")
            stages += _stages(child)
        return stages
    if node.type == "command":
        return [_command(node)]
    raise Refused("R1b", f"Only simple commands are allowed, no {node.type.replace('_', ' ')}: there is no shell here.")


def _command(node: Node) -> tuple[str, ...]:
    words: list[str] = []
    for child in node.children:
        if child.type == "command_name":
            words += [_value(one) for one in child.children]
        elif child.type in {"variable_assignment", "variable_assignments"}:
            raise Refused("R1d", "No variable assignments in front of a command.")
        elif child.type in {"file_redirect", "herestring_redirect", "heredoc_redirect"}:
            if not _HARMLESS_REDIRECT.fullmatch(_text(child)):
                raise Refused("R1c", "No redirections: output comes back by itself, and files cannot be written.")
        else:
            words.append(_value(child))
    return tuple(words)


def _value(node: Node, allowed: str = "") -> str:
    """What bash would make of the node, where that needs no expansion at all; `allowed` stand for themselves."""
    text = _text(node)
    match node.type:
        case "word" | "number" | "test_operator" | "=" | "==":
            if text not in {*allowed} and not _WORD.fullmatch(text):
                raise Refused("R1b", f"Put {text!r} into single quotes: it holds characters a shell would expand.")
            return text
        case "raw_string":
            return text[1:-1]
        case "string":
            inner = text[1:-1]
            if any(sign in _ESCAPED.sub("", inner) for sign in "$`"):
                raise Refused("R1b", "Nothing is expanded inside double quotes: use single quotes and write it out.")
            return _ESCAPED.sub(r"\1", inner)
        case "concatenation":
            bare = "".join(_text(child) for child in node.children if child.type == "word")
            braces = "" if _EXPANDED_BRACES.search(bare) else "{}"
            return "".join(_value(child, braces) for child in node.children)
        case _:
            raise Refused("R1b", f"No {node.type.replace('_', ' ')}: write the value out, nothing is computed here.")


def _text(node: Node) -> str:
    return (node.text or b"").decode()
