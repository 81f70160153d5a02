"""Write `docs/reference/` from the code, so that it says what the code does.

    python tools/reference.py            # write
    python tools/reference.py --check    # write nothing; exit 1 and name the pages that are out of date

A test compares the committed pages with `pages()`.
"""

import argparse
import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic_core import PydanticUndefined

import shipcrowd
from shipcrowd import wiring
from shipcrowd.app import API, PUBLIC_API, create_app
from shipcrowd.channels.models import ANNOUNCEMENT_MOVES, CANCELLATION_MOVES
from shipcrowd.connections.models import MOVES as CONNECTION_MOVES
from shipcrowd.identity.permissions import PERMISSIONS, ROLE_PERMISSIONS, Role
from shipcrowd.kernel import problems
from shipcrowd.kernel.db import Base
from shipcrowd.kernel.errors import ShipcrowdError
from shipcrowd.kernel.events import Event
from shipcrowd.kernel.jobs import REGISTRY, Job
from shipcrowd.ledger.chart import ACCOUNTS, MOVEMENTS, REVERSAL_MEANING, MovementCode
from shipcrowd.migrations.tables import import_tables
from shipcrowd.orders.models import MOVES as ORDER_MOVES
from shipcrowd.settings import Settings
from shipcrowd.shipping import models as shipping

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
COMMAND = "python tools/reference.py"


def pages() -> Mapping[str, str]:
    """File name → text of every page of the reference, from the code as it is."""
    import_everything()
    made = {name: f"# {title}\n\n{write().strip()}\n" for name, title, write in PAGES}
    return {"README.md": contents(), **made}


def import_everything() -> None:
    """Import every module, so that every job, event, table and error is known."""
    for module in pkgutil.walk_packages(shipcrowd.__path__, "shipcrowd."):
        if not module.name.endswith("__main__") and not module.name.startswith("shipcrowd.migrations."):
            importlib.import_module(module.name)
    import_tables()


def contents() -> str:
    listed = "\n".join(f"* [{title}]({name})" for name, title, _ in PAGES)
    return f"# Reference\n\nWritten from the code by `{COMMAND}`. Do not edit these pages: run it again.\n\n{listed}\n"


# --- the pages ------------------------------------------------------------------------------------------------------


def settings() -> str:
    said = attribute_docstrings(Settings)
    example = example_comments()
    rows: list[Sequence[str]] = []
    for name, field in Settings.model_fields.items():
        variable = f"SHIPCROWD_{name.upper()}"
        default = field.default
        shown = "" if default in (None, PydanticUndefined, "") or "Secret" in str(field.annotation) else f"`{default}`"
        rows.append((f"`{variable}`", shown, said.get(name) or example.get(variable, "")))
    return (
        "Read from the environment or a `.env` file; `.env.example` is one to copy. No secret has a default.\n\n"
        + table(("Variable", "Default", "What it is"), rows)
    )


def events() -> str:
    rows: list[Sequence[str]] = []
    for event in sorted(ours(subclasses(Event)), key=lambda event: (event.__module__, event.__name__)):
        heard = [f"`{listener.name}`" for listener in wiring.LISTENERS.get(event, ())]
        fields = [f"`{name}`" for name in inspect.get_annotations(event) if name != "company_id"]
        doc = first_line(event.__dict__.get("__doc__")) if not is_dataclass_doc(event) else ""
        rows.append((f"`{event.__name__}`", module_of(event), ", ".join(fields), ", ".join(heard) or "nobody yet", doc))
    return (
        "An event is published in the transaction that did the thing, and becomes one job for each listener. Every "
        "one carries `company_id` besides the ids named here. Who hears what stands in `shipcrowd/wiring.py`.\n\n"
        + table(("Event", "Published by", "Ids", "Heard by", "Meaning"), rows)
    )


def jobs() -> str:
    by_the_clock = {schedule.job.name: f"`{schedule.cron}`" for schedule in wiring.SCHEDULES}
    rows: list[Sequence[str]] = []
    for name, job in sorted(REGISTRY.items()):
        if job.run.__module__.startswith("shipcrowd."):
            rows.append(
                (
                    f"`{name}`",
                    by_the_clock.get(name, ""),
                    retries(job),
                    f"{job.seconds:g} s",
                    first_line(job.run.__doc__),
                )
            )
    return (
        "Cron lines are read in IST. *Tries* counts failures: waiting for a rate limit is none. A job out of tries is "
        "held: `GET /api/v1/system/jobs/failed` lists it. *Limit* bounds one run.\n\n"
        + table(("Job", "Cron", "Tries", "Limit", "What it does"), rows)
    )


def permissions() -> str:
    rows = [
        (f"`{permission}`", *("●" if permission in ROLE_PERMISSIONS[role] else "" for role in Role))
        for permission in sorted(PERMISSIONS)
    ]
    return (
        "A permission is `module:action`; the same words are the scopes of API keys. Writing does not imply reading. "
        "The table is `shipcrowd/identity/permissions.py`.\n\n"
        + table(("Permission", *(role.value.replace("_", " ") for role in Role)), rows)
    )


def api() -> str:
    by_tag: dict[str, list[Sequence[str]]] = {}
    for route in routes():
        endpoint = route.endpoint
        summary = first_line(endpoint.__doc__) if endpoint and endpoint.__doc__ else sentence(str(route.name))
        tag = (getattr(route, "tags", None) or ["other"])[0]
        for method in sorted(route.methods or ()):
            path = str(route.path)
            by_tag.setdefault(str(tag), []).append((method, f"`{path}`", permission_of(route, method, path), summary))
    parts = [
        f"All paths are under `{API}` but health and metrics. `shipcrowd openapi` prints the whole description, with "
        f"every field; a running installation serves it at `{API}/openapi.json`. *nobody* in the column of permissions "
        "means that the route is public; webhooks are checked by their signature."
    ]
    for tag, rows in sorted(by_tag.items()):
        parts.append(f"## {tag.capitalize()}\n\n" + table(("Method", "Path", "Permission", "What it does"), rows))
    return "\n\n".join(parts)


def ledger() -> str:
    accounts = [
        (f"`{code}`", kind.meaning, "yes" if kind.may_go_negative else "no", "yes" if kind.by_reference else "")
        for code, kind in ACCOUNTS.items()
    ]
    movements: list[Sequence[str]] = []
    for code in MovementCode:
        kind = MOVEMENTS.get(code)
        way = (f"`{kind.debit}`", f"`{kind.credit}`", kind.meaning) if kind else ("", "", REVERSAL_MEANING)
        movements.append((f"`{code}`", *way))
    return (
        "Every company's book has all of these accounts. A balance is credits less debits.\n\n## Accounts\n\n"
        + table(("Account", "Meaning", "May go below zero", "Checked by reference"), accounts)
        + "\n\n## Movements\n\nA movement's code fixes the two accounts. A reversal goes where the movement it undoes "
        "came from.\n\n" + table(("Code", "From", "To", "Meaning"), movements)
    )


def states() -> str:
    looks = {state: f"{minutes} min" for state, minutes in shipping.CHECK_EVERY_MINUTES.items()}
    shipments = [
        (
            f"`{state}`",
            moves(ahead),
            "yes" if state in shipping.CANCELLABLE else "",
            "held" if state in shipping.HOLDS_MONEY else "",
            looks.get(state, ""),
        )
        for state, ahead in shipping.MOVES.items()
    ]
    plain = (
        ("Orders", "`shipcrowd/orders/models.py`", ORDER_MOVES),
        ("Connections (stores and courier accounts)", "`shipcrowd/connections/models.py`", CONNECTION_MOVES),
        ("Announcements (what a store was told of a parcel)", "`shipcrowd/channels/models.py`", ANNOUNCEMENT_MOVES),
        ("Cancellations (orders cancelled at their store)", "`shipcrowd/channels/models.py`", CANCELLATION_MOVES),
    )
    parts = ["Every state machine is one table of legal moves; another move raises."]
    for title, where, table_of_moves in plain:
        rows = [(f"`{state}`", moves(ahead)) for state, ahead in table_of_moves.items()]
        parts.append(f"## {title}\n\n{where}\n\n" + table(("State", "May become"), rows))
    head = ("State", "May become", "Can be cancelled", "Money", "Tracking is looked at every")
    parts.append("## Shipments\n\n`shipcrowd/shipping/models.py`\n\n" + table(head, shipments))
    return "\n\n".join(parts)


def unowned() -> str:
    reasons = {mapper.local_table: sys.modules[mapper.class_.__module__].__doc__ for mapper in Base.registry.mappers}
    rows: list[Sequence[str]] = []
    for found in sorted(Base.metadata.tables.values(), key=lambda found: found.name):
        key = [column.name for column in found.primary_key.columns]
        if key[:1] != ["company_id"]:
            reason = found.info.get("unowned") or one_line(reasons.get(found) or "")
            rows.append((f"`{found.name}`", ", ".join(f"`{name}`" for name in key), reason))
    return (
        "Every other table is owned: `company_id` leads its primary key, and row security shows a transaction the rows "
        "of its own company only. These stand outside, and hold no personal data in clear. So do the queue's own "
        "tables (`pgqueuer…`, whose jobs carry ids and AWBs only) and `alembic_version`.\n\n"
        + table(("Table", "Primary key", "Why it belongs to no company"), rows)
    )


def problem_codes() -> str:
    rows = [
        (f"`{error.code()}`", str(error.status), error.title(), module_of(error))
        for error in ours(subclasses(ShipcrowdError))
    ]
    rows += [(f"`{code}`", str(status), title, "kernel") for status, code, title in fixed_problems()]
    head = (
        "Errors are RFC 9457 problem documents: `{type, code, title, status, detail, field, …}`. Programs go by "
        "`code`. The class's name is the code, its docstring the title, its base the status. What the web server "
        "itself says of a request (404, 405) has the codes `not_found`, `method_not_allowed` or `http_error`.\n\n"
    )
    return head + table(("Code", "Status", "Title", "From"), sorted(set(rows)))


PAGES: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("api.md", "API routes", api),
    ("events.md", "Events and who hears them", events),
    ("jobs.md", "Jobs and schedules", jobs),
    ("ledger.md", "Ledger accounts and movements", ledger),
    ("permissions.md", "Permissions and roles", permissions),
    ("problems.md", "Problem codes", problem_codes),
    ("settings.md", "Settings", settings),
    ("states.md", "States and moves", states),
    ("unowned-tables.md", "Tables that belong to no company", unowned),
)


# --- reading the code -----------------------------------------------------------------------------------------------


def routes() -> Iterator[RouteContext]:
    for route in iter_route_contexts(create_app().routes):
        if isinstance(route.original_route, APIRoute):
            path = str(route.path)
            if path.startswith((API, "/health", "/metrics")):
                yield route


def permission_of(route: RouteContext, method: str, path: str) -> str:
    """What the guard in the route's signature asks for."""
    assert isinstance(route.original_route, APIRoute)
    for dependency in route.original_route.dependant.dependencies:
        if (permission := getattr(dependency.call, "permission", None)) is not None:
            return f"`{permission}`" if ":" in permission else str(permission)
    return "nobody" if f"{method} {path}" in PUBLIC_API else "?"


def fixed_problems() -> Iterator[tuple[int, str, str]]:
    """(status, code, title) of the problems `kernel.problems` writes itself."""
    for node in ast.walk(ast.parse(inspect.getsource(problems))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "problem":
            given = [argument.value for argument in node.args[:3] if isinstance(argument, ast.Constant)]
            match given:
                case [int(status), str(code), str(title)]:
                    yield status, code, title
                case _:
                    pass


def attribute_docstrings(of: type[Any]) -> dict[str, str]:
    """Attribute → the string that stands under it in the class."""
    (body,) = ast.parse(inspect.getsource(of)).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for above, below in zip(body.body, body.body[1:], strict=False):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                found[name] = one_line(words)
            case _:
                pass
    return found


def example_comments() -> dict[str, str]:
    """Variable → the comment right above it in `.env.example`."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in (ROOT / ".env.example").read_text().splitlines():
        variable = line.removeprefix("#").partition("=")[0]
        if line.startswith("# ") and not line.startswith("# ---"):
            above.append(line.removeprefix("# "))
            continue
        if variable.startswith("SHIPCROWD_"):
            found[variable] = " ".join(above)
        above = []
    return found


def subclasses(of: type[Any]) -> Iterator[type[Any]]:
    for child in of.__subclasses__():
        yield child
        yield from subclasses(child)


def ours(found: Iterable[type[Any]]) -> list[type[Any]]:
    """Without what tests define."""
    return [each for each in dict.fromkeys(found) if each.__module__.startswith("shipcrowd.")]


def module_of(thing: type[Any]) -> str:
    parts = thing.__module__.split(".")[1:]
    return ".".join(parts[:2] if parts[0] == "integrations" else parts[:1])


def is_dataclass_doc(of: type[Any]) -> bool:
    """Whether the docstring is the signature that `dataclass` writes where there is none."""
    return (of.__doc__ or "").startswith(f"{of.__name__}(")


def retries(job: Job[...]) -> str:
    names = ", ".join(error.__name__ for error in job.retry.exceptions)
    return f"{job.retry.times} on {'any error' if names == 'Exception' else names}"


def moves(ahead: Iterable[StrEnum]) -> str:
    """In the order in which the states are declared."""
    in_order = sorted(ahead, key=lambda state: list(type(state)).index(state))
    return ", ".join(f"`{state}`" for state in in_order) or "nothing: it ends here"


def sentence(name: str) -> str:
    """`get_order` → `Get order.`, for what has no docstring."""
    return name.replace("_", " ").capitalize() + "."


def one_line(words: str) -> str:
    return " ".join(words.split())


def first_line(doc: str | None) -> str:
    """A docstring's first paragraph, in one line."""
    return one_line(inspect.cleandoc(doc or "").split("\n\n")[0])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# --- the command ----------------------------------------------------------------------------------------------------


def stale() -> list[str]:
    """The pages whose committed text is not what the code says, and those that should not be there."""
    made = pages()
    committed = {path.name: path.read_text() for path in FOLDER.glob("*.md")}
    return sorted(name for name in {*made, *committed} if made.get(name) != committed.get(name))


def main(arguments: list[str] | None = None) -> int:
    """0 when the pages are (now) up to date, 1 when `--check` found some that are not."""
    parser = argparse.ArgumentParser(description="Write docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; name the pages that are out of date")
    if parser.parse_args(arguments).check:
        found = stale()
        if found:
            print(f"out of date: {', '.join(found)}; run `{COMMAND}`", file=sys.stderr)
        return 1 if found else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text)
    print(f"reference: {len(made)} pages in {FOLDER.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
