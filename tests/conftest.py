"""Fixtures every test may use. The database is real; each worker process has its own, cloned from a template."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shipcrowd import migrations
from shipcrowd.kernel import crypto, db, postgres, tenancy
from shipcrowd.kernel.ids import new_id

TEMPLATE = "shipcrowd_template"
OURS = "SHIPCROWD_TEST_EMBEDDED_URL"
YOURS = "SHIPCROWD_TEST_SERVER_URL"


def pytest_configure(config: pytest.Config) -> None:
    """In the process that starts the workers: start a server (unless one is given) and build the template once."""
    # The default draws every local variable of every frame, for minutes where a job fails for good.
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    if hasattr(config, "workerinput"):
        return
    url = os.environ.get(YOURS)
    if url is None:
        folder = Path(tempfile.mkdtemp(prefix="shipcrowd-tests-"))
        folder.chmod(0o755)
        url = os.environ[OURS] = postgres.start(folder / "pg", fast=True)

        def stop() -> None:
            postgres.stop(folder / "pg")
            shutil.rmtree(folder, ignore_errors=True)

        config.add_cleanup(stop)
    asyncio.run(_build_template(url))


async def _build_template(server: str) -> None:
    await postgres.drop_database(server, TEMPLATE)
    await postgres.create_database(server, TEMPLATE)
    await migrations.upgrade(postgres.database_url(server, TEMPLATE))


@pytest.fixture(scope="session")
def server() -> str:
    """The superuser's URL of the test server."""
    return os.environ.get(YOURS) or os.environ[OURS]


@pytest.fixture(scope="session", autouse=True)
def keys() -> None:
    """Encryption keys of this run only."""
    crypto.use_keys(f"test:{crypto.new_key()}", crypto.new_key())


@pytest.fixture(scope="session")
def database_urls(server: str) -> Iterator[tuple[str, str]]:
    """The owner's and the app role's URL of this worker's own database."""
    name = f"shipcrowd_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    asyncio.run(_clone(server, name))
    yield postgres.database_url(server, name), postgres.database_url(server, name, role=tenancy.APP_ROLE)
    asyncio.run(postgres.drop_database(server, name))


async def _clone(server: str, name: str) -> None:
    await postgres.drop_database(server, name)
    await postgres.create_database(server, name, template=TEMPLATE)


@pytest.fixture(scope="session", autouse=True)
async def database(database_urls: tuple[str, str]) -> AsyncIterator[AsyncEngine]:
    """The product's engine, connected as the app's role, as in production."""
    yield db.connect(database_urls[1], pool=20)
    await db.disconnect()


@pytest.fixture
def company() -> UUID:
    """A company of this test alone."""
    return new_id()
