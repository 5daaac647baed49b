"""What must stay true to each other: settings and the README's table. Run as `python -m tests.drift`."""

import sys
from pathlib import Path

from bot.settings import Settings

README = Path(__file__).parent.parent / "README.md"
SHOWN_DEFAULTS = {"INCIDENT_RESOLVER_DATA": "see right"}


def settings_table() -> str:
    """The README's table, made from `bot/settings.py`."""
    rows = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for field in Settings.model_fields.values():
        name = str(field.alias)
        value = SHOWN_DEFAULTS.get(name, "" if field.default in (None, "") else str(field.default))
        rows.append(f"| `{name}` | {f'`{value}`' if value and value != 'see right' else value} | {field.description} |")
    return "\n".join(rows)


def main() -> int:
    if settings_table() not in README.read_text(encoding="utf-8"):
        print("README.md's table of settings differs from bot/settings.py; it should be:\n")
        print(settings_table())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
