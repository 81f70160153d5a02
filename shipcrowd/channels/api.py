"""Stores over HTTP: parse, one call, answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import announcements, failures, health, jobs, queries, service, sweeps, vendors
from shipcrowd.channels.contract import ChannelVendor, StoreInfo
from shipcrowd.channels.models import AnnouncementState
from shipcrowd.channels.open import abilities, opened
from shipcrowd.channels.queries import Store
from shipcrowd.channels.schemas import (
    Accepted,
    AnnouncementOut,
    ChannelOut,
    ConnectStore,
    DeliveryOut,
    FailedItemDetailOut,
    FailedItemOut,
    HealthOfAllOut,
    HealthOut,
    Replaying,
    StoreDetailOut,
    StoreOut,
    StoreSettingsChange,
    SyncEntryOut,
    SyncStatusOut,
    TestOut,
)
from shipcrowd.connections import forms
from shipcrowd.identity.api import May, Member
from shipcrowd.kernel import clock, inbox
from shipcrowd.kernel.outbound import OutsideFailure, Refused
from shipcrowd.kernel.pages import After, Limit, Page
from shipcrowd.kernel.tenancy import acting_for

router = APIRouter(prefix="/integrations", tags=["stores"])

Reads = Annotated[Member, May("stores:read")]
Writes = Annotated[Member, May("stores:write")]


def store_path(platform: str, store_id: UUID, rest: str) -> str:
    """Where a client finds this of a store."""
    return f"/api/v1/integrations/{platform}/stores/{store_id}/{rest}"


# --- channels, and connecting a store -------------------------------------------------------------------------------


@router.get("")
async def list_channels(who: Reads) -> list[ChannelOut]:
    """The sales channels stores can be connected from, with the fields of their connect forms."""
    return [_channel(vendor) for vendor in vendors.vendors()]


@router.get("/health")
async def health_of_all(who: Reads) -> HealthOfAllOut:
    """How every store fares, worst level first in `level`."""
    async with acting_for(who.company_id) as session:
        stores = await queries.stores(session)
    found = [_health(store) for store in stores]
    return HealthOfAllOut(level=health.worst([health.Level(each.level) for each in found]), stores=found)


@router.post("/{platform}/connect", status_code=201)
async def connect(platform: str, body: ConnectStore, who: Writes) -> StoreDetailOut:
    """Connect a store with pasted credentials. They are tried first; when the store does not take them, 422 says why
    and nothing is saved. 409 when another company has connected it."""
    connection_id = await service.connect_pasted(
        who.company_id,
        platform=platform,
        store=body.store,
        given=forms.plain(body.credentials),
        actor=who.actor,
        import_days=body.import_days,
    )
    return await _detail(who.company_id, connection_id, platform)


@router.post("/{platform}/test")
async def try_credentials(platform: str, body: ConnectStore, who: Writes) -> TestOut:
    """Try pasted credentials; nothing is saved."""
    return _tested(await service.try_pasted(platform=platform, store=body.store, given=forms.plain(body.credentials)))


@router.get("/{platform}/install", status_code=302, response_class=RedirectResponse)
async def install(
    platform: str,
    who: Writes,
    shop: Annotated[
        str,
        Query(max_length=300, description="The store's address, as typed; at a marketplace its country, or nothing"),
    ] = "",
) -> RedirectResponse:
    """Send the browser to the store to sign in there."""
    url = await service.start_sign_in(who.company_id, platform=platform, store=shop, actor=who.actor)
    return RedirectResponse(url, 302)


@router.get("/{platform}/login", status_code=302, response_class=RedirectResponse)
async def login(platform: str, request: Request, who: Writes) -> RedirectResponse:
    """A seller chose ShipCrowd in the vendor's app store: send the browser back there, for consent."""
    url = await service.arrive_to_sign_in(
        who.company_id, platform=platform, query=request.query_params.multi_items(), actor=who.actor
    )
    return RedirectResponse(url, 302)


@router.get("/{platform}/callback", response_model=StoreDetailOut)
async def callback(platform: str, request: Request, who: Writes) -> Response:
    """The browser comes back from the store. A browser is sent on to the store's page, a program gets the store."""
    connection_id = await service.finish_sign_in(
        who.company_id, platform=platform, query=request.query_params.multi_items(), actor=who.actor
    )
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"/stores/{connection_id}", 303)
    detail = await _detail(who.company_id, connection_id, platform)
    return JSONResponse(detail.model_dump(mode="json"))


# --- stores ---------------------------------------------------------------------------------------------------------


@router.get("/{platform}/stores")
async def list_stores(
    platform: str,
    who: Reads,
    closed: Annotated[bool, Query(description="Those that were disconnected or left, too")] = False,
) -> list[StoreOut]:
    """The company's stores at a channel, oldest first."""
    vendor = vendors.vendor(platform)
    async with acting_for(who.company_id) as session:
        return [_store(store) for store in await queries.stores(session, vendor=vendor.slug, closed=closed)]


@router.get("/{platform}/stores/{store_id}")
async def get_store(platform: str, store_id: UUID, who: Reads) -> StoreDetailOut:
    """One store."""
    return await _detail(who.company_id, store_id, platform)


@router.patch("/{platform}/stores/{store_id}/settings")
async def change_settings(platform: str, store_id: UUID, body: StoreSettingsChange, who: Writes) -> StoreDetailOut:
    """Change how the store is read and told. Only what is given changes."""
    async with acting_for(who.company_id) as session:
        await service.configure(session, store_id, body, platform=platform, actor=who.actor)
    return await _detail(who.company_id, store_id, platform)


@router.delete("/{platform}/stores/{store_id}", status_code=204)
async def disconnect(platform: str, store_id: UUID, who: Writes) -> None:
    """Cut the store: its webhooks are removed there, and nothing is read or told any more. Its orders stay."""
    vendors.vendor(platform)
    await service.disconnect(who.company_id, store_id, platform=platform, actor=who.actor)


@router.post("/{platform}/stores/{store_id}/test")
async def test(platform: str, store_id: UUID, who: Writes) -> TestOut:
    """Ask the store who it is. `ok` is false when it did not answer well; `problem` says why."""
    vendors.vendor(platform)
    try:
        return _tested(await service.test_store(who.company_id, store_id, platform=platform))
    except OutsideFailure as failure:
        return TestOut(ok=False, problem=failure.message if isinstance(failure, Refused) else str(failure))


@router.post("/{platform}/stores/{store_id}/pause")
async def pause(platform: str, store_id: UUID, who: Writes) -> StoreDetailOut:
    """Stop reading and telling the store. Nothing is lost: what happens there is read on resume."""
    async with acting_for(who.company_id) as session:
        await service.pause(session, store_id, platform=platform, actor=who.actor)
    return await _detail(who.company_id, store_id, platform)


@router.post("/{platform}/stores/{store_id}/resume")
async def resume(platform: str, store_id: UUID, who: Writes) -> StoreDetailOut:
    """Use a paused store again."""
    async with acting_for(who.company_id) as session:
        await service.resume(session, store_id, platform=platform, actor=who.actor)
    return await _detail(who.company_id, store_id, platform)


@router.post("/{platform}/stores/{store_id}/sync-shipments", status_code=202)
@router.post("/{platform}/stores/{store_id}/sync-orders", status_code=202)
@router.post("/{platform}/stores/{store_id}/sync/orders", status_code=202, operation_id="sync_changed_orders")
async def sync_orders(platform: str, store_id: UUID, who: Writes) -> Accepted:
    """Read the store's changed orders now. A marketplace's shipments are orders here; the three names are one verb."""
    async with acting_for(who.company_id) as session:
        await service.sync_now(session, store_id, platform=platform)
    return Accepted(follow=store_path(platform, store_id, "sync-status"))


@router.get("/{platform}/stores/{store_id}/sync-status")
async def sync_status(platform: str, store_id: UUID, who: Reads) -> SyncStatusOut:
    """How far the store has been read, what is on its way to it, and what was done with it last."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        rows, _ = await queries.log(session, store.connection.id, limit=10)
        pushes = await queries.open_pushes(session, store.connection.id)
    sync = store.sync
    return SyncStatusOut(
        store=_health(store),
        sweeping=sync.sweeping_until is not None and sync.sweeping_until > clock.now(),
        swept_through=sync.swept_through,
        orders_imported=sync.orders_imported,
        stock_pushes_open=pushes,
        listings_read_at=sync.listings_read_at,
        marketplace_stock_read_at=sync.marketplace_read_at,
        marketplace_stock_error=sync.marketplace_error,
        latest=[SyncEntryOut.model_validate(row) for row in rows],
    )


@router.post("/{platform}/stores/{store_id}/refresh", status_code=202)
async def refresh(platform: str, store_id: UUID, who: Writes) -> Accepted:
    """Make sure now that the store sends us its webhooks."""
    async with acting_for(who.company_id) as session:
        await service.refresh(session, store_id, platform=platform)
    return Accepted()


@router.get("/{platform}/stores/{store_id}/sync/logs")
async def sync_logs(
    platform: str, store_id: UUID, who: Reads, after: After = None, limit: Limit = 50
) -> Page[SyncEntryOut]:
    """What was done with the store, newest first."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        rows, following = await queries.log(session, store.connection.id, after=after, limit=limit)
    return Page(items=[SyncEntryOut.model_validate(row) for row in rows], next=following)


# --- webhooks received ----------------------------------------------------------------------------------------------


@router.get("/{platform}/stores/{store_id}/webhooks")
async def list_deliveries(
    platform: str, store_id: UUID, who: Reads, outcome: inbox.Outcome | None = None, limit: Limit = 50
) -> list[DeliveryOut]:
    """The newest webhooks of the store and what became of them."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        rows = await inbox.recent(session, outcome=outcome, store=store.connection.external_id, limit=limit)
    return [
        DeliveryOut(
            id=row.id,
            topic=row.topic,
            delivery_id=row.delivery_id,
            received_at=row.received_at,
            handled_at=row.handled_at,
            outcome=row.outcome,
            note=row.note,
        )
        for row in rows
        if row.vendor == platform
    ]


@router.post("/{platform}/webhooks/{delivery_id}/replay", status_code=202)
async def replay_delivery(platform: str, delivery_id: UUID, who: Writes) -> Accepted:
    """Read a webhook once more."""
    async with acting_for(who.company_id) as session:
        await service.replay_delivery(session, delivery_id, platform=platform)
    return Accepted()


# --- what failed ----------------------------------------------------------------------------------------------------


@router.get("/{platform}/failed-items")
async def list_failed_items(
    platform: str,
    who: Reads,
    store: Annotated[UUID | None, Query(description="Of this store only")] = None,
    resolved: bool = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[FailedItemOut]:
    """Orders and webhooks that could not be taken in, newest first."""
    async with acting_for(who.company_id) as session:
        rows, following = await failures.page(
            session,
            connection_ids=await _store_ids(session, platform, store),
            resolved=resolved,
            after=after,
            limit=limit,
        )
    return Page(items=[FailedItemOut.model_validate(row) for row in rows], next=following)


@router.get("/{platform}/failed-items/{item_id}")
async def get_failed_item(platform: str, item_id: UUID, who: Writes) -> FailedItemDetailOut:
    """One failed item with what it looked like, buyer's data and all."""
    async with acting_for(who.company_id) as session:
        item = await failures.get(session, item_id)
        await queries.store(session, item.connection_id, vendor=platform)
        shown = FailedItemOut.model_validate(item).model_dump()
        return FailedItemDetailOut(**shown, raw=failures.looks(item))


@router.post("/{platform}/failed-items/{item_id}/replay", status_code=202)
async def replay_failed_item(platform: str, item_id: UUID, who: Writes) -> Accepted:
    """Try a failed item again: its order is read afresh, its webhook read once more."""
    async with acting_for(who.company_id) as session:
        await service.replay_item(session, item_id, platform=platform)
    return Accepted()


@router.post("/{platform}/stores/{store_id}/failed-items/replay", status_code=202)
async def replay_failed_items(platform: str, store_id: UUID, who: Writes) -> Replaying:
    """Try all open failed items of a store again, the oldest thousand of them."""
    async with acting_for(who.company_id) as session:
        return Replaying(items=await service.replay_all(session, store_id, platform=platform))


@router.get("/{platform}/announcements")
async def list_announcements(
    platform: str,
    who: Reads,
    store: Annotated[UUID | None, Query(description="To this store only")] = None,
    state: AnnouncementState | None = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[AnnouncementOut]:
    """What stores were told of parcels, newest first."""
    async with acting_for(who.company_id) as session:
        rows, following = await announcements.page(
            session,
            connection_ids=await _store_ids(session, platform, store),
            state=state,
            after=after,
            limit=limit,
        )
    return Page(items=[AnnouncementOut.model_validate(row) for row in rows], next=following)


@router.post("/{platform}/announcements/{announcement_id}/retry", status_code=202)
async def announce_again(platform: str, announcement_id: UUID, who: Writes) -> Accepted:
    """Tell the store once more of a parcel it refused to hear of."""
    async with acting_for(who.company_id) as session:
        await service.announce_again(session, announcement_id, platform=platform)
    return Accepted()


# --- shapes ---------------------------------------------------------------------------------------------------------


async def _store_ids(session: AsyncSession, platform: str, store_id: UUID | None) -> list[UUID]:
    vendor = vendors.vendor(platform)
    if store_id is not None:
        return [(await queries.store(session, store_id, vendor=vendor.slug)).connection.id]
    return [store.connection.id for store in await queries.stores(session, vendor=vendor.slug, closed=True)]


async def _detail(company_id: UUID, connection_id: UUID, platform: str) -> StoreDetailOut:
    vendor = vendors.vendor(platform)
    async with acting_for(company_id) as session:
        store = await queries.store(session, connection_id, vendor=vendor.slug)
    return StoreDetailOut(
        **_store(store).model_dump(),
        abilities=abilities(opened(store.connection)),
        webhook_url=jobs.webhook_url(store.connection),
    )


def _store(store: Store) -> StoreOut:
    connection, sync = store.connection, store.sync
    return StoreOut(
        id=connection.id,
        platform=connection.vendor,
        external_id=connection.external_id,
        name=connection.name,
        status=connection.status,
        reason=connection.reason,
        connected_at=connection.connected_at,
        orders_imported=sync.orders_imported,
        topics=sync.topics,
        missing_scopes=sync.missing_scopes,
        settings=sweeps.settings_of(connection),
        health=_health(store),
    )


def _health(store: Store) -> HealthOut:
    level, words = store.verdict()
    lag = store.lag
    return HealthOut(
        connection_id=store.connection.id,
        platform=store.connection.vendor,
        name=store.connection.name,
        level=level,
        words=words,
        lag_seconds=None if lag is None else int(lag.total_seconds()),
        last_sweep_at=store.sync.last_sweep_at,
        next_sweep_at=store.sync.next_sweep_at,
        last_webhook_at=store.sync.last_webhook_at,
        open_failures=store.open_failures,
        refused_announcements=store.refused_announcements,
    )


def _channel(vendor: ChannelVendor) -> ChannelOut:
    return ChannelOut(
        slug=vendor.slug,
        name=vendor.name,
        sign_in=vendor.sign_in is not None,
        pasted=vendor.pasted,
        fields=list(service.form(vendor)),
    )


def _tested(info: StoreInfo) -> TestOut:
    return TestOut(
        ok=True,
        name=info.name,
        external_id=info.external_id,
        currency=info.currency,
        missing_scopes=list(info.missing_scopes),
        details=dict(info.details),
    )
