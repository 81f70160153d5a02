"""Manifests: the lists a pickup is signed against."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import forms, queries, web
from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import HandOver
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.locations import service as locations
from shipcrowd.shipping import collecting, manifests

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

Reads = Annotated[Member, May("shipments:read")]
Writes = Annotated[Member, May("shipments:write")]

ROWS = 50


@router.get("/manifests")
async def show_all(request: Request, who: Reads) -> Response:
    after = request.query_params.get("after") or None
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        rows, following = await manifests.page_of(session, after=after, limit=ROWS)
    return web.page(
        request, "manifests.html", title="Manifests", shell=shell, manifests=rows, after=after, following=following
    )


async def manifest_page(
    request: Request, who: Member, manifest_id: UUID, waiting: Sequence[HandOver] | None = None
) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        manifest = await manifests.got(session, manifest_id)
        rows = await manifests.shipments_of(session, manifest_id)
        place = await locations.get(session, manifest.place_id)
    return web.page(
        request,
        "manifest.html",
        title=f"Manifest {manifest.number}",
        shell=shell,
        manifest=manifest,
        shipments=rows,
        place=place,
        keeps_list=vendors.vendor(manifest.courier).keeps_list,
        waiting=waiting,
    )


@router.get("/manifests/{manifest_id:uuid}")
async def show(request: Request, who: Reads, manifest_id: UUID) -> Response:
    return await manifest_page(request, who, manifest_id)


@router.get("/manifests/{manifest_id:uuid}/waiting")
async def waiting(request: Request, who: Reads, manifest_id: UUID) -> Response:
    found = await collecting.hand_overs(who.company_id, manifest_id)
    return await manifest_page(request, who, manifest_id, waiting=found)


@router.get("/manifests/{manifest_id:uuid}/courier-pdf")
async def couriers_paper(who: Reads, manifest_id: UUID) -> Response:
    return web.pdf(await collecting.paper(who.company_id, manifest_id), "courier-manifest")


@router.post("/manifests/{manifest_id:uuid}/remove")
@web.shown_again_on(manifest_page)
async def remove(request: Request, who: Writes, manifest_id: UUID) -> Response:
    chosen = forms.idents(await forms.form_of(request), "shipment_id", most=manifests.MOST)
    async with acting_for(who.company_id) as session:
        await manifests.remove(session, manifest_id, chosen)
    return web.after(f"/manifests/{manifest_id}", "Taken off the manifest.")


@router.post("/manifests/{manifest_id:uuid}/close")
@web.shown_again_on(manifest_page)
async def close(request: Request, who: Writes, manifest_id: UUID) -> Response:
    async with acting_for(who.company_id) as session:
        manifest = await manifests.close(session, manifest_id)
    return web.after(f"/manifests/{manifest_id}", f"{manifest.number} is closed. Print it and hand the parcels over.")


@router.post("/manifests/{manifest_id:uuid}/hand-over")
@web.shown_again_on(manifest_page)
async def hand_over(request: Request, who: Writes, manifest_id: UUID) -> Response:
    to = forms.text(await forms.form_of(request), "to")[:120]
    if not to:
        raise forms.wrong({"to": "write who took the parcels"})
    async with acting_for(who.company_id) as session:
        await manifests.hand_over(session, manifest_id, to=to)
    return web.after(f"/manifests/{manifest_id}", "Handed over. Tracking will say when they move.")


@router.get("/manifests/{manifest_id:uuid}/pdf")
async def paper(who: Reads, manifest_id: UUID) -> Response:
    return web.pdf(await manifests.pdf(who.company_id, manifest_id), "manifest")
