"""Shipments: the list, one whole, its label and its end; and the desk of bookings whose outcome nobody knows."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import forms, queries, web
from shipcrowd.console.words import PAPER, SCAN
from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import FORMS_NEEDED, FilledForm, Paper, Progress
from shipcrowd.documents.papers import Layout
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel import validation
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.locations import service as locations
from shipcrowd.ratecards.quoting import Quote as Price
from shipcrowd.shipping import booking, cancelling, jobs, labels, manifests, papers, retyping, tracking
from shipcrowd.shipping import queries as shipments
from shipcrowd.shipping.accounts import NO_ACCOUNT
from shipcrowd.shipping.models import CANCELLABLE, ENDED, Shipment, State
from shipcrowd.shipping.queries import ShipmentFilter
from shipcrowd.shipping.schemas import FilledFormIn

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

Reads = Annotated[Member, May("shipments:read")]
Writes = Annotated[Member, May("shipments:write")]

ROWS = 50

GROUPS: Mapping[str, tuple[str, tuple[State, ...]]] = {
    "pickup": ("To be picked up", (State.booking, State.pickup_pending, State.pickup_failed)),
    "moving": ("On the way", (State.picked_up, State.in_transit, State.out_for_delivery)),
    "look": (
        "Needs a look",
        (State.unconfirmed, State.pickup_failed, State.delivery_failed, State.lost, State.damaged),
    ),
    "delivered": ("Delivered", (State.delivered,)),
    "rto": ("RTO", (State.rto_initiated, State.rto_in_transit, State.rto_out_for_delivery, State.rto_delivered)),
    "ended": ("Cancelled or not booked", (State.cancelling, State.cancelled, State.refused)),
}
TYPED = ("courier", "payment", "created_from", "created_to", "text")
NOT_BY_HAND = (Progress.cancelling, Progress.cancelled, Progress.pickup_pending)
BY_HAND = tuple(progress for progress in Progress if progress not in NOT_BY_HAND)


def _filter(request: Request) -> tuple[ShipmentFilter, dict[str, Any], web.Problem | None]:
    asked = web.asked(request)
    query: dict[str, Any] = {name: asked[name].strip() for name in TYPED if asked.get(name, "").strip()}
    group = asked.get("group", "")
    states = GROUPS[group][1] if group in GROUPS else ()
    if states:
        query["group"] = group
    try:
        values = {name: value for name, value in query.items() if name != "group"}
        return ShipmentFilter.model_validate(values | {"state": list(states)}), query, None
    except ValidationError as error:
        wrong = {str(each["loc"][0]): validation.words(each) for each in error.errors()}
        detail = f"Look at: {', '.join(forms.name(name) for name in wrong)}. All shipments are shown."
        return ShipmentFilter(), query, web.Problem(422, "This filter could not be read.", detail, wrong)


async def shipments_page(request: Request, who: Member) -> Response:
    wanted, query, unreadable = _filter(request)
    after = web.asked(request).get("after") or None
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        counts = await queries.shipment_counts(session)
        rows, following = await shipments.page_of(session, wanted, after=after, limit=ROWS)
    if unreadable is not None and getattr(request.state, "problem", None) is None:
        request.state.problem = unreadable
    return web.page(
        request,
        "shipments.html",
        title="Shipments",
        shell=shell,
        shipments=rows,
        receivers={row.id: booking.receiver(row).name for row in rows},
        groups={
            name: (label, sum(counts.get(state, 0) for state in states)) for name, (label, states) in GROUPS.items()
        },
        counted=queries.COUNTED,
        group=query.get("group", ""),
        query=query,
        narrowed=bool(query.keys() - {"group"}),
        more=len(query.keys() - {"group", "text"}),
        after=after,
        following=following,
        courier_names=[(vendor.slug, vendor.name) for vendor in vendors.vendors()],
        ended=ENDED,
        back=web.with_query("/shipments", query, after=after),
    )


@router.get("/shipments")
async def show_all(request: Request, who: Reads) -> Response:
    return await shipments_page(request, who)


@router.post("/shipments/labels")
@web.shown_again_on(shipments_page)
async def print_labels(request: Request, who: Writes) -> Response:
    form = await forms.form_of(request)
    chosen = forms.idents(form, "shipment_id", most=labels.AT_ONCE)
    layout = Layout.a4_4up if forms.text(form, "layout") == Layout.a4_4up else Layout.thermal_4x6
    return web.pdf(await labels.printed(who.company_id, chosen, layout, actor=who.actor), f"labels-{len(chosen)}")


@router.post("/shipments/packing-slips")
@web.shown_again_on(shipments_page)
async def print_slips(request: Request, who: Reads) -> Response:
    chosen = forms.idents(await forms.form_of(request), "shipment_id", most=labels.AT_ONCE)
    return web.pdf(await labels.packing_slips(who.company_id, chosen), f"packing-slips-{len(chosen)}")


@router.post("/shipments/manifest")
@web.shown_again_on(shipments_page)
async def manifest(request: Request, who: Writes) -> Response:
    chosen = forms.idents(await forms.form_of(request), "shipment_id", most=manifests.MOST)
    async with acting_for(who.company_id) as session:
        made = await manifests.create(session, chosen)
    return web.after(f"/manifests/{made.id}", f"{made.number} is open with {made.parcels} parcels.")


# --- the desk of unconfirmed bookings -------------------------------------------------------------------------------


async def desk_page(request: Request, who: Member, **_: Any) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        rows = await queries.unconfirmed(session)
    return web.page(request, "unconfirmed.html", title="Unconfirmed bookings", shell=shell, shipments=rows)


@router.get("/shipments/unconfirmed")
async def show_desk(request: Request, who: Reads) -> Response:
    return await desk_page(request, who)


@router.post("/shipments/{shipment_id:uuid}/settle")
@web.shown_again_on(desk_page)
async def settle(request: Request, who: Writes, shipment_id: UUID) -> Response:
    awb = _awb(await forms.form_of(request))
    async with acting_for(who.company_id) as session:
        shipment = await booking.settle_with_awb(session, shipment_id, awb=awb, actor=who.actor)
    return web.after("/shipments/unconfirmed", f"{shipment.number} is booked as {awb}.")


def _awb(form: FormData) -> str:
    awb = forms.text(form, "awb").upper()
    if not (5 <= len(awb) <= 40 and awb.replace("-", "").isalnum() and awb.isascii()):
        raise forms.wrong({"awb": "an AWB has 5 to 40 letters and digits, as the courier's own page shows it"})
    return awb


@router.post("/shipments/{shipment_id:uuid}/void")
@web.shown_again_on(desk_page)
async def void(request: Request, who: Writes, shipment_id: UUID) -> Response:
    if forms.text(await forms.form_of(request), "sure") != "yes":
        raise Invalid("look at the courier's page first, then tick that there is no parcel", field="sure")
    async with acting_for(who.company_id) as session:
        shipment = await booking.void(session, shipment_id, actor=who.actor)
    return web.after("/shipments/unconfirmed", f"{shipment.number} is void; its money is back in the wallet.")


# --- one shipment ---------------------------------------------------------------------------------------------------


async def shipment_page(request: Request, who: Member, shipment_id: UUID, **_: Any) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        shipment = await shipments.got(session, shipment_id)
        scans = await shipments.scans_of(session, shipment_id)
        place = await locations.get(session, shipment.place_id)
        correctable = await retyping.correctable(session, shipment)
        on = await manifests.got(session, shipment.manifest_id) if shipment.manifest_id else None
    return web.page(
        request,
        "shipment.html",
        title=f"Shipment {shipment.number}",
        shell=shell,
        shipment=shipment,
        ship_to=booking.receiver(shipment),
        scans=scans,
        place=place,
        manifest=on,
        pod=shipments.pod_of(shipment),
        price=Price.model_validate(shipment.charge) if shipment.charge else None,
        own_account=shipment.account_company_id == who.company_id and shipment.account_id != NO_ACCOUNT,
        tracking_url=shipments.tracking_url(shipment),
        papers=[(kind, PAPER[kind]) for kind in papers.kinds_of(shipment)],
        wants_forms=shipment.reason_code == FORMS_NEEDED and Paper.forms in papers.kinds_of(shipment),
        printable=shipment.awb is not None and shipment.state in queries.PRINTABLE,
        cancellable=shipment.state in CANCELLABLE,
        correctable=correctable,
        tracked=_tracked(shipment),
        by_hand=[(progress, SCAN[progress]) for progress in BY_HAND],
        ended=shipment.state in ENDED,
    )


def _tracked(shipment: Shipment) -> bool:
    known = {vendor.slug: vendor for vendor in vendors.vendors()}
    return shipment.courier not in known or known[shipment.courier].tracked


@router.get("/shipments/{shipment_id:uuid}")
async def show(request: Request, who: Reads, shipment_id: UUID) -> Response:
    return await shipment_page(request, who, shipment_id)


@router.post("/shipments/{shipment_id:uuid}/label")
@web.shown_again_on(shipment_page)
async def print_label(request: Request, who: Writes, shipment_id: UUID) -> Response:
    layout = forms.text(await forms.form_of(request), "layout")
    chosen = Layout.a4_4up if layout == Layout.a4_4up else Layout.thermal_4x6
    return web.pdf(await labels.printed(who.company_id, [shipment_id], chosen, actor=who.actor), "label")


@router.post("/shipments/{shipment_id:uuid}/papers/{kind}")
@web.shown_again_on(shipment_page)
async def print_paper(who: Writes, shipment_id: UUID, kind: Paper) -> Response:
    return web.pdf(await papers.got(who.company_id, shipment_id, kind, actor=who.actor), kind.value)


@router.post("/shipments/{shipment_id:uuid}/forms")
@web.shown_again_on(shipment_page)
async def forms_done(request: Request, who: Writes, shipment_id: UUID) -> Response:
    form = await forms.form_of(request)
    told = forms.read(FilledFormIn, {"name": forms.text(form, "name"), "number": forms.text(form, "number")})
    await papers.forms_done(who.company_id, shipment_id, [FilledForm(told.name, told.number)], actor=who.actor)
    return web.after(f"/shipments/{shipment_id}", "The courier was told; book the order again.")


@router.post("/shipments/{shipment_id:uuid}/cancel")
@web.shown_again_on(shipment_page)
async def cancel(request: Request, who: Writes, shipment_id: UUID) -> Response:
    shipment = await cancelling.ask(who.company_id, shipment_id, actor=who.actor)
    words = (
        f"{shipment.number} is cancelled."
        if shipment.state == State.cancelled
        else "The courier took the cancellation; tracking will confirm it and the charge comes back then."
    )
    return web.after(f"/shipments/{shipment_id}", words)


@router.post("/shipments/{shipment_id:uuid}/awb")
@web.shown_again_on(shipment_page)
async def correct_awb(request: Request, who: Writes, shipment_id: UUID) -> Response:
    awb = _awb(await forms.form_of(request))
    async with acting_for(who.company_id) as session:
        shipment = await retyping.correct(session, shipment_id, awb=awb, actor=who.actor)
    return web.after(f"/shipments/{shipment_id}", f"{shipment.number} has the AWB {awb} now. Print its label again.")


@router.post("/shipments/{shipment_id:uuid}/awb/withdraw")
@web.shown_again_on(shipment_page)
async def withdraw_awb(request: Request, who: Writes, shipment_id: UUID) -> Response:
    if forms.text(await forms.form_of(request), "sure") != "yes":
        raise Invalid("look at the courier's page first, then tick that there is no parcel", field="sure")
    async with acting_for(who.company_id) as session:
        shipment = await retyping.withdraw(session, shipment_id, actor=who.actor)
    return web.after(f"/shipments/{shipment_id}", f"{shipment.number} is cancelled; what it cost is given back.")


@router.post("/shipments/{shipment_id:uuid}/check")
@web.shown_again_on(shipment_page)
async def check_now(who: Writes, shipment_id: UUID) -> Response:
    async with acting_for(who.company_id) as session:
        await jobs.track_one(session, await shipments.got(session, shipment_id))
    return web.after(f"/shipments/{shipment_id}", "The courier is being asked; the answer shows here in a moment.")


@router.post("/shipments/{shipment_id:uuid}/progress")
@web.shown_again_on(shipment_page)
async def progress(request: Request, who: Writes, shipment_id: UUID) -> Response:
    form = await forms.form_of(request)
    try:
        moved = Progress(forms.text(form, "progress"))
    except ValueError as error:
        raise forms.wrong({"progress": "choose one of the list"}) from error
    async with acting_for(who.company_id) as session:
        shipment = await shipments.got(session, shipment_id)
        scan = tracking.typed_progress(shipment, moved, forms.text(form, "remark")[:300])
        await tracking.take_scans(session, shipment_id, [scan], via="person")
    return web.after(f"/shipments/{shipment_id}", "Recorded.")
