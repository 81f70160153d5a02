"""Parcels of a store's orders, and orders at the store, over HTTP: parse, one call, answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response

from shipcrowd.channels import cancelling, dispatching, parcels, queries, service
from shipcrowd.channels.api import Reads, store_path
from shipcrowd.channels.contract import AnnouncesDispatch, CancelsOrders, ChangesDeliveryDate, MarksDispatched
from shipcrowd.channels.open import require
from shipcrowd.channels.parcels import Outside, Wish
from shipcrowd.channels.schemas import (
    Accepted,
    CancelAtStore,
    CancellationOut,
    GenerateLabel,
    MarkDispatched,
    Measured,
    NewDeliveryDate,
    StoreParcelOut,
    UpdateTracking,
)
from shipcrowd.identity.api import May, Member
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.shipping import labels
from shipcrowd.shipping.models import Shipment
from shipcrowd.shipping.quoting import Package

router = APIRouter(prefix="/integrations", tags=["store parcels"])

Ships = Annotated[Member, May("shipments:write")]
Orders = Annotated[Member, May("orders:write")]


@router.post("/{platform}/stores/{store_id}/update-tracking", status_code=202)
async def update_tracking(platform: str, store_id: UUID, body: UpdateTracking, who: Ships) -> StoreParcelOut:
    """Tell the store of a parcel you booked outside: it becomes a shipment here, if it is none yet, and is announced
    like every other. Orders the marketplace carries itself are refused. The same parcel twice is one."""
    outside = Outside(body.carrier, body.awb, body.status, body.at, _package(body), body.place_id)
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, AnnouncesDispatch, "tell it of parcels")
        return _parcel(await parcels.booked_elsewhere(session, connection, body.order, outside, actor=who.actor))


@router.post(
    "/{platform}/stores/{store_id}/generate-label",
    status_code=202,
    responses={200: {"model": StoreParcelOut, "description": "The label is there"}},
)
async def generate_label(
    platform: str, store_id: UUID, body: GenerateLabel, who: Ships, response: Response
) -> StoreParcelOut:
    """A label for an order of the store: booked at the courier and service asked for, else the cheapest; where the
    marketplace's own courier carries the order, with that one. 202 until the label is there; ask again for it."""
    wish = Wish(body.order_id, body.courier, body.service, _package(body), body.place_id)
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
    parcel = _parcel(await parcels.label_for(who.company_id, connection, wish, actor=who.actor))
    if parcel.label is not None:
        response.status_code = 200
    return parcel


@router.post("/{platform}/stores/{store_id}/dispatch", status_code=202)
async def mark_dispatched(platform: str, store_id: UUID, body: MarkDispatched, who: Ships) -> Accepted:
    """Tell the marketplace that these parcels are packed and may be picked up. What it says of each stands on its
    order's timeline."""
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, MarksDispatched, "mark parcels as ready to dispatch")
        await dispatching.ask(session, connection, body.shipment_ids)
    return Accepted(follow=store_path(platform, store_id, "sync/logs"))


@router.post("/{platform}/stores/{store_id}/parcels/{shipment_id}/delivery-date", status_code=202)
async def change_delivery_date(
    platform: str, store_id: UUID, shipment_id: UUID, body: NewDeliveryDate, who: Ships
) -> Accepted:
    """Tell the store that a parcel it knows is expected on another day. What it says stands on the order's timeline."""
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, ChangesDeliveryDate, "change delivery dates")
        await parcels.expect_on(session, connection, shipment_id, body.expected)
    return Accepted(follow=f"/api/v1/shipments/{shipment_id}")


@router.post("/{platform}/stores/{store_id}/orders/{order_id}/cancel", status_code=202)
async def cancel_at_store(
    platform: str, store_id: UUID, order_id: UUID, body: CancelAtStore, who: Orders
) -> CancellationOut:
    """Have the order cancelled at its store. Nobody books it meanwhile; GET the same address to see what was said."""
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, CancelsOrders, "cancel its orders")
        row = await cancelling.ask(session, connection, order_id, reason=body.reason, actor=who.actor)
        return CancellationOut.model_validate(row)


@router.get("/{platform}/stores/{store_id}/orders/{order_id}/cancel")
async def get_cancellation(platform: str, store_id: UUID, order_id: UUID, who: Reads) -> CancellationOut:
    """What came of the cancellation."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        return CancellationOut.model_validate(await cancelling.got(session, store.connection, order_id))


def _package(body: Measured) -> Package:
    return Package(body.weight_grams, body.length_mm, body.breadth_mm, body.height_mm)


def _parcel(shipment: Shipment) -> StoreParcelOut:
    return StoreParcelOut(
        follow=f"/api/v1/shipments/{shipment.id}",
        shipment_id=shipment.id,
        number=shipment.number,
        order_id=shipment.order_id,
        state=shipment.state,
        courier=shipment.courier,
        carrier=shipment.carrier,
        awb=shipment.awb,
        label=f"/api/v1/shipments/{shipment.id}/label.pdf" if not labels.why_none(shipment) else None,
    )
