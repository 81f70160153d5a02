"""Checks an operator runs: can this installation serve, and do its books balance?"""

from collections.abc import Awaitable, Callable

import typer
from asyncpg import PostgresError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shipcrowd import process, wiring
from shipcrowd.channels import own_keys
from shipcrowd.documents import keeping
from shipcrowd.kernel import db, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.ledger import invariants
from shipcrowd.settings import Settings

Check = Callable[[Settings], Awaitable[str]]


async def run(config: Settings) -> int:
    """Print one line a check; 0 when all pass, 1 otherwise."""
    try:
        process.configure(config)
        db.connect(process.app_url(config), pool=2)
    except (process.NotConfigured, ValueError) as error:
        typer.echo(f"✗ settings: {error}")
        return 1
    failed = set[Check]()
    try:
        for name, check in CHECKS:
            if check in ON_THE_SCHEMA and database in failed:
                continue  # said once is enough
            try:
                typer.echo(f"✓ {name}: {await check(config)}")
            except Exception as error:  # noqa: BLE001 - a check that fails must not hide the others
                failed.add(check)
                typer.echo(f"✗ {name}: {db.words(error)}")
    finally:
        await keeping.close()
        await db.disconnect()
    return 1 if failed else 0


async def database(config: Settings) -> str:
    try:
        async with tenancy.unowned() as session:
            version = (await session.execute(text("SHOW server_version"))).scalar_one()
            schema = (await session.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
    except (DBAPIError, PostgresError) as error:
        if db.sqlstate(error) == db.NO_SUCH_TABLE:
            raise ValueError("no schema yet: run `shipcrowd migrate`") from error
        if db.sqlstate(error) in db.CANNOT_SIGN_IN:
            # The first `migrate` makes the app's role.
            raise ValueError(f"{db.words(error)}; if there is no schema yet: run `shipcrowd migrate`") from error
        raise
    return f"PostgreSQL {version}, schema {schema}"


async def role(config: Settings) -> str:
    await tenancy.refuse_unsafe_role()
    return "the app's role cannot see past row security"


async def documents(config: Settings) -> str:
    key, store = f"doctor/{new_id()}.txt", keeping.store()
    await store.put(key, b"ok", "text/plain")
    await store.delete(key)
    return "can be written and deleted"


async def books(config: Settings) -> str:
    found = await invariants.verify_all()
    if found:
        raise ValueError(f"{len(found)} discrepancies: {found[:3]}")
    return "cached balances equal recomputed ones"


async def vendors(config: Settings) -> str:
    known = wiring.describe()
    if not config.sandbox and not config.shopify_client_id:
        raise ValueError("SHIPCROWD_SHOPIFY_CLIENT_ID is not set; sellers cannot connect Shopify stores")
    return f"channels {', '.join(known['channels'])}; couriers {', '.join(known['couriers'])}"


async def application_keys(config: Settings) -> str:
    said = [words for vendor in wiring.CHANNELS if (words := await own_keys.checked(vendor))]
    return "; ".join(said) or "no channel changes the secret of our application"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("database", database),
    ("role", role),
    ("documents", documents),
    ("books", books),
    ("vendors", vendors),
    ("application keys", application_keys),
)

ON_THE_SCHEMA = frozenset((role, books, application_keys))
