"""What every process of the product sets up before it works, and takes down afterwards."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from shipcrowd import wiring
from shipcrowd.documents import keeping
from shipcrowd.kernel import crypto, db, log, outbound, postgres, tenancy
from shipcrowd.ratecards import service as ratecards
from shipcrowd.settings import Settings

logger = structlog.get_logger(__name__)


class NotConfigured(RuntimeError):
    """A setting is missing that has no safe default."""


def configure(config: Settings) -> None:
    """Logs, keys, vendors and the way out. Raises NotConfigured naming the missing setting."""
    log.configure(level=config.log_level, json=config.log_format == "json")
    if config.encryption_keys is None or config.search_key is None:
        missing = "SHIPCROWD_ENCRYPTION_KEYS" if config.encryption_keys is None else "SHIPCROWD_SEARCH_KEY"
        raise NotConfigured(f"{missing} is not set; make one with `shipcrowd keys new` and keep it safe")
    crypto.use_keys(config.encryption_keys.get_secret_value(), config.search_key.get_secret_value())
    if config.sandbox:
        if config.is_production:
            raise NotConfigured("SHIPCROWD_SANDBOX is on in production; set SHIPCROWD_ENVIRONMENT or turn it off")
        from shipcrowd.sandbox.app import route_through

        outbound.use_wire(route=route_through(config.sandbox_url), read_seconds=config.outbound_read_seconds)
        logger.warning("sandbox on: vendors are stand-ins", url=config.sandbox_url)
    else:
        outbound.use_wire(read_seconds=config.outbound_read_seconds)
    folder = config.data_dir.resolve() / "documents"
    keeping.use(config.documents_url or folder.as_uri())
    wiring.wire()


def database_urls(config: Settings) -> tuple[str, str]:
    """The owner's and the app's database URL: as set, or of the embedded engine, which is started.

    Raises NotConfigured when only one of the two is set.
    """
    if config.owner_database_url and config.app_database_url:
        return config.owner_database_url, config.app_database_url
    if config.app_database_url or config.owner_database_url:
        raise NotConfigured("set both SHIPCROWD_OWNER_DATABASE_URL and SHIPCROWD_APP_DATABASE_URL, or neither")
    return postgres.embedded_urls(config.data_dir.resolve() / "postgres")


def app_url(config: Settings) -> str:
    """The app's URL alone: a serving process needs no owner's password."""
    return config.app_database_url or database_urls(config)[1]


@asynccontextmanager
async def ready(config: Settings, url: str) -> AsyncGenerator[None, None]:
    """A process with its database open, checked to be safe, and its caches warm."""
    db.connect(url, pool=config.database_pool)
    try:
        await tenancy.refuse_unsafe_role()
        # Read before the first quote: reading them later takes a second connection while holding one.
        await ratecards.defaults()
        yield
    finally:
        await outbound.close_all()
        await keeping.close()
        await db.disconnect()
