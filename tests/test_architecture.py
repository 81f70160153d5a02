"""The shape of the house, held by tests: who imports whom, who may come in, whose rows are whose, what is documented.

Each exception stands here by name with its reason. When a test fails, either the code went astray or a sentence here
is no longer true; change the one that is wrong.
"""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine

import shipcrowd
from shipcrowd import console, rotation, wiring
from shipcrowd.app import PUBLIC_API
from shipcrowd.identity.permissions import PERMISSIONS
from shipcrowd.kernel import db, jobs
from shipcrowd.kernel.events import Event
from shipcrowd.kernel.jobs import Job
from shipcrowd.kernel.tenancy import APP_ROLE, PLATFORM_ROLE
from shipcrowd.migrations.tables import import_tables
from shipcrowd.settings import Settings
from tests.routes import Route, application, routes

PACKAGE = Path(shipcrowd.__path__[0])
ROOT = PACKAGE.parent
import_tables()
TABLES: dict[str, Table] = dict(db.Base.metadata.tables)

UNOWNED = {
    "api_keys",
    "buckets",
    "connection_routes",
    "memberships",
    "platform_crossings",
    "sessions",
    "shipment_routes",
    "users",
}
"""Tables without row security, because they are read before the company is known, or belong to none. Each says why in
its `info`. A new one is a decision: whatever a query on it forgets, nothing else catches."""

REFERENCE = {"pincodes"}
"""Facts of the world: no company, no people."""

MACHINERY = {"alembic_version", "pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"}
"""Tables that are not ours: the migrations' and the queue's. A job's payload holds ids only."""

OWNED = sorted(set(TABLES) - UNOWNED - REFERENCE)


# --- imports --------------------------------------------------------------------------------------------------------


@cache
def modules() -> list[tuple[Path, str, ast.Module]]:
    """Every file of the product: where, its path inside the package, its syntax tree."""
    return [
        (path, path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text()))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_modules_import_downward_only():
    """The drawing of the layers is in `.importlinter`."""
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache", "--config", ROOT / ".importlinter"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_layers_leave_no_module_out_of_what_vendors_and_stand_ins_may_not_know():
    """`.importlinter` names what is forbidden one by one; a new module must not slip through."""
    everything = {f"shipcrowd.{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)])}
    text = (ROOT / ".importlinter").read_text()
    for contract, allowed in (("integrations", "shipcrowd.integrations"), ("sandbox", "shipcrowd.sandbox")):
        section = text.split(f"[importlinter:contract:{contract}]")[1].split("[importlinter:")[0]
        forbidden = section.split("forbidden_modules =")[1].split("allow_indirect_imports")[0].split()
        assert set(forbidden) == everything - {allowed, "shipcrowd.kernel"}


CALLS_OUT = {"httpx2", "httpx", "requests", "aiohttp", "urllib.request", "http.client", "urllib3"}


def test_only_the_kernel_calls_out():
    """Every call to the outside is bounded, counted and redacted, because there is one way out."""
    may = ("kernel/outbound.py", "sandbox/", "demo/")  # the stand-ins and the demo talk to themselves
    found = {where for _, where, tree in modules() if not where.startswith(may) and CALLS_OUT & set(imported(tree))}
    assert found == set()


CLOCKS = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
    ("time", "time"), ("time", "time_ns"), ("time", "localtime"), ("time", "gmtime"),
}  # fmt: skip


def test_only_the_kernels_clock_reads_the_time():
    found = {
        f"{where}:{node.lineno}"
        for _, where, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if (ast.unparse(node.func.value).rpartition(".")[2], node.func.attr) in CLOCKS
    }
    assert {place.partition(":")[0] for place in found} == {"kernel/clock.py"}, found


LONG = {
    "migrations/versions/0001_ground.py": "history: a migration is written once and not refactored",
}


def test_no_file_is_longer_than_500_lines():
    found = {where for path, where, _ in modules() if len(path.read_text().splitlines()) > 500}
    assert found == {where for where in LONG if (PACKAGE / where).exists()}


def test_every_module_says_what_it_is_for():
    assert {where for _, where, tree in modules() if ast.get_docstring(tree) is None} == set()


def test_every_crossing_of_companies_says_why_in_a_constant():
    """`why` labels a metric, so it must not hold an id."""
    calls = [
        (f"{where}:{node.lineno}", node)
        for _, where, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "acting_for_platform"
    ]
    assert calls
    for where, call in calls:
        whys = [keyword.value for keyword in call.keywords if keyword.arg == "why"]
        assert len(whys) == 1 and isinstance(whys[0], ast.Constant), where


# --- routes ---------------------------------------------------------------------------------------------------------

FRAMEWORK = {
    "GET /api/v1/openapi.json", "HEAD /api/v1/openapi.json", "GET /api/v1/docs", "HEAD /api/v1/docs",
    "GET /docs/oauth2-redirect", "HEAD /docs/oauth2-redirect",
}  # fmt: skip
"""FastAPI's own: the API's description, which is no secret. The pages among them are not served in production."""

STATIC = {"* /static/console"}
PUBLIC = PUBLIC_API | console.PUBLIC_PAGES | FRAMEWORK | STATIC


@pytest.fixture(scope="module")
def all_routes() -> list[Route]:
    return routes(application())


def test_the_walk_over_the_routes_misses_none(all_routes):
    """The framework keeps included routers apart; if that changes again, this says so."""
    documented = {
        f"{method.upper()} {path}" for path, item in application().openapi()["paths"].items() for method in item
    }
    assert len(documented) > 80
    assert documented == {route.name for route in all_routes if route.documented}
    assert len([route for route in all_routes if not route.is_api]) > 60  # the pages


def test_no_courier_stands_in_a_channels_door():
    """Couriers' doors come first: one named like a channel would take that channel's webhooks."""
    doors = {vendor.slug for vendor in wiring.COURIERS if vendor.webhooks}
    assert doors & {vendor.slug for vendor in wiring.CHANNELS} == set()


def test_no_two_routes_are_the_same(all_routes):
    names = [route.name for route in all_routes]
    assert sorted(set(names)) == sorted(names)


def test_every_route_is_guarded_or_on_a_public_list(all_routes):
    assert sorted(route.name for route in all_routes if not route.guards and route.name not in PUBLIC) == []


def test_the_public_lists_hold_nothing_that_is_gone_or_guarded(all_routes):
    open_to_all = {route.name for route in all_routes if not route.guards}
    assert PUBLIC - open_to_all == set()


def test_a_guard_asks_for_one_permission_that_exists(all_routes):
    for route in all_routes:
        assert len(route.guards) <= 1, route.name
        assert route.guards <= PERMISSIONS | {"signed in"}, route.name


def test_what_is_only_read_with_is_not_written_with(all_routes):
    """A `…:read` permission opens no route that changes something, except those that only compute or print."""
    computes = {
        "POST /api/v1/quotes",
        "POST /api/v1/ratecards/simulate",
        "POST /api/v1/shipments/labels",
        "POST /api/v1/shipments/packing-slips",
        "POST /shipments/packing-slips",
    }
    found = {
        route.name
        for route in all_routes
        if route.method not in ("GET", "HEAD") and any(guard.endswith(":read") for guard in route.guards)
    }
    assert found == computes


def test_in_production_nobody_is_shown_the_documentations_page():
    names = {route.name for route in routes(application())}
    live = {route.name for route in routes(application(environment="production"))}
    assert names - live == {name for name in FRAMEWORK if "openapi.json" not in name}


# --- tables ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def owner(database_urls):
    """The owner's connection to this worker's database."""
    connection = await db.open_connection(database_urls[0])
    yield connection
    await connection.close()


async def rows_of(owner, query, *args) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in await owner.fetch(query, *args)]


async def test_every_table_of_the_database_is_accounted_for(owner):
    found = {name for (name,) in await rows_of(owner, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert found == set(TABLES) | MACHINERY


def test_the_unowned_tables_are_exactly_these_and_each_says_why():
    """Every other table with a `company_id` is under row security."""
    assert {name for name, table in TABLES.items() if table.info.get("unowned")} == UNOWNED
    assert {name for name, table in TABLES.items() if "company_id" not in table.columns} == REFERENCE | {
        "buckets",
        "platform_crossings",
        "users",
    }
    for name in UNOWNED:
        assert len(TABLES[name].info["unowned"]) > 20


async def test_every_owned_table_is_under_row_security_with_both_policies(owner):
    secured = await rows_of(
        owner,
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class c JOIN pg_namespace n ON"
        " n.oid = c.relnamespace WHERE nspname = 'public' AND relkind IN ('r', 'p')",
    )
    # Enabled and not forced: the owner's backfills and dumps see everything.
    assert sorted(name for name, enabled, _ in secured if enabled) == OWNED
    assert [name for name, _, forced in secured if forced] == []
    policies = await rows_of(
        owner,
        "SELECT tablename, policyname, permissive, roles::text[], cmd, qual, with_check FROM pg_policies"
        " WHERE schemaname = 'public' ORDER BY 1, 2",
    )
    mine = "( SELECT (NULLIF(current_setting('shipcrowd.company_id'::text, true), ''::text))::uuid AS \"nullif\")"
    mine = f"(company_id = {mine})"
    assert policies == [
        row
        for table in OWNED
        for row in (
            (table, "company", "PERMISSIVE", [APP_ROLE], "ALL", mine, mine),
            (table, "platform", "PERMISSIVE", [PLATFORM_ROLE], "ALL", "true", "true"),
        )
    ]


async def test_every_key_of_an_owned_table_is_led_by_its_company(owner):
    """Primary keys, unique and exclusion constraints and unique indexes: the schema distributes by company."""
    keys = await rows_of(
        owner,
        """
        SELECT t.relname, i.relname, a.attname
        FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
        LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
        WHERE (x.indisunique OR x.indisexclusion) AND t.relname = ANY($1::text[])
        """,
        OWNED,
    )
    assert {table for table, *_ in keys} == set(OWNED)
    assert [key for key in keys if key[2] != "company_id"] == []


async def test_every_owned_tables_primary_key_is_company_and_id(owner):
    natural = {"counters": ["company_id", "kind"], "idempotency_answers": ["company_id", "route", "key"]}
    for name in OWNED:
        assert [column.name for column in TABLES[name].primary_key] == natural.get(name, ["company_id", "id"]), name


async def test_every_foreign_key_of_an_owned_table_stays_within_the_company(owner):
    keys = await rows_of(
        owner,
        """
        SELECT k.conname, k.conrelid::regclass::text, k.confrelid::regclass::text, a.attname, b.attname
        FROM pg_constraint k
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
        JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = k.confkey[1]
        WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
        """,
    )
    assert len(keys) > 10
    for name, source, target, first, first_there in keys:
        if source in OWNED or target in OWNED:
            # Between an owned and an unowned table stands a bare id: they may live on different nodes.
            assert {source, target} <= set(OWNED), name
            assert (first, first_there) == ("company_id", "company_id"), name


COLLATED = {
    "ix_orders_number": "company_id, number",
    "ix_orders_pincode": "company_id, pincode",
    "ix_order_lines_sku": "company_id, sku",
    "ix_listings_sku": "company_id, connection_id, sku",
    "ix_listings_title": "company_id, connection_id, title_key",
}
"""Indexes for searching by beginning, whose collation Alembic cannot compare."""


async def test_the_indexes_alembic_cannot_compare_are_there(owner):
    found = await rows_of(
        owner, "SELECT indexname, indexdef FROM pg_indexes WHERE indexname = ANY($1::text[])", list(COLLATED)
    )
    assert set(dict(found)) == set(COLLATED)
    for name, definition in found:
        assert f'({COLLATED[name]} COLLATE "C"' in definition


async def test_the_models_are_the_migrated_database(database_urls):
    """A changed model needs a migration."""

    def ours(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
        return name not in (MACHINERY if kind == "table" else COLLATED)

    owner = create_async_engine(db.asyncpg_url(database_urls[0]))
    try:
        async with owner.connect() as connection:
            found = await connection.run_sync(
                lambda plain: compare_metadata(
                    MigrationContext.configure(
                        plain, opts={"compare_type": True, "compare_server_default": True, "include_object": ours}
                    ),
                    db.Base.metadata,
                )
            )
    finally:
        await owner.dispose()
    assert found == []


async def test_the_app_owns_nothing_and_may_only_touch_rows(owner):
    owned = await rows_of(
        owner,
        "SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) = ANY($1::text[])",
        [APP_ROLE, PLATFORM_ROLE],
    )
    assert owned == []
    granted = await rows_of(
        owner,
        "SELECT DISTINCT privilege_type FROM information_schema.role_table_grants"
        " WHERE grantee = ANY($1::text[]) ORDER BY 1",
        [APP_ROLE, PLATFORM_ROLE],
    )
    assert [right for (right,) in granted] == ["DELETE", "INSERT", "SELECT", "UPDATE"]
    on_history = await rows_of(
        owner,
        "SELECT DISTINCT privilege_type FROM information_schema.role_table_grants"
        " WHERE grantee = ANY($1::text[]) AND table_name = 'alembic_version'",
        [APP_ROLE, PLATFORM_ROLE],
    )
    assert on_history == [("SELECT",)]
    definers = await rows_of(
        owner, "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    assert definers == []  # a function that runs as the owner would see past row security


# --- personal data --------------------------------------------------------------------------------------------------

PERSONAL = {
    "name", "names", "phone", "mobile", "email", "mail", "address", "street", "line1", "line2", "contact", "person",
    "buyer", "customer", "receiver", "recipient", "consignee", "agent", "ip", "pan", "aadhaar", "gstin", "dob",
    "handed", "remark", "remarks", "note", "notes", "words", "message", "password", "secret", "token", "latitude",
    "longitude",
}  # fmt: skip

CLEAR = {
    "api_keys": {"name": "what the seller calls a key, to tell the keys apart"},
    "bulk_items": {"message": "why an order was refused, in our own words"},
    "companies": {
        "name": "a business, public on every label",
        "legal_name": "a business, public in the GST register",
        "gstin": "public in the GST register; a sole trader's holds the PAN, which law prints on invoices",
        "pan": "of the business; asked for with its papers",
    },
    "connections": {"name": "a shop's name, public"},
    "inbox": {"note": "what became of a delivery, in our own words"},
    "ledger_movements": {"note": "what a movement was for, in our own or the operator's words"},
    "manifests": {"handed_over_to": "the carrier's hub or driver as the seller writes it; printed on the manifest"},
    "order_events": {"words": "the timeline, in our own words, and notes of the seller's team"},
    "order_lines": {"name": "a product"},
    "pickups": {"token": "the courier's number of a visit"},
    "places": {"name": "what the seller calls a place", "gstin": "public in the GST register"},
    "rate_cards": {"name": "a price list"},
    "scans": {"remark": "the courier's words; kept from the buyer's page, because couriers write names into them"},
    "sessions": {"agent": "the class of a browser: desktop, mobile or other"},
    "shipments": {"service_name": "a courier's product"},
    "users": {"password_hash": "argon2"},
}

OPEN_JSON = {
    ("audit", "details"): "numbers, states and ids; `audit.record` says: no personal data",
    ("companies", "settings"): "a module's settings",
    ("marketplace_stock", "details"): "the marketplace's finer figures of a SKU",
    ("connections", "settings"): "a module's settings",
    ("order_events", "details"): "numbers, states and ids",
    ("orders", "gaps"): "field → what is missing, in our own words",
    ("quotes", "options"): "services and prices",
    ("rate_cards", "terms"): "prices",
    ("shipments", "charge"): "the price it was booked at",
}


def test_personal_data_stands_in_clear_nowhere_but_where_it_says_why():
    found = {
        (name, column.name)
        for name, table in TABLES.items()
        for column in table.columns
        if PERSONAL & set(column.name.split("_")) and isinstance(column.type, Text)
    }
    assert found == {(name, column) for name, columns in CLEAR.items() for column in columns}


def test_every_open_json_column_says_what_it_holds():
    found = {
        (name, column.name)
        for name, table in TABLES.items()
        for column in table.columns
        if isinstance(column.type, JSONB)
    }
    assert found == set(OPEN_JSON)


HASHES = {
    ("api_keys", "secret_hash"),
    ("app_secrets", "fingerprint"),
    ("idempotency_answers", "body_hash"),
    ("orders", "email_hash"),
    ("orders", "phone_hash"),
    ("sessions", "id"),
    ("sign_in_states", "state_hash"),
    ("users", "email_hash"),
}
NOT_ROTATED = {
    ("idempotency_answers", "answer"): "gone after seven days; an old key is kept that long after a rotation",
}


def test_every_sealed_column_is_known_to_key_rotation():
    binary = {
        (name, column.name)
        for name, table in TABLES.items()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    rotated = {(sealed.model.__tablename__, sealed.column) for sealed in rotation.SEALED}
    assert rotated | HASHES | set(NOT_ROTATED) == binary
    assert not rotated & HASHES


# --- what is written down -------------------------------------------------------------------------------------------


def test_every_setting_is_documented_and_nothing_else_is():
    text = (ROOT / ".env.example").read_text()
    documented = set(re.findall(r"(?m)^#?\s*(SHIPCROWD_[A-Z0-9_]+)=", text))
    wanted = {f"SHIPCROWD_{name.upper()}" for name in Settings.model_fields}
    assert (wanted - documented, documented - wanted) == (set(), set())


def test_no_secret_setting_has_a_default():
    for name, field in Settings.model_fields.items():
        if re.search(r"key|secret|token|password", name):
            assert not str(field.get_default() or "").replace("*", ""), name


HEARD_BY_NOBODY_YET = {
    "AnnouncementRefused",
    "CompanyRegistered",
    "ConnectionLost",
    "ConnectionPaused",
    "DeliveryFailed",
    "OrdersChanged",
    "OrdersPlaced",
    "ReturningToOrigin",
    "ShipmentDelivered",
    "ShipmentRefused",
    "StoreConnected",
}
"""Published for those who will come: notifications, risk, stock, NDR, remittance."""


@pytest.fixture(scope="module")
def everything() -> list[Any]:
    """Every module of the product, imported."""
    return [
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages([str(PACKAGE)], "shipcrowd.")
        if not info.name.endswith("__main__") and ".migrations." not in info.name
    ]


def test_every_event_is_heard_or_known_to_be_heard_by_nobody(everything):
    events = {
        value
        for module in everything
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Event) and value is not Event
    }
    names = [event.__name__ for event in events]
    assert len(set(names)) == len(names)
    assert set(names) == {event.__name__ for event in wiring.LISTENERS} | HEARD_BY_NOBODY_YET
    assert not {event.__name__ for event in wiring.LISTENERS} & HEARD_BY_NOBODY_YET


def test_every_event_carries_ids_only(everything):
    for module in everything:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Event) and value is not Event:
                hints = get_type_hints(value)
                for field in fields(value):
                    assert hints[field.name] in (UUID, tuple[UUID, ...]), f"{value.__name__}.{field.name}"


def test_job_names_are_unique_and_each_is_registered_under_its_own(everything):
    found: dict[str, set[int]] = {}
    for module in everything:
        for value in vars(module).values():
            if isinstance(value, Job):
                found.setdefault(value.name, set()).add(id(value.run))
    assert {name for name, runs in found.items() if len(runs) > 1} == set()
    for name, runs in found.items():
        assert id(jobs.REGISTRY[name].run) in runs


def test_a_worker_knows_every_job_there_is(everything):
    """A job in a module that no worker imports would wait for ever."""
    there = {name for name, each in jobs.REGISTRY.items() if each.run.__module__.startswith("shipcrowd.")}
    ask = "from shipcrowd import worker; from shipcrowd.kernel.jobs import REGISTRY; print(*REGISTRY)"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert set(done.stdout.split()) == there


def test_what_the_clock_starts_takes_no_arguments_and_has_a_readable_time():
    names = [schedule.job.name for schedule in wiring.SCHEDULES]
    assert len(set(names)) == len(names)
    for schedule in wiring.SCHEDULES:
        assert schedule.job.name in jobs.REGISTRY
        assert list(schedule.job.payload.model_fields) == []
        assert len(jobs.utc_cron(schedule.cron).split()) == 5


def test_every_listener_takes_what_it_hears():
    wiring.events.listen(dict(wiring.LISTENERS))  # raises TypeError otherwise


VENDORS = sorted(path.name for path in (PACKAGE / "integrations").iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_says_what_is_supported(vendor):
    readme = PACKAGE / "integrations" / vendor / "README.md"
    assert readme.exists() and len(readme.read_text()) > 300
    slugs = {each.slug for each in (*wiring.CHANNELS, *wiring.COURIERS)}
    assert vendor in slugs
