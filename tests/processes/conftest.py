"""Real processes (stand-ins, API, workers) against the test server, on a database of their own."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from shipcrowd.demo.stage import Stage
from shipcrowd.kernel import crypto, db, postgres, tenancy
from shipcrowd.settings import settings
from tests.conftest import TEMPLATE


@pytest.fixture
def stage(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with nothing running yet. This process uses its database and its keys for as long as it stands."""
    name = f"shipcrowd_stage_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    asyncio.run(_fresh(server, name))
    before = (dict(os.environ), crypto._Keys.ring, crypto._Keys.search, db._Engine.current)
    made = Stage(tmp_path_factory.mktemp("stage"))
    urls = postgres.database_url(server, name), postgres.database_url(server, name, role=tenancy.APP_ROLE)
    try:
        made.set_up(databases=urls, extra={"SHIPCROWD_JOB_HEARTBEAT_SECONDS": "2"})
        settings.cache_clear()
        config = settings()
        assert config.encryption_keys is not None
        assert config.search_key is not None
        crypto.use_keys(config.encryption_keys.get_secret_value(), config.search_key.get_secret_value())
        yield made
    finally:
        made.stop(database=False)
        os.environ.clear()
        os.environ.update(before[0])
        crypto._Keys.ring, crypto._Keys.search, db._Engine.current = before[1:]
        settings.cache_clear()
        asyncio.run(postgres.drop_database(server, name))


async def _fresh(server: str, name: str) -> None:
    await postgres.drop_database(server, name)
    await postgres.create_database(server, name, template=TEMPLATE)
