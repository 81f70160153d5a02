"""The guides say what is there: every path, setting, command, word and link in them exists, and what their curl
examples send is what the API takes. `journeys/test_api_guide.py` runs those of the API's guide."""

import importlib.util
import json
import re
import shlex
import urllib.error
import urllib.request
from dataclasses import asdict
from email.message import Message
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import typer.main
from botocore import xform_name
from botocore.session import get_session

from shipcrowd.cli import cli
from shipcrowd.integrations.amazon import webhooks
from shipcrowd.integrations.amazon.operations import OPERATIONS
from shipcrowd.kernel import clock
from shipcrowd.kernel.ids import new_id
from shipcrowd.sandbox.desk import Credentials
from shipcrowd.settings import Settings
from tests import guides
from tests.guides import ROOT, Command, Curl
from tests.routes import application

PAGES = guides.pages()
READMES = sorted((ROOT / "shipcrowd" / "integrations").glob("*/README.md"))
LINKING = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "deploy/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *READMES,
]

METHODS = ("get", "post", "put", "patch", "delete")
OUTSIDE = {"SHIPCROWD_SPECS", "SHIPCROWD_SAMPLES", "SHIPCROWD_TEST_SERVER_URL", "SHIPCROWD_SOAK_DAYS"}
"""What tests read from the environment, and no process of the product."""

NOT_DESCRIBED = {"any /api/v1", "any /api/v1/openapi.json"}
"""Where the API begins, and its description: neither is in the description."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(guides.GUIDES)))


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(application().openapi()))
    return found


def operation(method: str | None, path: str) -> dict[str, Any] | None:
    """What the API says of a call: of any method where none is named. A placeholder of the guide stands for one of the
    API's, never for a word of its own."""
    for template, item in document()["paths"].items():
        if _fits(template, path):
            for each in METHODS if method is None else (method.lower(),):
                if each in item:
                    found: dict[str, Any] = item[each]
                    return found
    return None


def _fits(template: str, path: str) -> bool:
    theirs, ours = template.split("/"), path.rstrip("/").split("/")
    return len(theirs) == len(ours) and all(
        a == b if not a.startswith("{") else b != "" for a, b in zip(theirs, ours, strict=True)
    )


def shell(page: Path) -> list[Command]:
    return [each for block in guides.blocks(page) if block.kind == "sh" for each in guides.commands(block)]


def inline(page: Path, begins: str) -> list[tuple[str, ...]]:
    """The commands in the page's prose, between backticks, that begin so."""
    return [tuple(shlex.split(span)) for span in guides.spans(page) if span.split()[0] == begins]


def ran(page: Path, program: str) -> list[tuple[str, ...]]:
    """Every use of a program on a page, in blocks and in prose; settings before it and its folder left out."""
    found = list[tuple[str, ...]](inline(page, program))
    for command in shell(page):
        words = [word for word in command.words if not re.fullmatch(r"[A-Z_]+=\S*", word)]
        if words and words[0].rpartition("/")[2] == program:
            found.append((program, *words[1:]))
    return found


def is_for_users(page: Path) -> bool:
    """Whether it is about using the program; the others are about writing and running it."""
    return page.parent != guides.GUIDES or page.name == "use-the-api.md"


@cache
def words_of_the_program() -> frozenset[str]:
    read = [*ROOT.glob("shipcrowd/**/*.py"), *ROOT.glob("docs/reference/*.md")]
    return frozenset(re.findall(r"\w+", "\n".join(path.read_text() for path in read)))


# --- calls ----------------------------------------------------------------------------------------------------------


@pages
def test_every_address_of_the_api_is_one(page: Path):
    text = page.read_text()
    missing = [f"{method or 'any'} {path}" for method, path in guides.named_calls(text) if not operation(method, path)]
    assert [each for each in missing if each not in NOT_DESCRIBED] == []


@pages
def test_the_examples_send_what_the_api_takes(page: Path):
    for command in shell(page):
        if command.words[0] != "curl":
            continue
        call = guides.curl(command.words, {"API": "/api/v1"})
        path, _, query = call.url.partition("?")
        path = path[path.find("/api/v1") :] if "/api/v1" in path else path
        if not path.startswith("/api/v1"):
            continue
        known = operation(call.method, path)
        assert known is not None, f"{call.method} {path}"
        takes = {each["name"].lower() for each in known.get("parameters", [])}
        asked = {pair.partition("=")[0] for pair in query.split("&") if pair}
        assert asked <= takes, f"{path} takes no {asked - takes}"
        assert ("idempotency-key" in call.headers) <= ("idempotency-key" in takes), path
        _body_fits(call, known)


def _body_fits(call: Curl, known: dict[str, Any]) -> None:
    schema = known.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if call.body is None:
        assert not known.get("requestBody", {}).get("required"), f"{call.url} wants a body"
        return
    if schema is None:  # a webhook: what vendors like
        return
    body = json.loads(re.sub(r"\{[A-Z_]+\}", str(new_id()), call.body))
    whole = {**schema, "components": document()["components"]}
    jsonschema_rs.validator_for(whole, validate_formats=True).validate(body)


def test_the_api_guide_lists_what_takes_an_idempotency_key():
    page = guides.GUIDES / "use-the-api.md"
    section = page.read_text().partition("## Sending the same thing twice")[2].partition("\n## ")[0]
    takes = {
        (method.upper(), path)
        for path, item in document()["paths"].items()
        for method, each in item.items()
        if any(parameter["name"].lower() == "idempotency-key" for parameter in each.get("parameters", []))
    }
    assert set(guides.named_calls(section)) == takes


@pages
def test_json_in_the_guides_is_json(page: Path):
    for block in guides.blocks(page):
        if block.kind == "json":
            json.loads(block.text)


# --- settings, commands, words --------------------------------------------------------------------------------------


@pages
def test_every_setting_named_is_one(page: Path):
    known = {f"SHIPCROWD_{name.upper()}" for name in Settings.model_fields} | OUTSIDE
    # `SHIPCROWD_<SLUG>_…` is a pattern.
    named = set(re.findall(r"\bSHIPCROWD_[A-Z0-9][A-Z0-9_]*", page.read_text()))
    assert named - known == set()


@pages
def test_every_make_target_named_is_one(page: Path):
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"\$\((?:if |or )?\$?\(?([A-Z]+)", makefile))
    for _, *words in ran(page, "make"):
        for word in words:
            name, given, _ = word.partition("=")
            assert name in (variables if given else targets), f"make {word}"


@pages
def test_every_command_named_is_one(page: Path):
    for _, *words in ran(page, "shipcrowd"):
        command = typer.main.get_command(cli)
        for word in words:
            inner: dict[str, Any] = getattr(command, "commands", {})
            if word in inner:
                command = inner[word]
            elif inner:
                raise AssertionError(f"shipcrowd {' '.join(words)}: there is no {word}")
        options = set(chain.from_iterable(each.opts for each in command.params)) | {"--help"}
        # What is redirected, or a value, does not begin with a dash.
        assert {word for word in words if word.startswith("-")} <= options, f"shipcrowd {' '.join(words)}"


@pages
def test_every_python_module_run_is_there(page: Path):
    for words in (*ran(page, "python"), *ran(page, "python3")):
        if words[1:2] == ("-m",):
            assert importlib.util.find_spec(words[2]) is not None, words
        elif len(words) > 1 and words[1].endswith(".py"):
            assert (ROOT / words[1]).exists(), words


@pages
def test_aws_commands_are_those_of_aws(page: Path):
    """By the models botocore carries; the CLI itself is not needed here."""
    everywhere = {"--region", "--query", "--output", "--endpoint-url"}
    for _, service, name, *rest in ran(page, "aws"):
        model = get_session().get_service_model(service)
        named = {xform_name(each, "-"): each for each in model.operation_names}
        assert name in named, f"aws {service} {name}"
        shape = model.operation_model(named[name]).input_shape
        takes = {f"--{xform_name(member, '-')}" for member in shape.members}
        assert {word for word in rest if word.startswith("--")} <= takes | everywhere, f"aws {service} {name}"


@pytest.mark.parametrize("page", [page for page in PAGES if is_for_users(page)], ids=lambda page: page.name)
def test_words_of_the_program_are_in_the_program(page: Path):
    """Codes, fields, states, figures: what stands in backticks and has an underscore is written so in the code too."""
    said = {
        word
        for span in guides.spans(page)
        for word in re.findall(r"(?<![\w./<-])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w(])", span)
    }
    assert said - words_of_the_program() == set()


# --- links ----------------------------------------------------------------------------------------------------------


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", guides.prose(page))


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", guides.prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_page_and_a_heading(page: Path):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        where, _, heading = link.partition("#")
        target = (page.parent / where).resolve() if where else page
        assert target.exists(), link
        if heading and target.suffix == ".md":
            assert heading in headings(target), link


def test_every_guide_can_be_reached_from_the_front_page():
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            waiting += [target] if target.is_file() else []
    assert set(PAGES) - reached == set()


# --- facts in tables ------------------------------------------------------------------------------------------------


def test_amazons_rates_are_those_that_are_kept():
    page = (guides.GUIDES / "amazon" / "rate-limits.md").read_text()
    row = re.compile(r"^\| `(\w+)`( \(app\))? \| (\d+) \| ([\d.]+) \| ([\d.]*)", re.MULTILINE)
    told = {
        name: (float(burst), float(rate), bool(app), float(every) if every else None)
        for name, app, burst, rate, every in row.findall(page)
    }
    assert told == {each.name: (each.burst, each.rate, each.grantless, _every(each.rate)) for each in OPERATIONS}


def _every(rate: float) -> float | None:
    seconds = 1 / rate
    return None if seconds < 0.1 else round(seconds, 1 if seconds < 1 else None)


def test_the_keys_of_the_stand_ins_are_theirs():
    """Settings in the guide that makes an installation on stand-ins, beside what the stand-ins take."""
    said = dict(re.findall(r"^SHIPCROWD_(\w+)=(\S+)$", (guides.GUIDES / "try-a-webhook.md").read_text(), re.MULTILINE))
    theirs = {name.upper(): value for name, value in asdict(Credentials()).items()}
    told = {name: value for name, value in said.items() if name in theirs}
    assert told == {name: theirs[name] for name in told}
    assert len(told) == 7


# --- programs in guides ---------------------------------------------------------------------------------------------


def test_the_relay_of_the_guide_signs_as_the_door_wants(monkeypatch):
    page = guides.GUIDES / "amazon" / "sqs.md"
    (relay,) = [block for block in guides.blocks(page) if block.kind == "python"]
    posted: list[urllib.request.Request] = []

    def taken(request: urllib.request.Request, timeout: float) -> None:
        if request.data == b"refused":
            raise urllib.error.HTTPError(request.full_url, 401, "no", Message(), None)
        posted.append(request)

    monkeypatch.setattr(urllib.request, "urlopen", taken)
    monkeypatch.setenv("RELAY_SECRET", "between-us")
    monkeypatch.setenv("PUBLIC_URL", "https://app.example.com")
    given: dict[str, Any] = {}
    exec(compile(relay.text, str(page), "exec"), given)
    records = [{"messageId": "1", "body": '{"a": "₹"}'}, {"messageId": "2", "body": "refused"}]
    assert given["handler"]({"Records": records}, None) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    (sent,) = posted
    assert sent.full_url == "https://app.example.com/api/v1/webhooks/amazon"
    assert isinstance(sent.data, bytes)
    headers = {name.lower(): value for name, value in sent.header_items()}
    webhooks.verify(["between-us"], headers, sent.data, clock.now())
    with pytest.raises(webhooks.ForgedRelay):
        webhooks.verify(["another"], headers, sent.data, clock.now())
