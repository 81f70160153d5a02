"""Cancelling parcels before they are picked up: ask the courier, believe the tracking."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import CancelResult, CancelsByItsOwnId
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.errors import Conflict
from shipcrowd.orders import service as orders
from shipcrowd.shipping import tracking
from shipcrowd.shipping.accounts import using
from shipcrowd.shipping.booking import ShipmentNotFound
from shipcrowd.shipping.models import CANCELLABLE, Shipment, State


class CannotCancel(Conflict):
    """This shipment cannot be cancelled any more."""


@dataclass(frozen=True)
class ToCancel:
    courier: str
    account_company_id: UUID
    account_id: UUID
    awb: str
    courier_shipment_id: str | None


async def ask(company_id: UUID, shipment_id: UUID, *, actor: str) -> Shipment:
    """Cancel one parcel: load, call, record. The shipment afterwards.

    Raises ShipmentNotFound, CannotCancel (with the courier's words where it refused) and the outside failures.
    """
    async with tenancy.acting_for(company_id) as session:
        prepared = await _prepare(session, shipment_id)
    async with using(prepared.courier, prepared.account_company_id, prepared.account_id) as courier:
        if isinstance(courier, CancelsByItsOwnId) and prepared.courier_shipment_id is not None:
            (result,) = await courier.cancel_shipments({prepared.awb: prepared.courier_shipment_id})
        else:
            (result,) = await courier.cancel([prepared.awb])
    async with tenancy.acting_for(company_id) as session:
        return await record(session, shipment_id, result, actor=actor)


async def _prepare(session: AsyncSession, shipment_id: UUID) -> ToCancel:
    found = await tracking.locked(session, shipment_id)
    if found is None:
        raise ShipmentNotFound
    shipment = found[1]
    if shipment.state not in CANCELLABLE or shipment.awb is None:
        raise CannotCancel(f"{shipment.number} is {shipment.state.replace('_', ' ')}")
    account = (shipment.account_company_id, shipment.account_id)
    return ToCancel(shipment.courier, *account, shipment.awb, shipment.courier_shipment_id)


async def record(session: AsyncSession, shipment_id: UUID, result: CancelResult, *, actor: str) -> Shipment:
    """What the courier answered. A courier nobody tracks confirms by accepting. Raises CannotCancel."""
    found = await tracking.locked(session, shipment_id)
    if found is None:
        raise ShipmentNotFound
    order, shipment = found
    if not result.accepted:
        raise CannotCancel(result.message or "the courier refused to cancel")
    if shipment.state not in CANCELLABLE:
        return shipment  # it moved, or was cancelled, while we asked
    shipment.cancel_asked_at = clock.now()
    shipment.state = State.cancelling
    shipment.moved_at = clock.now()
    words = f"{shipment.number}: the courier took the cancellation"
    orders.tell(session, order, "cancel_asked", words, actor=actor)
    if not vendors.vendor(shipment.courier).tracked:
        await tracking.arrive(session, order, shipment, State.cancelled, at=clock.now())
    tracking.plan_next_check(shipment)
    return shipment


async def active_of_order(session: AsyncSession, order_id: UUID) -> Sequence[UUID]:
    """The order's parcels that could still be cancelled."""
    query = select(Shipment.id).where(Shipment.order_id == order_id, Shipment.state.in_(CANCELLABLE))
    return (await session.execute(query)).scalars().all()
