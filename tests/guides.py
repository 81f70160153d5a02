"""The guides, taken apart: their pages, fenced blocks, commands and calls, so that tests can hold them to the program.

Only as much of a shell is understood as the guides use: one command a line, quoting, `\\` at the end of a line, here
documents, `NAME=value`, `NAME=$(command | jq filter)`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
GUIDES = ROOT / "docs" / "guides"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNED = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)
_INSIDE = re.compile(r"\$\((.*)\)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{?([A-Z_]+)\}?")
_HERE = re.compile(r"<<'?(\w+)'?")
_PATH = r"/api/v1(?:/(?:\{[^}]*\}|[\w.\-]+))*"
_CALL = re.compile(rf"(?:\b(GET|POST|PUT|PATCH|DELETE)\s+)?[^\s`'\"(]*?({_PATH})")


@dataclass(frozen=True)
class Block:
    """A fenced block. `kind` is the word behind the fence."""

    page: Path
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text[:80]!r}"


@dataclass(frozen=True)
class Command:
    """One command of a shell block. `into`: the variable its output becomes; `jq`: the filter it goes through first."""

    words: tuple[str, ...]
    into: str | None = None
    jq: str | None = None


@dataclass(frozen=True)
class Curl:
    """What a curl command sends. `path` holds its variables still, unless they were given."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str | None
    file: str | None


def pages() -> list[Path]:
    return sorted(GUIDES.rglob("*.md"))


def blocks(page: Path) -> list[Block]:
    return [Block(page, kind, text) for kind, text in _FENCE.findall(page.read_text())]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def spans(page: Path) -> list[str]:
    """What stands between single backticks."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def named_calls(text: str) -> Iterator[tuple[str | None, str]]:
    """(method, path) of each of our API's addresses in a text; no method where none is named."""
    for method, path in _CALL.findall(text):
        yield method or None, path


def commands(block: Block) -> Iterator[Command]:
    """The commands of a shell block. Raises ValueError for a quote that is never closed."""
    waiting, until = "", None
    for line in block.text.splitlines():
        if until is not None:
            until = None if line.strip() == until else until
            continue
        waiting = f"{waiting.removesuffix(chr(92))} {line.strip()}" if waiting.endswith("\\") else waiting + line + "\n"
        waiting = waiting.rstrip("\n") if line.endswith("\\") else waiting
        if waiting.endswith("\\") or not _closed(waiting):
            continue
        if (here := _HERE.search(waiting)) is not None:
            until = here[1]
        yield from _read(waiting.strip())
        waiting = ""
    if waiting.strip():
        raise ValueError(f"{block}: a command does not end")


def _closed(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True


def _read(text: str) -> Iterator[Command]:
    if not shlex.split(text, comments=True):
        return
    into = None
    if (assigned := _ASSIGNED.fullmatch(text)) is not None:
        into, text = assigned[1], assigned[2]
        if (inside := _INSIDE.fullmatch(text)) is None:
            yield Command(tuple(shlex.split(text, comments=True)), into)
            return
        text = inside[1]
    words, jq = shlex.split(text, comments=True), None
    if "|" in words:
        at = words.index("|")
        words, jq = words[:at], words[-1]
    yield Command(tuple(words), into, jq)


def filled(text: str, known: Mapping[str, str]) -> str:
    """The text with the variables that are known put in; the others stay as `{NAME}`."""
    return _VARIABLE.sub(lambda found: known.get(found[1], f"{{{found[1]}}}"), text)


def curl(words: tuple[str, ...], known: Mapping[str, str]) -> Curl:
    """A curl command. Raises ValueError for an option not known here."""
    method, url, body, file = None, "", None, None
    headers: dict[str, str] = {}
    rest = iter(words[1:])
    for word in rest:
        if word in ("-s", "-i", "-sS", "-f"):
            continue
        if word in ("-H", "--header"):
            name, _, value = filled(next(rest), known).partition(":")
            headers[name.strip().lower()] = value.strip()
        elif word in ("-X", "--request"):
            method = next(rest)
        elif word in ("-o", "--output"):
            file = next(rest)
        elif word == "--json":
            body = filled(next(rest), known)
            headers["content-type"] = "application/json"
        elif word.startswith("-"):
            raise ValueError(f"curl {word} is not known here")
        elif url:
            raise ValueError(f"curl with two addresses: {url}, {word}")
        else:
            url = filled(word, known)
    return Curl(method or ("POST" if body is not None else "GET"), url, headers, body, file)
