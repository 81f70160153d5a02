"""The buyer's view over HTTP: a parcel by its link, or slowly by AWB. Nobody signs in, nothing personal is told."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from shipcrowd.couriers import vendors
from shipcrowd.identity import service as identity
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.errors import NotFound
from shipcrowd.shipping import news, queries
from shipcrowd.shipping.schemas import TrackOut, TrackStepOut

router = APIRouter(prefix="/public", tags=["public"])


@router.get("/track/{link}")
async def track_by_link(link: str) -> TrackOut:
    """A parcel by its unguessable link."""
    whose = await news.by_link(link) if len(link) <= 64 else None
    if whose is None:
        raise NotFound
    return await track_out(whose.company_id, whose.shipment_id)


@router.get("/track")
async def track_by_awb(
    request: Request,
    awb: Annotated[str, Query(max_length=40)],
    courier: Annotated[str | None, Query(max_length=40, description="Needed only where two couriers share it")] = None,
) -> TrackOut:
    """A parcel by its AWB: one lookup every few seconds, and nothing personal in the answer. `courier` is one of ours
    by its slug, or the carrier as the buyer knows it."""
    named = (courier or "").strip().casefold()
    known = [vendor.slug for vendor in vendors.vendors()]
    address = request.client.host if request.client else "unknown"
    whose = await news.looked_up(awb, known, address=address, named=named)
    if whose is None:
        raise NotFound
    found = await track_out(whose.company_id, whose.shipment_id)
    # A carrier may bear the name of a courier of ours that did not book this parcel.
    if named and named not in (whose.courier, found.carrier.casefold()):
        raise NotFound
    return found


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
