"""Where a parcel starts and where it would come back to, as shipping needs to know it of `locations`."""

import dataclasses
from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.identity import service as identity
from shipcrowd.locations import service as locations
from shipcrowd.locations.schemas import PlaceDetails


async def pickup(session: AsyncSession, place_id: UUID | None) -> PlaceDetails | None:
    """The place named, or the default; None when there is no default. Raises locations.NoSuchPlace."""
    if place_id is None:
        return await locations.default_pickup(session)
    return await locations.get(session, place_id)


async def as_told(session: AsyncSession, place_id: UUID, *, account_id: UUID) -> PlaceDetails:
    """A place as a courier account is told of it, with its id there. Raises locations.NoSuchPlace.

    Couriers want an e-mail to write to about pickups, and sellers leave it out: then it is the company's owner's.
    """
    place = await locations.get(session, place_id, account_id=account_id)
    if place.address.email:
        return place
    address = place.address.model_copy(update={"email": await identity.owners_email(session)})
    return dataclasses.replace(place, address=address)


async def return_id(session: AsyncSession, pickup_place_id: UUID) -> UUID:
    """Where undelivered parcels go: the default return place, or back to where they were picked up."""
    found = await locations.default_return(session)
    return found.id if found else pickup_place_id


async def many(session: AsyncSession, place_ids: Collection[UUID]) -> Mapping[UUID, PlaceDetails]:
    """Places by id. A manifest or a batch of labels has very few different ones."""
    return {place_id: await locations.get(session, place_id) for place_id in place_ids}
