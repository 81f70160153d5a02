"""The buyer's page: where the parcel is, and nothing about anyone.

By its unguessable link it carries the seller's name; by AWB, which can be guessed, it says less and is paced. Neither
shows a remark of the courier's, for couriers write names and numbers into them.
"""

from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import queries, web, words
from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import Progress
from shipcrowd.kernel.errors import NotFound
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.shipping import news
from shipcrowd.shipping import queries as shipments
from shipcrowd.shipping.models import ENDED, ScanRow, State
from shipcrowd.shipping.news import Whose

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

HIDDEN = {"x-robots-tag": "noindex, nofollow", "referrer-policy": "no-referrer"}


class NoSuchParcel(NotFound):
    """We know no such parcel."""


def told(scans: list[ScanRow]) -> list[tuple[datetime, str, str]]:
    """When, what and where of the scans we have words for, newest first. Pure."""
    return [(scan.at, words.SCAN[Progress(scan.progress)], scan.location) for scan in scans if scan.progress]


async def lookup_page(request: Request) -> Response:
    return web.page(
        request, "track_form.html", title="Track a parcel", headers=HIDDEN, awb=request.query_params.get("awb", "")
    )


@router.get("/track")
@web.shown_again_on(lookup_page)
async def by_awb(request: Request) -> Response:
    awb = request.query_params.get("awb", "").strip().upper()
    if not awb:
        return await lookup_page(request)
    address = request.client.host if request.client else "unknown"
    found = await news.looked_up(awb[:40], [vendor.slug for vendor in vendors.vendors()], address=address)
    if found is None:
        problem = web.Problem(404, "We know no such parcel.", "Check the number on the message you got.")
        request.state.problem = problem
        return await lookup_page(request)
    return await _parcel(request, found, named=False)


@router.get("/track/{link}")
async def by_link(request: Request, link: str) -> Response:
    found = await news.by_link(link) if len(link) < 100 else None
    if found is None:
        raise NoSuchParcel("The link is incomplete, or the parcel's history was removed.")
    return await _parcel(request, found, named=True)


async def _parcel(request: Request, whose: Whose, *, named: bool) -> Response:
    async with acting_for(whose.company_id) as session:
        seller = (await queries.shell(session)).company if named else ""
        shipment = await shipments.got(session, whose.shipment_id)
        scans = list(await shipments.scans_of(session, whose.shipment_id))
    state = State(shipment.state)
    return web.page(
        request,
        "track.html",
        title=f"Your parcel from {seller}" if seller else "Your parcel",
        headers=HIDDEN,
        seller=seller,
        shipment=shipment,
        words_for_buyer=words.BUYER[state],
        tone=words.SHIPMENT[state][1],
        steps=words.steps_of(state),
        scans=told(scans),
        ended=state in ENDED,
    )
