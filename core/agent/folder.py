"""The agent's view of its workspace folder: relative paths only, no links, bounded sizes."""

import fnmatch
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.ports import ToolAnswer
from core.workspace import RefusedPathError, open_workspace_file

MOST_BYTES = 400_000
MOST_TEXT = 40_000
MOST_FILES = 500
MOST_LINE = 2_000


@dataclass(frozen=True, slots=True)
class Folder:
    """All answers are for the agent; nothing here raises."""

    root: Path

    def read(self, path: str) -> ToolAnswer:
        try:
            return ToolAnswer(self._text(path)[:MOST_TEXT] or "(empty)", is_data=True)
        except (RefusedPathError, OSError) as error:
            return _refusal(path, error)

    def edit(self, path: str, old: str, new: str) -> ToolAnswer:
        """Replaces the only occurrence of `old`."""
        try:
            text = self._text(path)
            if not old or text.count(old) != 1:
                return ToolAnswer(
                    f"`old` stands {text.count(old) if old else 0} times in {path}; it must once.", is_error=True
                )
            changed = text.replace(old, new)
            if len(changed.encode()) > MOST_BYTES:
                return ToolAnswer(f"{path} would become too large.", is_error=True)
            with os.fdopen(open_workspace_file(self.root, path, os.O_WRONLY), "w", encoding="utf-8") as file:
                file.truncate()
                file.write(changed)
        except (RefusedPathError, OSError) as error:
            return _refusal(path, error)
        return ToolAnswer(f"{path} was changed. It is your copy; nothing in the cluster changed.")

    def grep(self, pattern: str, path: str) -> ToolAnswer:
        """Lines that hold `pattern`, a plain text, case ignored; `path` is a file or "." for all."""
        found: list[str] = []
        try:
            names = list(self._files()) if path in {"", "."} else [path]
            for name in names:
                lines = self._text(name).splitlines()
                found += [
                    f"{name}:{number}: {line[:MOST_LINE]}"
                    for number, line in enumerate(lines, 1)
                    if pattern.lower() in line.lower()
                ]
        except (RefusedPathError, OSError) as error:
            return _refusal(path, error)
        return ToolAnswer("\n".join(found)[:MOST_TEXT] or "(no line holds it)", is_data=True)

    def glob(self, pattern: str) -> ToolAnswer:
        names = [name for name in self._files() if fnmatch.fnmatchcase(name, pattern[:200])]
        return ToolAnswer("\n".join(names) or "(no file matches)")

    def _files(self) -> Iterator[str]:
        count = 0
        for folder, _, names in os.walk(self.root, followlinks=False):
            for name in sorted(names):
                file = Path(folder) / name
                if stat.S_ISREG(file.lstat().st_mode):
                    yield str(file.relative_to(self.root))
                    count += 1
                    if count >= MOST_FILES:
                        return

    def _text(self, path: str) -> str:
        with os.fdopen(open_workspace_file(self.root, path, os.O_RDONLY), "rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", "replace")


def _refusal(path: str, error: Exception) -> ToolAnswer:
    why = str(error) if isinstance(error, RefusedPathError) else "no such file, or a link"
    return ToolAnswer(f"{path!r} cannot be opened: {why}. `glob *` lists what is there.", is_error=True)
