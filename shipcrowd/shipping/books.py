"""Does the money held belong to exactly the open bookings? Checked by the demo, the tests and on a schedule."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel.money import Money
from shipcrowd.shipping.models import HOLDS_MONEY, Shipment
from shipcrowd.shipping.settling import reference
from shipcrowd.wallet import service as wallet


@dataclass(frozen=True)
class Mismatch:
    """Money held for a reference, beside what its open booking costs."""

    reference: str
    held: Money
    open: Money


async def held_but_not_open(session: AsyncSession) -> list[Mismatch]:
    """The acting company's holds that differ from its open bookings; empty when the books are right."""
    held = await wallet.held_for(session)
    rows = await session.execute(select(Shipment).where(Shipment.state.in_(HOLDS_MONEY)))
    due = {reference(row): row.charge_paise for row in rows.scalars() if row.charge_paise}
    return [
        Mismatch(name, held.get(name, Money.zero), due.get(name, Money.zero))
        for name in sorted({*held, *due})
        if held.get(name, Money.zero) != due.get(name, Money.zero)
    ]
