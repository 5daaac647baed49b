"""Arguments to commands. Exit status: 0 done, 1 it could not be done and why stands on stderr, 2 wrong arguments."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from pkgutil import resolve_name

from bot.cli import assess
from bot.cli.logs import configure_logs
from bot.settings import forget_proxies, load_settings
from core.errors import ResolverError, first_of

MOST_PORT = 65_535
RIGHTS = "view,request,approve,interrupt,rollback,act-for-others"


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit status."""
    given = _parser().parse_args(arguments)
    try:
        return int(asyncio.run(given.command(given)))
    except ResolverError as error:
        print(f"incident-resolver: {error}", file=sys.stderr)
        return 1
    except ExceptionGroup as failures:
        first = first_of(failures)
        if not isinstance(first, ResolverError):
            raise
        print(f"incident-resolver: {first}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="incident-resolver",
        description="Resolves Kubernetes incidents under human approval, inside enforced limits, with undo.",
    )
    parser.add_argument("--version", action="version", version=f"incident-resolver {version('incident-resolver')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_serving(commands)
    _add_administration(commands)
    return parser


def _add_serving(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = commands.add_parser("serve", help="run the service, configured by the environment (see README)")
    one.set_defaults(command=_with_settings("serve.serve"))
    one = commands.add_parser("issuer", help="the process that issues a credential per approval (see docs/security.md)")
    one.add_argument(
        "--socket", metavar="FILE", help="answer on this Unix socket (instead of INCIDENT_RESOLVER_ISSUER_LISTEN)"
    )
    one.set_defaults(command=_with_settings("issuer.issue"))
    one = commands.add_parser("check", help="each dependency with its state, and what is missing")
    one.add_argument("--namespace", help="ask what may be done in this namespace only")
    one.set_defaults(command=_with_settings("check.check"))
    one = commands.add_parser("assess", help="judge command lines by the rule sheet")
    assess.add_arguments(one)
    one.set_defaults(command=_assess)
    one = commands.add_parser("demo", help="the whole product on this machine, without any account")
    one.add_argument("--headless", action="store_true", help="play the first incident by itself; exit 0 only if healed")
    one.add_argument("--json", action="store_true", help="print one line of addresses when ready, and nothing else")
    one.add_argument("--port", type=_port, default=8084, help="REST port (default 8084; 0 for any free one)")
    one.add_argument("--slack-port", type=_port, default=8085, help="port of the Slack page (default 8085; 0: any)")
    one.add_argument("--real-model", action="store_true", help="ANTHROPIC_API_KEY's model instead of the scripted one")
    one.add_argument("--real-slack", action="store_true", help="your workspace instead of the local page")
    one.add_argument("--kubeconfig", metavar="FILE", help="this cluster instead of the simulator")
    one.set_defaults(command=_demo)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= MOST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: use 1 to {MOST_PORT}, or 0 for any free one")
    return port


def _add_administration(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    db = commands.add_parser("db", help="the database's tables").add_subparsers(required=True, metavar="upgrade|status")
    db.add_parser("upgrade", help="bring the tables up to this version").set_defaults(
        command=_with_settings("administration.upgrade")
    )
    db.add_parser("status", help="the tables' version and this program's").set_defaults(
        command=_with_settings("administration.status")
    )
    chain = commands.add_parser("history", help="the record of what happened")
    chain.add_subparsers(required=True, metavar="verify").add_parser(
        "verify", help="recompute its hash chain; exit 1 where an entry was changed or is missing"
    ).set_defaults(command=_with_settings("administration.verify_history"))
    keys = commands.add_parser("api-keys", help="keys of REST callers").add_subparsers(required=True, metavar="COMMAND")
    one = keys.add_parser("create", help="make a key; it is printed once")
    one.add_argument("--name", required=True, help="the person or program it stands for")
    one.add_argument("--may", required=True, metavar="RIGHTS", help=f"by commas, of: {RIGHTS}")
    one.set_defaults(command=_with_settings("administration.create_key"))
    keys.add_parser("list", help="all keys by name").set_defaults(command=_with_settings("administration.list_keys"))
    one = keys.add_parser("revoke", help="end a key")
    one.add_argument("--name", required=True)
    one.set_defaults(command=_with_settings("administration.revoke_key"))
    sealing = commands.add_parser("encryption", help="the key of the snapshots")
    one = sealing.add_subparsers(required=True, metavar="rotate").add_parser(
        "rotate", help="encrypt all snapshots with the present key; stop the service first"
    )
    one.add_argument("--old-key-file", metavar="FILE", help="the former key; without it the key file is renewed")
    one.set_defaults(command=_with_settings("administration.rotate"))
    one = commands.add_parser("pause", help="start nothing new until resume")
    one.add_argument("--reason", required=True, help="stands on every card")
    one.set_defaults(command=_with_settings("administration.pause"))
    commands.add_parser("resume", help="end the pause").set_defaults(command=_with_settings("administration.resume"))


async def _assess(given: argparse.Namespace) -> int:
    return assess.assess(given)


async def _demo(given: argparse.Namespace) -> int:
    return await _found("demo.demo")(given)


def _with_settings(name: str) -> Callable[[argparse.Namespace], Awaitable[int]]:
    async def with_settings(given: argparse.Namespace) -> int:
        settings = load_settings()
        if settings.proxy_for(settings.slack_api_url) is None:
            forget_proxies()
        configure_logs(settings.log)
        return await _found(name)(settings, given)

    return with_settings


def _found(name: str) -> Callable[..., Awaitable[int]]:
    """A command by its module and name in bot.cli. Imported only now: the libraries of all of them take seconds."""
    command: Callable[..., Awaitable[int]] = resolve_name(f"bot.cli.{name}")
    return command
