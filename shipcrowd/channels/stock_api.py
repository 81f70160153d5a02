"""A store's stock and listings over HTTP: parse, one call, answer."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request

from shipcrowd.channels import jobs, listings, marketplace, prices, queries, reading, service, stock, stocking
from shipcrowd.channels.api import Reads, Writes, store_path
from shipcrowd.channels.contract import ListsProducts, ReportsMarketplaceStock, SetsPrices, SetsStock
from shipcrowd.channels.models import ListingRow, StockPush, StockState
from shipcrowd.channels.open import require
from shipcrowd.channels.prices import Price
from shipcrowd.channels.schemas import (
    Accepted,
    ListingOut,
    MarketplaceStockOut,
    PriceOutcomeOut,
    PricesSetOut,
    PushStock,
    SetPrices,
    StockItemOut,
    StockPushAccepted,
    StockPushDetailOut,
    StockPushOut,
)
from shipcrowd.channels.stock import Level
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import idempotency
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.pages import After, Limit, Page
from shipcrowd.kernel.tenancy import acting_for

router = APIRouter(prefix="/integrations", tags=["stock"])

Key = Annotated[str | None, Header(alias="idempotency-key", max_length=200)]
Prefix = Annotated[str | None, Query(min_length=1, max_length=200)]


@router.post("/{platform}/stores/{store_id}/push-stock", status_code=202)
async def push_stock(
    platform: str, store_id: UUID, body: PushStock, who: Writes, request: Request, idempotency_key: Key = None
) -> StockPushAccepted:
    """Set how many of each thing the store may sell. What a later push says of a thing and place holds over an earlier
    one, whichever is sent first; what the marketplace holds itself is refused."""
    raw = await request.body()
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, SetsStock, "set its stock")

        async def work() -> Any:
            levels = [
                Level(level.available, level.location, level.external_variant_id, level.sku) for level in body.levels
            ]
            push = await stock.make(session, connection, levels, actor=who.actor)
            await stocking.enqueue_send(session, connection)
            return _accepted(connection, push).model_dump(mode="json")

        route = f"POST push-stock {store_id}"
        answer = await idempotency.once(session, route=route, key=idempotency_key, body=raw, work=work)
    return StockPushAccepted.model_validate(answer)


@router.post("/{platform}/stores/{store_id}/prices")
async def set_prices(platform: str, store_id: UUID, body: SetPrices, who: Writes) -> PricesSetOut:
    """Set prices at the store now, and hear of each thing whether the store took it. Safe to repeat."""
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, SetsPrices, "set its prices")
    given = [
        Price(
            Money(each.selling_paise),
            None if each.mrp_paise is None else Money(each.mrp_paise),
            each.external_variant_id,
            each.sku,
        )
        for each in body.prices
    ]
    found = await prices.set_prices(connection, given)
    shown = [
        PriceOutcomeOut(
            external_variant_id=each.variant,
            sku=each.price.sku,
            state="refused" if each.code else "accepted",
            code=each.code,
            reason=each.reason,
        )
        for each in found
    ]
    refused = sum(each.code is not None for each in found)
    return PricesSetOut(accepted=len(found) - refused, refused=refused, prices=shown)


@router.get("/{platform}/stores/{store_id}/stock-pushes")
async def list_stock_pushes(
    platform: str, store_id: UUID, who: Reads, after: After = None, limit: Limit = 50
) -> Page[StockPushOut]:
    """What the store was to be told of stock, newest first; kept for 30 days."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        rows, following = await stock.page(session, store.connection.id, after=after, limit=limit)
    return Page(items=[StockPushOut.model_validate(row) for row in rows], next=following)


@router.get("/{platform}/stores/{store_id}/stock-pushes/{push_id}")
async def get_stock_push(
    platform: str,
    store_id: UUID,
    push_id: UUID,
    who: Reads,
    state: StockState | None = None,
    after: After = None,
    limit: Limit = 50,
) -> StockPushDetailOut:
    """One push and a page of its items, each with what became of it."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        push = await stock.got(session, push_id, store.connection.id)
        rows, following = await stock.items(session, push, state=state, after=after, limit=limit)
    return StockPushDetailOut(
        **StockPushOut.model_validate(push).model_dump(),
        items=[StockItemOut.model_validate(row) for row in rows],
        next=following,
    )


@router.get("/{platform}/stores/{store_id}/fba-inventory")
@router.get("/{platform}/stores/{store_id}/marketplace-stock")
async def marketplace_stock(
    platform: str,
    store_id: UUID,
    who: Reads,
    sku: Annotated[Prefix, Query(description="What the SKU begins with")] = None,
    location: Annotated[str | None, Query(max_length=200)] = None,
    gone: Annotated[bool, Query(description="What is not there any more")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[MarketplaceStockOut]:
    """The store's stock in the marketplace's own warehouses, as it counts it. Read only."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        require(store.connection, ReportsMarketplaceStock, "see stock of its own")
        rows, following = await marketplace.page(
            session, store.connection.id, sku=sku, location=location, gone=gone, after=after, limit=limit
        )
    return Page(items=[MarketplaceStockOut.model_validate(row) for row in rows], next=following)


@router.post("/{platform}/stores/{store_id}/sync-marketplace-stock", status_code=202)
async def sync_marketplace_stock(platform: str, store_id: UUID, who: Writes) -> Accepted:
    """Read the store's stock in the marketplace's own warehouses now."""
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, ReportsMarketplaceStock, "see stock of its own")
        await reading.read_now(session, jobs.read_marketplace_stock, connection)
    return Accepted(follow=store_path(platform, store_id, "sync-status"))


@router.get("/{platform}/stores/{store_id}/listings")
async def list_listings(
    platform: str,
    store_id: UUID,
    who: Reads,
    search: Annotated[Prefix, Query(description="What the SKU or the title begins with")] = None,
    gone: Annotated[bool, Query(description="What is not on sale any more")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[ListingOut]:
    """What the store has on sale, as it was last read."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        require(store.connection, ListsProducts, "read its listings")
        rows, following = await listings.page(
            session, store.connection.id, search=search, gone=gone, after=after, limit=limit
        )
    return Page(items=[_listing(row) for row in rows], next=following)


@router.post("/{platform}/stores/{store_id}/sync-listings", status_code=202)
async def sync_listings(platform: str, store_id: UUID, who: Writes) -> Accepted:
    """Read all the store has on sale now."""
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, ListsProducts, "read its listings")
        await reading.read_now(session, jobs.read_listings, connection)
    return Accepted(follow=store_path(platform, store_id, "sync-status"))


def _accepted(connection: Connection, push: StockPush) -> StockPushAccepted:
    follow = store_path(connection.vendor, connection.id, f"stock-pushes/{push.id}")
    return StockPushAccepted(**StockPushOut.model_validate(push).model_dump(), follow=follow)


def _listing(row: ListingRow) -> ListingOut:
    same = ListingOut.model_fields.keys() - {"price_paise"}
    price = row.price_paise.paise if row.price_paise is not None else None
    return ListingOut(**{name: getattr(row, name) for name in same}, price_paise=price)
