"""Telling a marketplace that parcels are packed and wait for its courier. Safe to repeat, so a call that may or may
not have arrived is simply made again; what the marketplace says stands on each order's timeline."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import sweeps, untold, vendors
from shipcrowd.channels.contract import MarksDispatched, ParcelRefusal, ReadyParcel
from shipcrowd.channels.open import connected, lost, opened
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection
from shipcrowd.couriers import vendors as couriers
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.jobs import enqueue_many, job, on
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order
from shipcrowd.shipping.booking import ShipmentNotFound
from shipcrowd.shipping.models import Shipment, State

PATIENTLY = on(Exception, times=8, first=2.0)

WAITS = frozenset({State.pickup_pending, State.pickup_failed})


class NotPacked(Conflict):
    """Only a parcel that has its label and was not picked up yet is ready to be dispatched."""


async def ask(session: AsyncSession, connection: Connection, shipment_ids: Sequence[UUID]) -> None:
    """Have the marketplace told that these parcels are ready. Raises ShipmentNotFound (of one that is no parcel of
    this store), NotPacked; then none is told."""
    wanted = list(dict.fromkeys(shipment_ids))
    found = await _parcels(session, connection.id, wanted)
    if missing := [shipment_id for shipment_id in wanted if shipment_id not in found]:
        raise ShipmentNotFound(f"this store has no parcel {missing[0]}", field="shipment_ids")
    for shipment, _ in found.values():
        if shipment.state not in WAITS or shipment.awb is None:
            raise NotPacked(f"{shipment.number} is {shipment.state}", field="shipment_ids")
    await _wished(session, connection, [found[shipment_id] for shipment_id in wanted])


async def _wished(session: AsyncSession, connection: Connection, parcels: Sequence[tuple[Shipment, Order]]) -> None:
    """The wish stands until the marketplace has answered it, whatever becomes of the job."""
    references = {shipment.id: order.external_ref or order.external_id or "" for shipment, order in parcels}
    await untold.wish_ready(session, connection, references)
    await enqueue_ready(session, connection, list(references))


@job(name="channels.parcels_ready")
async def parcels_ready(company_id: UUID, manifest_id: UUID) -> None:
    """Hears ParcelsReady: what marketplaces' own couriers carry of it is ready, and its stores are told."""
    own = [vendor.slug for vendor in couriers.vendors() if vendor.marketplace]
    query = (
        select(Shipment, Order)
        .join(Order, (Order.company_id == Shipment.company_id) & (Order.id == Shipment.order_id))
        .where(
            Shipment.manifest_id == manifest_id,
            Shipment.courier.in_(own),
            Shipment.state.in_(WAITS),
            Order.connection_id.is_not(None),
        )
        .order_by(Shipment.id)
    )
    stores: dict[UUID, list[tuple[Shipment, Order]]] = defaultdict(list)
    async with acting_for(company_id) as session:
        for shipment, order in (await session.execute(query)).all():
            if order.connection_id is not None:
                stores[order.connection_id].append((shipment, order))
        for connection_id, parcels in stores.items():
            await _wished(session, await connections.get(session, connection_id), parcels)


async def enqueue_ready(session: AsyncSession, connection: Connection, wanted: Sequence[UUID]) -> None:
    """Have the marketplace told of these, as many a job as it takes at once."""
    most = vendors.vendor(connection.vendor).dispatch_batch
    ids = {"company_id": connection.company_id, "connection_id": connection.id}
    await enqueue_many(
        session,
        mark_dispatched,
        [{**ids, "shipment_ids": wanted[start : start + most]} for start in range(0, len(wanted), most)],
    )


@job(retry=PATIENTLY, name="channels.mark_dispatched")
async def mark_dispatched(company_id: UUID, connection_id: UUID, shipment_ids: list[UUID]) -> None:
    """Tell the marketplace that these parcels are ready. Those that went meanwhile, or came to nothing, are left."""
    connection = await connected(company_id, connection_id)
    async with acting_for(company_id) as session:
        wanted = await untold.still_ready(session, shipment_ids)
        found = await _parcels(session, connection_id, wanted)
        gone = [each for each in wanted if each not in found or found[each][0].state not in WAITS]
        await untold.ready_answered(session, gone)
    ready = [_ready(*found[each]) for each in wanted if each not in gone]
    if not ready:
        return
    waiting = [UUID(parcel.reference) for parcel in ready]
    if connection is None:
        await _waits(company_id, connection_id, waiting, "the store is not connected; it is told when it is back")
        return
    channel = opened(connection)
    try:
        if not isinstance(channel, MarksDispatched):
            raise Refused("cannot_dispatch", "this channel is not told when parcels are ready")
        refusals = await channel.ready_to_dispatch(ready)
    except Disconnected as failure:
        await lost(connection, failure)
        await _waits(company_id, connection_id, waiting, f"{failure.reason} It is told when the store is back.")
        return
    except (Refused, Malformed) as failure:
        words = failure.message if isinstance(failure, Refused) else str(failure)
        refusals = [ParcelRefusal(parcel.reference, "refused", words) for parcel in ready]
    await _told(connection, [parcel.reference for parcel in ready], refusals)


@mark_dispatched.exhausted
async def _no_answer(company_id: UUID, connection_id: UUID, shipment_ids: list[UUID]) -> None:
    async with acting_for(company_id) as session:
        waiting = await untold.still_ready(session, shipment_ids)
        await untold.put_off(session, waiting)
    await _waits(company_id, connection_id, waiting, "it did not answer; it is told again")


def _ready(shipment: Shipment, order: Order) -> ReadyParcel:
    reference = order.external_ref or order.external_id or ""
    return ReadyParcel(str(shipment.id), reference, shipment.awb or "", shipment.courier_shipment_id)


async def _told(connection: Connection, references: Sequence[str], refusals: Sequence[ParcelRefusal]) -> None:
    refused = {refusal.reference: refusal.message for refusal in refusals}
    async with acting_for(connection.company_id) as session:
        found = await _parcels(session, connection.id, [UUID(reference) for reference in references])
        for shipment, order in found.values():
            words = refused.get(str(shipment.id))
            _tell(session, connection.vendor, shipment, order, words)
        await untold.ready_answered(session, list(found))
        error = f"{len(refused)} of {len(references)} parcels were not taken; see their orders." if refused else ""
        await sweeps.note(session, connection, "dispatch", error=error)


async def _waits(company_id: UUID, connection_id: UUID, shipment_ids: Sequence[UUID], because: str) -> None:
    """It could not be told, and will be; the orders' timelines say so."""
    async with acting_for(company_id) as session:
        found = await _parcels(session, connection_id, shipment_ids)
        for shipment, order in found.values():
            _tell(session, order.source, shipment, order, because, waits=True)


def _tell(
    session: AsyncSession, vendor: str, shipment: Shipment, order: Order, refused: str | None, *, waits: bool = False
) -> None:
    name = vendors.vendor(vendor).name
    kind, words = "dispatch_told", f"{name} was told that it is ready"
    if refused is not None:
        kind, words = "dispatch_refused", f"{name} did not take it as ready: {refused[:300]}"
    if refused is not None and waits:
        kind, words = "dispatch_waits", f"{name} could not be told yet that it is ready: {refused[:300]}"
    words = f"{shipment.number}: {words}"
    orders.tell(session, order, kind, words, actor=f"channel:{vendor}", details={"shipment_id": str(shipment.id)})


async def _parcels(
    session: AsyncSession, connection_id: UUID, shipment_ids: Sequence[UUID]
) -> dict[UUID, tuple[Shipment, Order]]:
    """These parcels and their orders, as far as they are of this store: one query."""
    query = (
        select(Shipment, Order)
        .join(Order, (Order.company_id == Shipment.company_id) & (Order.id == Shipment.order_id))
        .where(Shipment.id.in_(list(shipment_ids)), Order.connection_id == connection_id)
    )
    return {shipment.id: (shipment, order) for shipment, order in (await session.execute(query)).all()}
