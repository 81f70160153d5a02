"""The schema's history, and the one function that brings a database up to date. Runs as the owner role only."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from shipcrowd.identity import service as identity
from shipcrowd.kernel import db, schema, tenancy
from shipcrowd.pincodes import service as pincodes
from shipcrowd.ratecards import defaults as rate_card_defaults


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


async def upgrade(owner_url: str, app_url: str | None = None) -> None:
    """Bring the database to the newest schema and make sure the app's role can sign in with `app_url`'s password.

    Safe to run from several machines at once (an advisory lock lets one through at a time).
    """
    engine = create_async_engine(db.asyncpg_url(owner_url))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(7402337810042)"))
            await connection.execute(text(schema.roles()))
            if password := _password(app_url):
                literal = (await connection.execute(text("SELECT quote_literal(:p)"), {"p": password})).scalar_one()
                await connection.execute(text(f"ALTER ROLE {tenancy.APP_ROLE} PASSWORD {literal}".replace(":", r"\:")))
            await connection.run_sync(_upgrade)
            await _reference_data(connection)
    finally:
        await engine.dispose()


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
