"""How a company likes to ship: the box it packs most orders in.

A size the seller chose is not a guess of ours: it is used for orders that have none of their own, and every quote
shows it. There is no such choice for weight.
"""

from typing import Annotated

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.identity import service as identity
from shipcrowd.orders.schemas import Input, Millimetres

SECTION = "shipping"


class Box(Input):
    """Outer size in millimetres."""

    length_mm: Millimetres
    breadth_mm: Millimetres
    height_mm: Millimetres


class Preferences(Input):
    box: Box | None = None
    notify_buyer: Annotated[bool, Field(description="Let the store tell the buyer when a parcel is booked")] = True


async def of(session: AsyncSession) -> Preferences:
    """The acting company's preferences."""
    company = await identity.company(session)
    return Preferences.model_validate(company.settings.get(SECTION, {}))


async def put(session: AsyncSession, wanted: Preferences) -> Preferences:
    """Replace the acting company's preferences."""
    await identity.put_settings(session, section=SECTION, values=wanted.model_dump(mode="json"))
    return wanted
