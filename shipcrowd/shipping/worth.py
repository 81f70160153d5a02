"""What one parcel of an order collects and is worth: the order's own amounts, shared by what is in it."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers.contract import Flow, Payment
from shipcrowd.kernel.money import Money
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order, OrderLine, OrderState
from shipcrowd.shipping.models import CAME_TO_NOTHING, Shipment


def _value(taken: Sequence[tuple[OrderLine, int]]) -> int:
    return sum(line.unit_price_paise.paise * units for line, units in taken)


async def share_to_collect(session: AsyncSession, order: Order, taken: Sequence[tuple[OrderLine, int]]) -> Money:
    """What this parcel's courier asks the buyer for: a share by value, and with the last units whatever is left.

    Together an order's parcels collect what the order owes, to the paisa.
    """
    if order.payment != Payment.cod:
        return Money.zero
    others = select(Shipment.to_collect_paise).where(
        Shipment.order_id == order.id, Shipment.flow == Flow.forward, Shipment.state.not_in(CAME_TO_NOTHING)
    )
    # The channel may have lowered what is owed under what an earlier parcel collects already.
    left = max(order.to_collect_paise - Money.total((await session.execute(others)).scalars()), Money.zero)
    whole = _value([(line, line.units) for line in await orders.lines_of(session, order.id)])
    part = _value(taken)
    if order.state == OrderState.booked or whole <= 0:
        return left
    return min(order.to_collect_paise.split([part, whole - part])[0], left)


def declared(order: Order, taken: Sequence[tuple[OrderLine, int]]) -> Money:
    """What the parcel is said to be worth: all of the order, or its own lines."""
    if sum(units for _, units in taken) >= order.units:
        return order.total_paise
    return Money(min(_value(taken), order.total_paise.paise)) or order.total_paise
