"""What is done with stores: connect, try, pause, configure, sync, cut.

Functions that must call the store take ids and open their own transactions (load, call, record); the others take a
session first.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import (
    announcements,
    cancelling,
    failures,
    jobs,
    retelling,
    returning,
    stocking,
    sweeps,
    vendors,
)
from shipcrowd.channels.app_contract import ProvesStore
from shipcrowd.channels.contract import ChannelVendor, StoreInfo, Subscribes
from shipcrowd.channels.events import StoreConnected
from shipcrowd.channels.models import StoreSync
from shipcrowd.channels.open import app_settings, lost, on_trial, opened
from shipcrowd.channels.schemas import StoreSettings, StoreSettingsChange
from shipcrowd.connections import forms
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Kind, Status
from shipcrowd.kernel import audit, clock, inbox, outbound
from shipcrowd.kernel.errors import Invalid, NotFound, Unauthenticated
from shipcrowd.kernel.events import publish
from shipcrowd.kernel.jobs import enqueue_many
from shipcrowd.kernel.outbound import Disconnected, OutsideFailure, Refused, Unavailable
from shipcrowd.kernel.tenancy import acting_for, company_of
from shipcrowd.settings import settings

REPLAYED_AT_ONCE = 1000
LONGEST_WAIT = 5.0
"""Seconds a person who cuts a store waits for its rate limit."""


class CannotConnect(Invalid):
    """The store did not accept this connection."""


class NotPasted(Invalid):
    """Stores of this channel are connected by signing in there."""


class NoSignIn(Invalid):
    """Stores of this channel are connected with credentials, not by signing in."""


class WrongStoreSignedIn(Unauthenticated):
    """The sign-in came back for another store than it was started for."""


class NoSuchDelivery(NotFound):
    """There is no such webhook delivery, or it was deleted after its time."""


# --- connecting -----------------------------------------------------------------------------------------------------


async def connect_pasted(
    company_id: UUID,
    *,
    platform: str,
    store: str,
    given: Mapping[str, str | None],
    actor: str,
    import_days: int = 30,
) -> UUID:
    """Connect a store with credentials the seller pasted, once the store has accepted them; its connection's id.

    Raises UnknownChannel, NotPasted, Invalid (the store's name or a field), CannotConnect (nothing is saved; naming
    the store where it is not seen to be theirs),
    ConnectedElsewhere, Unavailable.
    """
    vendor = vendors.vendor(platform)
    external_id = vendor.store_id(store)
    credentials = await _begun(vendor, external_id, pasted(vendor, given))
    info = await _try_typed(vendor, external_id, credentials)
    return await _record(company_id, vendor, info, credentials, actor=actor, import_days=import_days)


async def try_pasted(*, platform: str, store: str, given: Mapping[str, str | None]) -> StoreInfo:
    """Ask the store with credentials the seller pasted; nothing is saved. Raises what `connect_pasted` does."""
    vendor = vendors.vendor(platform)
    external_id = vendor.store_id(store)
    return await _try_typed(vendor, external_id, await _begun(vendor, external_id, pasted(vendor, given)))


async def start_sign_in(company_id: UUID, *, platform: str, store: str, actor: str) -> str:
    """Where to send the browser to sign in at the store. Raises UnknownChannel, NoSignIn, Invalid."""
    vendor = vendors.vendor(platform)
    if vendor.sign_in is None:
        raise NoSignIn(f"{vendor.name} knows no sign-in; paste the store's credentials.")
    place = (vendor.sign_in.place or vendor.store_id)(store)
    app = app_settings(vendor)
    async with acting_for(company_id) as session:
        state = await connections.start_sign_in(session, vendor=platform, external_id=place, actor=actor)
    return outbound.browser_url(vendor.sign_in.start(app, place, state, redirect_uri(platform)))


async def arrive_to_sign_in(company_id: UUID, *, platform: str, query: Sequence[tuple[str, str]], actor: str) -> str:
    """The vendor's app store sent a seller here: where to send the browser back to, for consent.

    `query` is decoded. Raises UnknownChannel, NoSignIn, Invalid (it does not lead back to the vendor).
    """
    vendor = vendors.vendor(platform)
    if vendor.sign_in is None or vendor.sign_in.begun_there is None:
        raise NoSignIn(f"A sign-in at {vendor.name} begins here.")
    begun, app = vendor.sign_in.begun_there, app_settings(vendor)
    place = begun.place(app, query)
    async with acting_for(company_id) as session:
        state = await connections.start_sign_in(session, vendor=platform, external_id=place, actor=actor)
    return outbound.browser_url(begun.go_back(app, query, state, redirect_uri(platform)))


async def finish_sign_in(company_id: UUID, *, platform: str, query: Sequence[tuple[str, str]], actor: str) -> UUID:
    """The browser came back: exchange what it brought, and connect the store; its connection's id.

    `query` is decoded. Raises Unauthenticated (forged, stale, or of another store), SignInStale, CannotConnect,
    ConnectedElsewhere, Unavailable. A callback that is genuine spends the nonce, whatever comes of it.
    """
    vendor = vendors.vendor(platform)
    if vendor.sign_in is None:
        raise NoSignIn(f"{vendor.name} knows no sign-in; paste the store's credentials.")
    app = app_settings(vendor)
    shop = vendor.sign_in.check(app, query, clock.now())
    found = dict(query)
    async with acting_for(company_id) as session:
        expected = await connections.finish_sign_in(session, vendor=platform, state=found.get("state", ""), actor=actor)
    # Started for a place, the callback alone says whose store it is; where it names none, the store itself must.
    store = shop if vendor.sign_in.place is not None and shop is not None else expected
    if shop is not None and shop != store:
        raise WrongStoreSignedIn(f"It was started for {expected}.")
    try:
        credentials = await vendor.sign_in.finish(
            app, outbound.http(platform), expected, found, redirect_uri(platform), clock.now()
        )
    except (Refused, Disconnected) as failure:
        raise _cannot_connect(failure) from failure
    info = await _try(vendor, store, credentials)
    return await _record(company_id, vendor, info, credentials, actor=actor)


def redirect_uri(platform: str) -> str:
    """Where a store sends the browser back to; it must be registered with our app at the vendor."""
    return f"{settings().public_url.rstrip('/')}/api/v1/integrations/{platform}/callback"


def form(vendor: ChannelVendor) -> Sequence[forms.Field]:
    """What a channel's connect form asks for; nothing where stores are connected by signing in."""
    return forms.fields(vendor.credentials) if vendor.pasted else []


def pasted(vendor: ChannelVendor, given: Mapping[str, str | None]) -> BaseModel:
    """The credentials a seller pasted. Raises NotPasted, and Invalid naming the fields at fault, never their values."""
    if not vendor.pasted:
        raise NotPasted(f"Sign in at {vendor.name} instead.")
    return forms.read(vendor.credentials, given, asker=vendor.name)


async def _begun(vendor: ChannelVendor, external_id: str, given: BaseModel) -> BaseModel:
    """What was pasted, or the token it is the means to get."""
    ends = vendor.expires_at(given)
    if vendor.renew is None or ends is None or ends > clock.now():
        return given
    try:
        return await vendor.renew(app_settings(vendor), outbound.http(vendor.slug), external_id, given, clock.now())
    except (Refused, Disconnected) as failure:
        raise _cannot_connect(failure) from failure


async def _try(vendor: ChannelVendor, external_id: str, credentials: BaseModel) -> StoreInfo:
    try:
        return await on_trial(vendor, external_id, credentials).store()
    except (Refused, Disconnected) as failure:
        raise _cannot_connect(failure) from failure


async def _try_typed(vendor: ChannelVendor, external_id: str, credentials: BaseModel) -> StoreInfo:
    """As `_try`, where nothing but the seller's word says whose the credentials are: then the store is asked."""
    info = await _try(vendor, external_id, credentials)
    channel = on_trial(vendor, external_id, credentials)
    if isinstance(channel, ProvesStore):
        try:
            await channel.prove()
        except Refused as refusal:
            raise CannotConnect(refusal.message, field="store", reason=refusal.code) from refusal
        except Disconnected as failure:
            raise _cannot_connect(failure) from failure
    return info


def _cannot_connect(failure: Refused | Disconnected) -> CannotConnect:
    if isinstance(failure, Refused):
        return CannotConnect(failure.message, field="credentials", reason=failure.code)
    return CannotConnect(failure.reason, field="credentials", reason="disconnected")


async def _record(
    company_id: UUID,
    vendor: ChannelVendor,
    info: StoreInfo,
    credentials: BaseModel,
    *,
    actor: str,
    import_days: int = 30,
) -> UUID:
    async with acting_for(company_id) as session:
        known = await connections.find(session, vendor=vendor.slug, external_id=info.external_id)
        wishes = known.settings if known and known.settings else StoreSettings(import_days=import_days).model_dump()
        connection = await connections.connect(
            session,
            vendor=vendor.slug,
            kind=Kind.channel,
            external_id=info.external_id,
            name=info.name,
            credentials=credentials,
            expires_at=vendor.expires_at(credentials),
            settings=wishes,
        )
        now, missing = clock.now(), sorted(info.missing_scopes)
        await session.execute(
            insert(StoreSync)
            .values(company_id=company_id, id=connection.id, next_sweep_at=now, missing_scopes=missing)
            .on_conflict_do_update(
                index_elements=[StoreSync.company_id, StoreSync.id],
                set_={"next_sweep_at": now, "missing_scopes": missing, "topics": []},
            )
        )
        await audit.record(
            session,
            actor=actor,
            action="store.reconnected" if known else "store.connected",
            subject=f"connection:{connection.id}",
            details={"platform": vendor.slug, "store": info.external_id},
        )
        await _go_on(session, connection)
        await publish(session, StoreConnected(company_id, connection.id))
        return connection.id


async def _go_on(session: AsyncSession, connection: Connection) -> None:
    """A store may be used (again): read what it has, ask for its webhooks, tell it what it has not been told."""
    ids = {"company_id": connection.company_id, "connection_id": connection.id}
    key = jobs.store_key(connection.company_id, connection.id)
    await jobs.subscribe.with_(key=key).enqueue(session, **ids)
    await jobs.sweep.with_(key=key).enqueue(session, **ids)
    await retelling.go_on(session, connection)
    await stocking.go_on(session, connection)
    await cancelling.go_on(session, connection)
    await returning.go_on(session, connection)


# --- a connected store ----------------------------------------------------------------------------------------------


async def test_store(company_id: UUID, connection_id: UUID, *, platform: str) -> StoreInfo:
    """Ask the store who it is, and note how that went. Raises UnknownConnection and the outside failures."""
    async with acting_for(company_id) as session:
        connection = await connections.get(session, connection_id, vendor=platform)
    try:
        info = await opened(connection).store()
    except OutsideFailure as failure:
        async with acting_for(company_id) as session:
            await sweeps.note(session, connection, "test", error=str(failure))
        if isinstance(failure, Disconnected):
            await lost(connection, failure)
        raise
    async with acting_for(company_id) as session:
        await connections.worked(session, connection_id)
        await sweeps.note(session, connection, "test")
        sync = await session.get(StoreSync, (company_id, connection_id))
        if sync is not None:
            sync.missing_scopes = sorted(info.missing_scopes)
    return info


async def pause(session: AsyncSession, connection_id: UUID, *, platform: str, actor: str) -> None:
    """Stop reading and telling the store. Raises UnknownConnection, WrongConnectionState."""
    await connections.get(session, connection_id, vendor=platform)
    await connections.pause(session, connection_id)
    await _audit(session, actor, "store.paused", connection_id)


async def resume(session: AsyncSession, connection_id: UUID, *, platform: str, actor: str) -> None:
    """Use a paused store again; what happened there meanwhile is read now. Raises UnknownConnection,
    WrongConnectionState (it must be connected again)."""
    await connections.get(session, connection_id, vendor=platform)
    connection = await connections.resume(session, connection_id)
    await _go_on(session, connection)
    await _audit(session, actor, "store.resumed", connection_id)


async def disconnect(company_id: UUID, connection_id: UUID, *, platform: str, actor: str) -> None:
    """Cut the store: its webhooks are taken away there, and nothing is read or told any more. Its orders stay.

    A store that does not answer is cut all the same; its webhooks are then ignored here, and the log says so.
    Raises UnknownConnection.
    """
    async with acting_for(company_id) as session:
        connection = await connections.get(session, connection_id, vendor=platform)
    error = ""
    channel = opened(connection)
    if connection.status in (Status.connected, Status.paused) and isinstance(channel, Subscribes):
        error = await _unsubscribed(channel)
    async with acting_for(company_id) as session:
        await connections.disconnect(session, connection_id)
        sync = await session.get(StoreSync, (company_id, connection_id))
        if sync is not None:
            sync.topics = []
        await sweeps.note(session, connection, "unsubscribe", error=error)
        await _audit(session, actor, "store.disconnected", connection_id)


async def _unsubscribed(channel: Subscribes) -> str:
    """Take the webhooks away; why it could not be done. Nothing comes back to it later, so what passes in a moment (a
    rate limit) is waited for."""
    for tries_left in (2, 1, 0):
        try:
            await channel.unsubscribe()
        except Unavailable as failure:
            if not tries_left or failure.retry_after is None or failure.retry_after > LONGEST_WAIT:
                return f"The webhooks could not be removed at the store: {failure}"
            await asyncio.sleep(failure.retry_after)
        except OutsideFailure as failure:
            return f"The webhooks could not be removed at the store: {failure}"
        else:
            break
    return ""


async def configure(
    session: AsyncSession, connection_id: UUID, change: StoreSettingsChange, *, platform: str, actor: str
) -> StoreSettings:
    """Change how a store is read and told. Reaching further back than before reads the older orders now.

    Raises UnknownConnection.
    """
    connection = await connections.get(session, connection_id, vendor=platform)
    before = sweeps.settings_of(connection)
    given = change.model_dump(exclude_unset=True)
    kept = {name: value for name, value in given.items() if value is not None or name == "sweep_minutes"}
    wishes = before.model_copy(update=kept)
    connection = await connections.configure(session, connection_id, wishes.model_dump())
    if wishes.import_days > before.import_days:
        await sweeps.reach_back(session, connection_id, connection.connected_at - timedelta(days=wishes.import_days))
        if connection.status == Status.connected:
            await _sweep(session, connection)
    await _audit(session, actor, "store.settings_changed", connection_id, details=kept)
    return wishes


async def sync_now(session: AsyncSession, connection_id: UUID, *, platform: str) -> None:
    """Read the store now. Raises UnknownConnection, WrongConnectionState."""
    await _sweep(session, await usable(session, connection_id, platform))


async def refresh(session: AsyncSession, connection_id: UUID, *, platform: str) -> None:
    """Make sure of the store's webhooks now. Raises UnknownConnection, WrongConnectionState."""
    connection = await usable(session, connection_id, platform)
    await jobs.subscribe.with_(key=jobs.store_key(connection.company_id, connection.id)).enqueue(
        session, company_id=connection.company_id, connection_id=connection.id
    )


async def replay_item(session: AsyncSession, item_id: UUID, *, platform: str) -> None:
    """Try a failed item again. Raises NoSuchFailedItem, UnknownConnection, WrongConnectionState."""
    item = await failures.get(session, item_id)
    await usable(session, item.connection_id, platform)
    await jobs.replay_item.with_(key=str(item.id)).enqueue(session, company_id=item.company_id, item_id=item.id)


async def replay_all(session: AsyncSession, connection_id: UUID, *, platform: str) -> int:
    """Try a store's open failed items again, the oldest `REPLAYED_AT_ONCE` of them: after a fix, that is. How many.

    Raises UnknownConnection, WrongConnectionState.
    """
    connection = await usable(session, connection_id, platform)
    items = await failures.open_ones(session, connection.id, limit=REPLAYED_AT_ONCE)
    await enqueue_many(
        session,
        jobs.replay_item,
        [{"company_id": connection.company_id, "item_id": item_id} for item_id in items],
        keys=[str(item_id) for item_id in items],
    )
    return len(items)


async def replay_delivery(session: AsyncSession, delivery_id: UUID, *, platform: str) -> None:
    """Read a webhook delivery once more. Raises NoSuchDelivery, inbox.Emptied."""
    delivery = await session.get(inbox.Delivery, (company_of(session), delivery_id))
    if delivery is None or delivery.vendor != platform:
        raise NoSuchDelivery()
    if delivery.body is None:
        raise inbox.Emptied
    await jobs.replay_delivery.with_(key=str(delivery_id)).enqueue(
        session, company_id=delivery.company_id, delivery_id=delivery_id
    )


async def announce_again(session: AsyncSession, announcement_id: UUID, *, platform: str) -> None:
    """Tell a store once more of a parcel it refused. Raises NoSuchAnnouncement, IllegalAnnouncementMove,
    UnknownConnection, WrongConnectionState."""
    row = await announcements.try_again(session, announcement_id)
    await usable(session, row.connection_id, platform)
    await jobs.tell_again.with_(key=str(row.shipment_id)).enqueue(
        session, company_id=row.company_id, shipment_id=row.shipment_id
    )


async def usable(session: AsyncSession, connection_id: UUID, platform: str) -> Connection:
    """A store that may be called now. Raises UnknownConnection, WrongConnectionState."""
    connection = await connections.get(session, connection_id, vendor=platform)
    if connection.status != Status.connected:
        words = "resume it first" if connection.status == Status.paused else "connect it again"
        raise connections.WrongConnectionState(f"The store is {connection.status}; {words}.")
    return connection


async def _sweep(session: AsyncSession, connection: Connection) -> None:
    await jobs.sweep.with_(key=jobs.store_key(connection.company_id, connection.id), priority=1).enqueue(
        session, company_id=connection.company_id, connection_id=connection.id
    )


async def _audit(
    session: AsyncSession, actor: str, action: str, connection_id: UUID, details: dict[str, Any] | None = None
) -> None:
    await audit.record(session, actor=actor, action=action, subject=f"connection:{connection_id}", details=details)
