"""The schema's history, and the one function that brings a database up to date. Runs as the owner role only."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from shipcrowd.identity import service as identity
from shipcrowd.kernel import db, schema, tenancy
from shipcrowd.pincodes import service as pincodes
from shipcrowd.ratecards import defaults as rate_card_defaults


class MayNotMakeRoles(RuntimeError):
    """The owner may not make the app's roles, or not set the app's password."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


async def upgrade(owner_url: str, app_url: str | None = None) -> None:
    """Bring the database to the newest schema and make sure the app's role can sign in with `app_url`'s password.

    Safe to run from several machines at once (an advisory lock lets one through at a time). Raises MayNotMakeRoles,
    with nothing done, when the owner lacks the right.
    """
    engine = create_async_engine(db.asyncpg_url(owner_url), hide_parameters=True)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(7402337810042)"))
            await _roles(connection, _password(app_url))
            await connection.run_sync(_upgrade)
            await _reference_data(connection)
    finally:
        await engine.dispose()


async def _roles(connection: AsyncConnection, password: str | None) -> None:
    """The two roles, and the app's password where there is one to set. Raises MayNotMakeRoles."""
    try:
        await connection.execute(text(schema.roles()))
    except DBAPIError as error:
        if db.sqlstate(error) != db.NOT_PERMITTED:
            raise
        raise MayNotMakeRoles(
            f"the owner may not make the roles {tenancy.APP_ROLE} and {tenancy.PLATFORM_ROLE}; make them once as a "
            "superuser, as docs/guides/run-in-production.md shows, and migrate again"
        ) from None
    if password is None:
        return
    literal = (await connection.execute(text("SELECT quote_literal(:p)"), {"p": password})).scalar_one()
    try:
        await connection.execute(text(f"ALTER ROLE {tenancy.APP_ROLE} PASSWORD {literal}".replace(":", r"\:")))
    except DBAPIError as error:
        # Whatever went wrong, the error shows the statement, and that has the password in it: it goes no further.
        if (state := db.sqlstate(error)) != db.NOT_PERMITTED:
            raise RuntimeError(f"the password of {tenancy.APP_ROLE} could not be set ({state})") from None
        raise MayNotMakeRoles(
            f"the owner may not set the password of {tenancy.APP_ROLE}; leave the password out of "
            "SHIPCROWD_APP_DATABASE_URL when migrating and set it as a superuser"
        ) from None


async def _reference_data(connection: AsyncConnection) -> None:
    """What every installation starts with: the pincodes, the platform's own company, its default rate cards."""
    async with AsyncSession(bind=connection, expire_on_commit=False) as session:
        session.info["company_id"] = tenancy.PLATFORM_COMPANY
        await pincodes.load(await db.driver(session))
        await identity.ensure_platform(session)
        await rate_card_defaults.seed_defaults(session)
        await session.flush()


def _password(app_url: str | None) -> str | None:
    if app_url is None:
        return None
    parts = urlsplit(app_url)
    if parts.username != tenancy.APP_ROLE:
        return None  # a role of the operator's own making: `shipcrowd doctor` checks that it is safe
    return unquote(parts.password) if parts.password else None


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
