"""Short verbs for stories about parcels."""

from sqlalchemy import select

from shipcrowd.kernel import tenancy
from shipcrowd.ledger import invariants
from shipcrowd.orders import queries as orders
from shipcrowd.shipping import booking, jobs, quoting
from shipcrowd.shipping.models import HOLDS_MONEY, Shipment
from shipcrowd.shipping.quoting import Package
from shipcrowd.shipping.settling import reference
from shipcrowd.wallet import service as wallet

BOX = Package(length_mm=200, breadth_mm=150, height_mm=100)


async def quoted(company, order_id, package=BOX):
    return await quoting.quote(company, order_id, package=package)


async def ship(company, order_id, *, service="slow", units=None):
    """Quote and book; the courier is asked when the queue is drained."""
    quote = await quoted(company, order_id)
    async with tenancy.acting_for(company) as session:
        shipment = await booking.book(session, quote.id, service=service, units=units, actor="user:test")
        await jobs.request_label.enqueue(session, company_id=company, shipment_id=shipment.id)
    return shipment.id


async def shipment(company, shipment_id):
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Shipment).where(Shipment.id == shipment_id))).scalar_one()


async def order(company, order_id):
    async with tenancy.acting_for(company) as session:
        return await orders.whole(session, order_id)


async def money(company):
    async with tenancy.acting_for(company) as session:
        return await wallet.balance(session)


async def books_balance(company):
    """Cached = recomputed, and what is held belongs to exactly the open bookings."""
    async with tenancy.acting_for(company) as session:
        assert await invariants.verify(session) == []
        held = await wallet.held_for(session)
        rows = (await session.execute(select(Shipment).where(Shipment.state.in_(HOLDS_MONEY)))).scalars()
        assert held == {reference(row): row.charge_paise for row in rows if row.charge_paise}
