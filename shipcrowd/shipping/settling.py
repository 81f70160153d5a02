"""What the end of a booking means for the order's units and the held or paid money."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import events
from shipcrowd.kernel.money import Money
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order
from shipcrowd.ratecards.quoting import ChargeCode
from shipcrowd.ratecards.quoting import Quote as Price
from shipcrowd.shipping.events import ShipmentCancelled
from shipcrowd.shipping.models import Manifest, Shipment, ShipmentLine
from shipcrowd.wallet import service as wallet


def reference(shipment: Shipment) -> str:
    """What the ledger knows a shipment's money by."""
    return f"shipment:{shipment.id}"


async def hold(session: AsyncSession, shipment: Shipment) -> None:
    """Hold the shipment's charge. Raises wallet.InsufficientBalance; nothing moved then."""
    if shipment.charge_paise:
        await wallet.hold(session, reference=reference(shipment), amount=shipment.charge_paise)


async def charge(session: AsyncSession, shipment: Shipment) -> None:
    """The courier took the parcel: what was held becomes revenue and tax."""
    if shipment.charge_paise:
        await wallet.settle(session, reference=reference(shipment), parts=parts(shipment))


def parts(shipment: Shipment) -> list[tuple[str, Money]]:
    """What a charge consists of, by the ledger's movement codes."""
    bill = Price.model_validate(shipment.charge).bill
    shares: list[tuple[str, Money]] = [
        (code.value, bill.amount(code)) for code in (ChargeCode.freight, ChargeCode.fuel, ChargeCode.cod)
    ]
    return [(code, amount) for code, amount in [*shares, ("gst", bill.gst)] if amount]


async def give_back(session: AsyncSession, order: Order, shipment: Shipment) -> None:
    """The booking came to nothing: release what is held and free the units."""
    if shipment.charge_paise:
        await wallet.release(session, reference=reference(shipment))
    await orders.free(session, order, await units_of(session, shipment.id))


async def cancelled(session: AsyncSession, order: Order, shipment: Shipment) -> None:
    """The courier confirmed a cancellation before pickup: refund the charge, free the units, tell whoever listens."""
    if shipment.charge_paise:
        await wallet.refund(session, reference=reference(shipment))
    await orders.free(session, order, await units_of(session, shipment.id))
    if shipment.manifest_id is not None:
        manifest = await session.get_one(Manifest, (shipment.company_id, shipment.manifest_id), populate_existing=True)
        if manifest.state == "open":  # one that is closed is on paper, with this parcel on it
            shipment.manifest_id = None
    await events.publish(session, ShipmentCancelled(shipment.company_id, shipment.id))


async def units_of(session: AsyncSession, shipment_id: UUID) -> Mapping[UUID, int]:
    """Order line id → units in the parcel."""
    return (await units_of_many(session, [shipment_id]))[shipment_id]


async def units_of_many(session: AsyncSession, shipment_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[UUID, int]]:
    """Shipment id → order line id → units, in one query."""
    query = select(ShipmentLine.shipment_id, ShipmentLine.order_line_id, ShipmentLine.units).where(
        ShipmentLine.shipment_id.in_(list(shipment_ids))
    )
    found: dict[UUID, dict[UUID, int]] = {shipment_id: {} for shipment_id in shipment_ids}
    for shipment_id, line_id, units in await session.execute(query):
        found[shipment_id][line_id] = units
    return found
