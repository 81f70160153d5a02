"""Factories: a thing with sensible values, and what a test says of it changed."""

from datetime import UTC, datetime
from itertools import count
from uuid import UUID

from sqlalchemy import select

from shipcrowd.identity.models import Company
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.locations import service as locations
from shipcrowd.locations.schemas import NewPlace
from shipcrowd.orders.models import Order
from shipcrowd.orders.schemas import IncomingLine, IncomingOrder, Payment
from shipcrowd.orders.service import import_orders
from shipcrowd.pincodes.address import Address
from shipcrowd.wallet import service as wallet

_numbers = count(1001)
PLACED = datetime(2026, 11, 22, 4, 44, tzinfo=UTC)


def address(**changes: object) -> Address:
    given = {
        "name": "Asha Rao",
        "phone": "+91 90000 00001",
        "email": "asha@example.in",
        "line1": "12, 4th Cross",
        "line2": "Indiranagar",
        "city": "Bengaluru",
        "state": "Karnataka",
        "pincode": "560038",
    }
    return Address.model_validate(given | changes)


def line(**changes: object) -> IncomingLine:
    given = {
        "external_id": "1",
        "sku": "BOT-1L-BLU",
        "name": "Steel bottle",
        "quantity": 1,
        "unit_price": Money.rupees("499"),
        "weight_grams": 420,
    }
    return IncomingLine.model_validate(given | changes)


def incoming(*, cod: bool = False, **changes: object) -> IncomingOrder:
    """An order as a channel gives it: one bottle to Bengaluru."""
    number = next(_numbers)
    total = changes.get("total", Money.rupees("499"))
    given = {
        "external_id": str(5_000_000_000 + number),
        "number": f"#{number}",
        "placed_at": PLACED,
        "source_updated_at": PLACED,
        "payment": Payment.cod if cod else Payment.prepaid,
        "subtotal": total,
        "total": total,
        "to_collect": total if cod else Money.zero,
        "ship_to": address(),
        "lines": (line(),),
    }
    return IncomingOrder.model_validate(given | changes)


async def company(name: str = "Asha Traders", *, wallet_rupees: str = "5000", with_place: bool = True) -> UUID:
    """A company with money in its wallet and a pickup address in Delhi."""
    company_id = new_id()
    async with tenancy.acting_for(company_id) as session:
        session.add(Company(company_id=company_id, id=company_id, name=name, settings={}))
        await session.flush()
        if with_place:
            await locations.create(session, place=place(), actor="test")
        if wallet_rupees != "0":
            await wallet.fund(
                session, amount=Money.rupees(wallet_rupees), reference="test:funding", key="funding", actor="test"
            )
    return company_id


def place(**changes: object) -> NewPlace:
    given = {
        "name": "Main warehouse",
        "contact": "Ravi",
        "phone": "9811111111",
        "line1": "Plot 4, Okhla Phase 2",
        "city": "New Delhi",
        "state": "Delhi",
        "pincode": "110020",
    }
    return NewPlace.model_validate(given | changes)


async def orders(company_id: UUID, *orders: IncomingOrder, connection_id: UUID | None = None) -> list[UUID]:
    """Import orders as a store's; their ids in the order given."""
    async with tenancy.acting_for(company_id) as session:
        done = await import_orders(
            session, connection_id=connection_id or company_id, source="shopify", incoming=orders
        )
        rows = dict((await session.execute(select(Order.external_id, Order.id))).all())
    assert len(done.inserted) + len(done.updated) + done.unchanged == len(orders)
    return [rows[order.external_id] for order in orders]
