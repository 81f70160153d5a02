"""Places for tests."""

from typing import Any
from uuid import UUID

from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.locations import service
from shipcrowd.locations.schemas import NewPlace, PlaceChange, PlaceDetails

WAREHOUSE: dict[str, Any] = {
    "name": "Peenya warehouse",
    "kind": "both",
    "contact": "Ravi Menon",
    "phone": "+91 90000-00001",
    "email": "dispatch@kaveri.example",
    "line1": "14, 3rd Cross, Peenya Industrial Area",
    "line2": "Near the water tank",
    "city": "Bengaluru",
    "pincode": "560058",
    "gstin": "29AAPFU0939F1ZR",
}


def new_place(**changes: Any) -> NewPlace:
    return NewPlace(**WAREHOUSE | changes)


async def create(company: UUID, **changes: Any) -> PlaceDetails:
    async with acting_for(company) as session:
        return await service.create(session, place=new_place(**changes), actor="system")


async def change(company: UUID, place_id: UUID, **changes: Any) -> PlaceDetails:
    async with acting_for(company) as session:
        return await service.change(session, place_id, changes=PlaceChange(**changes), actor="system")


async def get(company: UUID, place_id: UUID, account_id: UUID | None = None) -> PlaceDetails:
    async with acting_for(company) as session:
        return await service.get(session, place_id, account_id=account_id)
