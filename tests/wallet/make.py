"""A wallet's verbs, each in a transaction of its own."""

from collections.abc import Sequence
from uuid import UUID

from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.wallet import service


def reference() -> str:
    return f"shipment:{new_id()}"


async def fund(company: UUID, paise: int, *, key: str = "") -> None:
    async with acting_for(company) as session:
        await service.fund(
            session, amount=Money(paise), reference="manual:demo", key=key or str(new_id()), actor="system"
        )


async def hold(company: UUID, ref: str, paise: int) -> None:
    async with acting_for(company) as session:
        await service.hold(session, reference=ref, amount=Money(paise))


async def settle(company: UUID, ref: str, *parts: tuple[str, int]) -> None:
    async with acting_for(company) as session:
        await service.settle(session, reference=ref, parts=[(code, Money(paise)) for code, paise in parts])


async def release(company: UUID, ref: str) -> None:
    async with acting_for(company) as session:
        await service.release(session, reference=ref)


async def refund(company: UUID, ref: str) -> None:
    async with acting_for(company) as session:
        await service.refund(session, reference=ref)


async def balance(company: UUID) -> tuple[int, int]:
    """Available and held, in paise."""
    async with acting_for(company) as session:
        now = await service.balance(session)
    return now.available.paise, now.held.paise


async def held_for(company: UUID) -> dict[str, int]:
    async with acting_for(company) as session:
        return {ref: money.paise for ref, money in (await service.held_for(session)).items()}


PARTS: Sequence[tuple[str, int]] = (("freight", 159_00), ("cod", 40_00), ("gst", 35_82))
"""₹234.82: three slabs and a COD fee, with tax."""
