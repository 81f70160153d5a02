"""Opening a store for calls: its vendor, its credentials, its place in the shared rate limits."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import ClassVar, cast
from uuid import UUID

from pydantic import BaseModel

from shipcrowd.channels import vendors
from shipcrowd.channels.contract import (
    AnnouncesDispatch,
    CancelsOrders,
    ChangesDeliveryDate,
    ChannelVendor,
    EditsDispatch,
    FollowsFeeds,
    ListsProducts,
    MarksDispatched,
    MarksPaid,
    ReportsMarketplaceStock,
    SalesChannel,
    SetsPrices,
    SetsStock,
    StoreAccount,
    Subscribes,
)
from shipcrowd.channels.returns_contract import HandlesReturns
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Status
from shipcrowd.couriers.contract import Courier
from shipcrowd.kernel import clock, outbound, pace
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.outbound import Disconnected
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.settings import settings

ABILITIES: tuple[tuple[str, type], ...] = (
    ("announces_dispatch", AnnouncesDispatch),
    ("edits_dispatch", EditsDispatch),
    ("sets_stock", SetsStock),
    ("follows_feeds", FollowsFeeds),
    ("lists_products", ListsProducts),
    ("reports_marketplace_stock", ReportsMarketplaceStock),
    ("marks_dispatched", MarksDispatched),
    ("cancels_orders", CancelsOrders),
    ("marks_paid", MarksPaid),
    ("subscribes", Subscribes),
    ("sets_prices", SetsPrices),
    ("changes_delivery_date", ChangesDeliveryDate),
    ("handles_returns", HandlesReturns),
)


LOOKED_UP_FOR = timedelta(seconds=5)
"""An account's credentials are looked up once for so long; what is given out is good for a minute at least."""

ROOM = 50_000


class _Told:
    """Capacity and refill of an account's bucket as the vendor last told them: it may grant a store more, or less,
    than what it declares for everybody. Each process learns it with its first reply."""

    paces: ClassVar[dict[str, tuple[float, float]]] = {}


def app_settings(vendor: ChannelVendor) -> BaseModel:
    """Our own keys at the vendor, from the settings named `<slug>_<field>`. Raises ValidationError when one that has
    no default is missing."""
    source = settings()
    prefix = vendor.slug.replace("-", "_")
    fields = ((name, f"{prefix}_{name}") for name in vendor.app_settings.model_fields)
    given = {name: getattr(source, setting) for name, setting in fields if hasattr(source, setting)}
    if "public_url" in vendor.app_settings.model_fields:
        given["public_url"] = source.public_url
    return vendor.app_settings.model_validate(given)


async def open_store(company_id: UUID, connection_id: UUID) -> SalesChannel:
    """A connected store, ready for calls; no transaction stays open. Raises UnknownConnection.

    Whether it may be called now (it may be paused) is the caller's to ask.
    """
    async with acting_for(company_id) as session:
        connection = await connections.get(session, connection_id)
    return opened(connection)


async def connected(company_id: UUID, connection_id: UUID) -> Connection | None:
    """The connection, where it is to be used now; None while it is paused or must be connected again."""
    async with acting_for(company_id) as session:
        connection = await connections.get(session, connection_id)
    return connection if connection.status == Status.connected else None


async def lost(connection: Connection, failure: Disconnected) -> None:
    """A call said that our credentials no longer work; mark it, unless the store was connected again meanwhile."""
    async with acting_for(connection.company_id) as session:
        await connections.lost(session, connection.id, failure.reason, connected_at=connection.connected_at)


async def open_courier(slug: str, company_id: UUID, connection_id: UUID) -> Courier:
    """A marketplace's courier by the store connected there; no transaction stays open. Raises Disconnected."""
    connection = await connected(company_id, connection_id)
    if connection is None:
        raise Disconnected("The store is paused or not connected.")
    return vendors.vendor(connection.vendor).couriers[slug](account(connection))


def opened(connection: Connection) -> SalesChannel:
    """The store behind a connection row already read. Its credentials are looked up when they are needed, and once for
    calls that follow one another quickly."""
    return vendors.vendor(connection.vendor).open(account(connection))


def account(connection: Connection) -> StoreAccount:
    """The account behind a connection row already read."""
    vendor = vendors.vendor(connection.vendor)
    app, http = app_settings(vendor), outbound.http(vendor.slug)
    renew = vendor.renew

    async def renewed(held: BaseModel) -> BaseModel:
        assert renew is not None
        return await renew(app, http, connection.external_id, held, clock.now())

    held: tuple[datetime, BaseModel] | None = None

    async def credentials(*, stale: BaseModel | None = None) -> BaseModel:
        nonlocal held
        if stale is None and held is not None and clock.now() - held[0] < LOOKED_UP_FOR:
            return held[1]
        found = await connections.fresh(
            connection.company_id,
            connection.id,
            model=vendor.credentials,
            expires_at=vendor.expires_at,
            renew=renewed if renew else None,
            stale=stale,
            renew_at=vendor.renew_at,
        )
        held = clock.now(), found
        return found

    return _account(vendor, app, connection.external_id, credentials)


def on_trial(vendor: ChannelVendor, external_id: str, given: BaseModel) -> SalesChannel:
    """A store that is not connected yet, with the credentials to be tried. Nothing is renewed or stored."""

    async def credentials(*, stale: BaseModel | None = None) -> BaseModel:
        if stale == given:
            raise Disconnected(f"{vendor.name} does not accept these credentials.")
        return given

    return vendor.open(_account(vendor, app_settings(vendor), external_id, credentials))


class ChannelCannot(Conflict):
    """This sales channel cannot do that."""


def require(connection: Connection, ability: type, words: str) -> None:
    """Raises ChannelCannot where the store's channel lacks the ability; `words` say what it would do."""
    if not isinstance(opened(connection), ability):
        raise ChannelCannot(f"{vendors.vendor(connection.vendor).name} does not let us {words}.")


def abilities(channel: SalesChannel) -> list[str]:
    """What the channel can do besides handing over orders: what is declared is what is done."""
    return [name for name, ability in ABILITIES if isinstance(channel, ability)]


def _account(
    vendor: ChannelVendor, app: BaseModel, external_id: str, credentials: Callable[..., Awaitable[BaseModel]]
) -> StoreAccount:
    # The vendor counts by store, so a trial shares the bucket of the connection it may become.
    key = f"{vendor.slug}:{external_id}"

    async def turn(operation: str, cost: int, urgent: bool) -> None:
        bucket = f"{key}:{operation}"
        capacity, refill = _Told.paces.get(bucket) or _pace(vendor, operation)
        await pace.turn(
            bucket,
            capacity=capacity,
            refill_per_second=refill,
            cost=min(cost, capacity),
            reserve=vendor.reserve,
            urgent=urgent,
        )

    async def take_turn(operation: str, cost: int = 1) -> None:
        await turn(operation, cost, urgent=False)

    async def hurry(operation: str, cost: int = 1) -> None:
        await turn(operation, cost, urgent=True)

    async def retune(operation: str, capacity: float, left: float, refill_per_second: float) -> None:
        bucket = f"{key}:{operation}"
        while len(_Told.paces) >= ROOM:
            del _Told.paces[next(iter(_Told.paces))]
        _Told.paces[bucket] = (capacity, refill_per_second)
        await pace.retune(bucket, capacity=capacity, left=left, refill_per_second=refill_per_second)

    return StoreAccount(
        key=key,
        external_id=external_id,
        credentials=credentials,
        http=outbound.http(vendor.slug),
        app=app,
        pace=cast(Callable[[str, int], Awaitable[None]], take_turn),
        retune=retune,
        hurry=cast(Callable[[str, int], Awaitable[None]], hurry),
    )


def forget_told_paces() -> None:
    """Drop what vendors told this process of their buckets."""
    _Told.paces.clear()


def _pace(vendor: ChannelVendor, operation: str) -> tuple[float, float]:
    if operation not in vendor.paces:
        raise LookupError(f"{vendor.slug} declares no pace for {operation!r}")
    return vendor.paces[operation]
