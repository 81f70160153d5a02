"""Real processes (stand-ins, API, workers) against the test server, on a database of their own."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from shipcrowd.demo import story
from shipcrowd.demo.stage import Stage, free_port
from shipcrowd.kernel import crypto, db, postgres, tenancy
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.schemas import WebhookTarget
from shipcrowd.settings import settings
from tests.conftest import TEMPLATE
from tests.processes.theatre import Theatre

QUICK = {
    "SHIPCROWD_JOB_HEARTBEAT_SECONDS": "2",
    "SHIPCROWD_OUTBOUND_READ_SECONDS": "10",
    "SHIPCROWD_WORKER_CONCURRENCY": "8",
    "SHIPCROWD_DATABASE_POOL": "8",
}
"""A dead worker is noticed soon; a courier slowed down for a test is no time-out."""


@contextmanager
def on_a_database_of_its_own(server: str, name: str, folder: Path, extra: Mapping[str, str]) -> Iterator[Stage]:
    name = f"{name}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    asyncio.run(_fresh(server, name))
    before = (dict(os.environ), crypto._Keys.ring, crypto._Keys.search, db._Engine.current)
    made = Stage(folder, app_port=free_port(0), sandbox_port=free_port(0))
    urls = postgres.database_url(server, name), postgres.database_url(server, name, role=tenancy.APP_ROLE)
    try:
        made.set_up(databases=urls, extra=extra)
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


@pytest.fixture(scope="module")
def theatre(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """A stage whose API and sandbox run, with the platform's courier connected; workers are started by the tests."""
    with on_a_database_of_its_own(server, "shipcrowd_theatre", tmp_path_factory.mktemp("theatre"), QUICK) as stage:
        stage.start_sandbox(story.SHOP)
        stage.start_api()
        made = Theatre(stage, stage.environment["SHIPCROWD_APP_DATABASE_URL"])

        async def courier(desk: DeskClient) -> None:
            secret = crypto.new_key()
            await story.shared_courier(secret)
            await desk.velocity_webhook(WebhookTarget(url=f"{stage.url}/api/v1/webhooks/velocity", secret=secret))

        made.tell(courier)
        yield made
