"""An AWB that a person typed at the desk was the wrong one: corrected or taken back, while nothing has been scanned.

Until then it leads the news of somebody's parcel here. What the courier itself gave is never typed over.
"""

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import audit, clock, events
from shipcrowd.kernel.errors import Conflict
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order
from shipcrowd.shipping import booking, tracking
from shipcrowd.shipping.events import ShipmentAwbChanged
from shipcrowd.shipping.models import ScanRow, Shipment, ShipmentRoute, State


class AwbNotTyped(Conflict):
    """This AWB was given by the courier; nobody typed it."""


class AlreadyScanned(Conflict):
    """The parcel with this AWB was scanned; it can no longer be corrected."""


async def correct(session: AsyncSession, shipment_id: UUID, *, awb: str, actor: str) -> Shipment:
    """The parcel has another AWB than was typed. Its store is told anew.

    Raises ShipmentNotFound, AwbNotTyped, AlreadyScanned, AwbTaken; nothing has changed then.
    """
    order, shipment, wrong = await _typed(session, shipment_id)
    if awb == wrong:
        return shipment
    await booking.refuse_taken(session, shipment, awb)
    await _let_go(session, order, shipment, wrong)
    shipment.awb, shipment.awb_typed_by = awb, actor
    await booking.route_to(session, shipment, f"awb:{shipment.courier}", awb, typed=True)
    await orders.refer(session, order, awb)
    tracking.plan_next_check(shipment)
    orders.tell(session, order, "awb_corrected", f"{shipment.number}: the AWB is {awb}, not {wrong}", actor=actor)
    await _audit(session, shipment, actor, "shipment.awb_corrected", was=wrong, now=awb)
    await events.publish(session, ShipmentAwbChanged(shipment.company_id, shipment.id))
    return shipment


async def withdraw(session: AsyncSession, shipment_id: UUID, *, actor: str) -> Shipment:
    """There is no such parcel after all: the charge comes back, the units are free, the shipment is cancelled.

    Raises ShipmentNotFound, AwbNotTyped, AlreadyScanned.
    """
    order, shipment, wrong = await _typed(session, shipment_id)
    await _let_go(session, order, shipment, wrong)
    shipment.awb = shipment.awb_typed_by = None
    shipment.reason_code, shipment.reason = "awb_withdrawn", f"no parcel has the AWB {wrong} that was typed"
    orders.tell(session, order, "awb_withdrawn", f"{shipment.number}: the AWB {wrong} was taken back", actor=actor)
    await _audit(session, shipment, actor, "shipment.awb_withdrawn", was=wrong)
    await tracking.arrive(session, order, shipment, State.cancelled, at=clock.now())
    tracking.plan_next_check(shipment)
    return shipment


async def correctable(session: AsyncSession, shipment: Shipment) -> bool:
    """Whether the AWB was typed and nothing has been scanned."""
    return (
        shipment.awb is not None
        and shipment.awb_typed_by is not None
        and shipment.state == State.pickup_pending
        and not await _scanned(session, shipment.id)
    )


async def _typed(session: AsyncSession, shipment_id: UUID) -> tuple[Order, Shipment, str]:
    found = await tracking.locked(session, shipment_id)
    if found is None:
        raise booking.ShipmentNotFound
    order, shipment = found
    if shipment.awb is None or shipment.awb_typed_by is None:
        raise AwbNotTyped(f"{shipment.number} is {shipment.state.replace('_', ' ')}")
    if shipment.state != State.pickup_pending or await _scanned(session, shipment_id):
        raise AlreadyScanned(f"{shipment.number} is {shipment.state.replace('_', ' ')}")
    return order, shipment, shipment.awb


async def _scanned(session: AsyncSession, shipment_id: UUID) -> bool:
    return await session.scalar(select(ScanRow.id).where(ScanRow.shipment_id == shipment_id).limit(1)) is not None


async def _let_go(session: AsyncSession, order: Order, shipment: Shipment, awb: str) -> None:
    await session.execute(
        delete(ShipmentRoute).where(
            ShipmentRoute.kind == f"awb:{shipment.courier}",
            ShipmentRoute.key == awb,
            ShipmentRoute.shipment_id == shipment.id,
        )
    )
    await orders.no_longer_refer(session, order, awb)


async def _audit(session: AsyncSession, shipment: Shipment, actor: str, action: str, **details: str) -> None:
    await audit.record(session, actor=actor, action=action, subject=f"shipment:{shipment.id}", details=details)
