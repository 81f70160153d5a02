"""A company with a store at Bazaar, an app to talk to, and the queue to drain."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI

from shipcrowd.channels import api, parcels_api, returns_api, service, stock_api, vendors, webhooks
from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.connections import routes
from shipcrowd.couriers import vendors as couriers
from shipcrowd.identity.guard import signed_in
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import Role
from shipcrowd.integrations import manual
from shipcrowd.kernel import db, events, problems, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.shipping.events import ShipmentBooked, ShipmentCancelled, ShipmentDelivered, ShipmentMoved
from tests.channels import bazaar
from tests.channels.bazaar import GOOD_TOKEN, SHOPS, FarSide
from tests.support import drain


@pytest.fixture(autouse=True)
async def _house() -> AsyncIterator[None]:
    """The imaginary vendors are wired, the queue is empty, nothing is remembered."""
    before = (vendors._Vendors.known, couriers._Vendors.known, events._Wired.listeners)
    vendors.use([bazaar.vendor, bazaar.RUGGED, bazaar.PLAIN])
    couriers.use([manual.vendor])
    events.listen(
        {
            ShipmentBooked: [channel_jobs.announce],
            ShipmentMoved: [channel_jobs.progress],
            ShipmentDelivered: [channel_jobs.progress],
            ShipmentCancelled: [channel_jobs.withdraw],
        }
    )
    routes._Known.by_account.clear()
    webhooks.forget_doors()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    async with tenancy.acting_for_platform(why="what tests before left queued is no work of this one") as session:
        await (await db.driver(session)).execute("DELETE FROM stock_pushes")
    yield
    vendors._Vendors.known, couriers._Vendors.known, events._Wired.listeners = before


@pytest.fixture
def far() -> FarSide:
    """A shop over there."""
    shop = f"kaveri-{uuid4().hex[:10]}.bazaar.example"
    SHOPS[shop] = FarSide(shop)
    return SHOPS[shop]


@pytest.fixture
def connect(company: UUID, far: FarSide) -> Callable[..., Awaitable[UUID]]:
    """Connect the shop; what that sets off (subscribing, the first sweep) is left in the queue."""

    async def make(
        *, by: UUID | None = None, platform: str = "bazaar", token: str = GOOD_TOKEN, days: int = 30
    ) -> UUID:
        return await service.connect_pasted(
            by or company,
            platform=platform,
            store=far.external_id,
            given={"token": token},
            actor="user:asha",
            import_days=days,
        )

    return make


@pytest.fixture
async def store(connect: Callable[..., Awaitable[UUID]]) -> UUID:
    """A connected store whose first sweep has run."""
    connection_id = await connect()
    await drain()
    return connection_id


class As:
    """Who asks."""

    def __init__(self, company: UUID) -> None:
        self.member = Member.person(company, new_id(), Role.owner)

    def become(self, company: UUID, role: Role = Role.owner) -> None:
        self.member = Member.person(company, new_id(), role)


@pytest.fixture
def who(company: UUID) -> As:
    return As(company)


@pytest.fixture
async def http(who: As) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    problems.install(app)
    for each in (api.router, stock_api.router, parcels_api.router, returns_api.router):
        app.include_router(each)
    app.include_router(webhooks.router)
    app.dependency_overrides[signed_in] = lambda: who.member
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shipcrowd.test") as client:
        yield client
