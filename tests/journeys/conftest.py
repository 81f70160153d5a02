"""The whole product in this process, on a database of its own, with the sandbox behind the wire."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shipcrowd import wiring
from shipcrowd.app import create_app
from shipcrowd.channels import vendors as channel_vendors
from shipcrowd.channels import webhooks as channel_doors
from shipcrowd.couriers import vendors as courier_vendors
from shipcrowd.demo import story
from shipcrowd.documents import keeping
from shipcrowd.identity import passwords
from shipcrowd.kernel import db, events, outbound, postgres, tenancy
from shipcrowd.kernel.crypto import new_key
from shipcrowd.sandbox.app import InProcess, sandbox
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.schemas import WebhookTarget
from shipcrowd.settings import settings
from shipcrowd.shipping import webhooks as courier_doors
from tests.conftest import TEMPLATE
from tests.journeys.world import URL, Seller, World


@pytest.fixture(scope="module")
async def own_database(server: str, worker_id: str) -> AsyncIterator[None]:
    """A database of this module alone: the platform's courier account is shared by everyone in it."""
    name = f"shipcrowd_journeys_{worker_id}"
    await postgres.drop_database(server, name)
    await postgres.create_database(server, name, template=TEMPLATE)
    before = db._Engine.current
    db.connect(postgres.database_url(server, name, role=tenancy.APP_ROLE), pool=20)
    yield
    await db.disconnect()
    db._Engine.current = before
    await postgres.drop_database(server, name)


@pytest.fixture(scope="module")
def quiet_logs() -> Iterator[None]:
    """Warnings only, with plain tracebacks: the default draws every local variable of every frame, for seconds."""
    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
async def world(own_database: None, quiet_logs: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everything wired as in production, the wire ending in the sandbox. All of it is undone afterwards."""
    before = (channel_vendors._Vendors.known, courier_vendors._Vendors.known, events._Wired.listeners)
    wire = (outbound._Wire.route, outbound._Wire.transport, outbound._Wire.read_seconds, outbound._Wire.clients)
    kept = keeping._Kept.store
    desk = Desk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHIPCROWD_ENVIRONMENT", "demo")
        patch.setenv("SHIPCROWD_PUBLIC_URL", URL)
        patch.setenv("SHIPCROWD_SHOPIFY_CLIENT_ID", desk.credentials.shopify_client_id)
        patch.setenv("SHIPCROWD_SHOPIFY_CLIENT_SECRET", desk.credentials.shopify_client_secret)
        quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
        patch.setattr(passwords, "HASHER", quick)
        patch.setattr(passwords, "DECOY", quick.hash("nobody's"))
        settings.cache_clear()
        forget()
        outbound.use_wire(transport=InProcess(sandbox(desk)))
        wiring.wire()
        keeping.use((tmp_path_factory.mktemp("documents")).as_uri())
        app = create_app()
        desk.postman.receivers["shipcrowd.test"] = app
        secret = new_key()
        await story.shared_courier(secret)
        desk.velocity_webhook(WebhookTarget(url=f"{URL}/api/v1/webhooks/velocity", secret=secret))
        desk.set_compliance_url(f"{URL}/api/v1/webhooks/shopify")
        yield World(app, desk, secret)
        await desk.close()
        await outbound.close_all()
    await keeping.close()
    keeping._Kept.store = kept
    channel_vendors._Vendors.known, courier_vendors._Vendors.known, events._Wired.listeners = before
    outbound._Wire.route, outbound._Wire.transport, outbound._Wire.read_seconds, outbound._Wire.clients = wire
    settings.cache_clear()
    forget()


def forget() -> None:
    """What this process remembers of stores' and couriers' secrets."""
    channel_doors.forget_doors()
    courier_doors.forget_secrets()


@pytest.fixture(autouse=True)
async def told(world: World) -> AsyncIterator[None]:
    """A calm world before each story; afterwards the books of everyone in it are looked at, whatever was told."""
    world.calm()
    yield
    world.calm()
    try:
        for seller in world.sellers:
            await seller.settle()
            await seller.books_are_right()
    finally:
        for seller in world.sellers:
            await seller.http.aclose()
        world.sellers.clear()
        async with tenancy.unowned() as session:
            await (await db.driver(session)).execute("DELETE FROM pgqueuer")


@pytest.fixture
async def seller(world: World) -> Seller:
    """Signed up, store connected, a pickup place in Delhi, a box, ₹5,000 in the wallet."""
    return await world.seller()
