"""The buyer's view over HTTP: a parcel by its link, or slowly by AWB. Nobody signs in, nothing personal is told."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from shipcrowd.identity import service as identity
from shipcrowd.kernel import pace, tenancy
from shipcrowd.kernel.crypto import search_hash
from shipcrowd.kernel.errors import NotFound, TooMany
from shipcrowd.shipping import news, queries
from shipcrowd.shipping.schemas import TrackOut, TrackStepOut

router = APIRouter(prefix="/public", tags=["public"])


class TooManyLookups(TooMany):
    """Too many lookups; wait a moment."""


@router.get("/track/{link}")
async def track_by_link(link: str) -> TrackOut:
    """A parcel by its unguessable link."""
    whose = await news.by_link(link) if len(link) <= 64 else None
    if whose is None:
        raise NotFound
    return await track_out(whose.company_id, whose.shipment_id)


@router.get("/track")
async def track_by_awb(
    request: Request, courier: Annotated[str, Query(max_length=40)], awb: Annotated[str, Query(max_length=40)]
) -> TrackOut:
    """A parcel by courier and AWB: one lookup every few seconds, and nothing personal in the answer."""
    address = request.client.host if request.client else "unknown"
    # An address is personal data, so only its hash is kept.
    key = f"track:{search_hash(address, 'track.address').hex()}"
    async with tenancy.unowned() as session:
        wait = await pace.take(session, key, capacity=20, refill_per_second=0.2)
        if wait:  # raised inside the transaction: a refused lookup takes nothing
            raise TooManyLookups(retry_after=int(wait.total_seconds()) + 1)
    whose = (await news.by_awb(courier, [awb])).get(awb)
    if whose is None:
        raise NotFound
    return await track_out(whose.company_id, whose.shipment_id)


async def track_out(company_id: UUID, shipment_id: UUID) -> TrackOut:
    async with tenancy.acting_for(company_id) as session:
        shipment = await queries.got(session, shipment_id)
        seller = await identity.company(session)
        scans = await queries.scans_of(session, shipment_id)
    return TrackOut(
        number=shipment.number,
        carrier=shipment.carrier,
        awb=shipment.awb,
        state=shipment.state,
        city=shipment.city,
        seller=seller.name,
        moved_at=shipment.moved_at,
        last_checked_at=shipment.last_checked_at,
        next_check_at=shipment.next_check_at,
        scans=[
            TrackStepOut(at=scan.at, progress=scan.progress, location=scan.location) for scan in scans if scan.progress
        ],
    )
