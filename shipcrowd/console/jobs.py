"""Background work of the company that failed for good, and trying it again."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.channels import letters
from shipcrowd.console import forms, queries, web
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel import jobs
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.tenancy import PLATFORM_COMPANY, acting_for, unowned

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

MOST = 100

SAID = {
    "shipping.request_label": "Booking a parcel",
    "shipping.fetch_label": "Fetching a courier's label",
    "shipping.register_place": "Telling couriers of a pickup address",
    "shipping.ship_order": "Shipping an order of a bulk run",
    "shipping.take_scans": "Reading a courier's news",
    "shipping.cancel_with_order": "Cancelling the parcels of a cancelled order",
}


def said(name: str) -> str:
    """What a job does, in words: `channels.announce` → `Channels: announce`. Pure."""
    module, _, verb = name.partition(".")
    return SAID.get(name, f"{module.capitalize()}: {verb.replace('_', ' ')}")


async def jobs_page(request: Request, who: Member) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
    async with unowned() as session:
        held = await jobs.held(session, company_id=who.company_id, limit=MOST)
    aside = await letters.count() if who.company_id == PLATFORM_COMPANY else None
    return web.page(
        request, "jobs.html", title="Failed jobs", shell=shell, held=held, said=said, most=MOST, aside=aside
    )


@router.get("/jobs")
async def show(request: Request, who: Annotated[Member, May("jobs:read")]) -> Response:
    return await jobs_page(request, who)


@router.post("/jobs/again")
@web.shown_again_on(jobs_page)
async def again(request: Request, who: Annotated[Member, May("jobs:write")]) -> Response:
    typed = forms.texts(await forms.form_of(request), "job_id")
    ids = [int(value) for value in typed if value.isdecimal() and len(value) < 19][:MOST]
    if not ids:
        raise Invalid("tick at least one first", field="job_id")
    async with unowned() as session:
        count = await jobs.requeue(session, ids, company_id=who.company_id)
    return web.after("/jobs", f"{count} will be tried again now.")
