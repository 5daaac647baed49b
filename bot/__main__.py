"""The command `incident-resolver`."""

import sys


def main() -> None:
    """`assess` is started many times a minute by scripts: it does not wait for the imports of the others."""
    if sys.argv[1:2] == ["assess"]:
        from bot.cli import assess  # noqa: PLC0415  see above

        sys.exit(assess.run(sys.argv[2:]))
    from bot.settings import settle_home  # noqa: PLC0415  see above

    settle_home()
    from bot.cli import main as commands  # noqa: PLC0415  see above

    sys.exit(commands.run(sys.argv[1:]))


if __name__ == "__main__":
    main()
