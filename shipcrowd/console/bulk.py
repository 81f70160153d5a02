"""A bulk run: how far it is, what became of each order, and its labels in one PDF."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import forms, queries, web
from shipcrowd.documents.papers import Layout
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.shipping import bulk, labels
from shipcrowd.shipping.models import BulkItem, Shipment, State

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)


def outcome(item: BulkItem, shipment: Shipment | None) -> str:
    """waiting, booking, booked, refused or unconfirmed: what became of one order so far. Pure."""
    if item.state == "refused":
        return "refused"
    if shipment is None:
        return "waiting"
    ends = {State.booking: "booking", State.unconfirmed: "unconfirmed", State.refused: "refused"}
    return ends.get(State(shipment.state), "booked")


def _printable(results: Sequence[tuple[BulkItem, Shipment | None]]) -> list[UUID]:
    shipments = [shipment for _, shipment in results if shipment is not None and shipment.awb]
    return [shipment.id for shipment in shipments if shipment.state in queries.PRINTABLE]


async def run_page(request: Request, who: Member, run_id: UUID) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        run = await bulk.got(session, run_id)
        results = await bulk.results(session, run_id)
        numbers = await queries.order_numbers(session, [item.order_id for item, _ in results])
    rows = [(item, shipment, outcome(item, shipment)) for item, shipment in results]
    tally = Counter(result for _, _, result in rows)
    return web.page(
        request,
        "bulk.html",
        title="Bulk run",
        shell=shell,
        run=run,
        rows=rows,
        numbers=numbers,
        tally=tally,
        busy=bool(tally["waiting"] or tally["booking"]),
        ended=run.total - tally["waiting"] - tally["booking"],
        printable=len(_printable(results)),
    )


@router.get("/bulk/{run_id:uuid}")
async def show(request: Request, who: Annotated[Member, May("shipments:read")], run_id: UUID) -> Response:
    return await run_page(request, who, run_id)


@router.post("/bulk/{run_id:uuid}/labels")
@web.shown_again_on(run_page)
async def print_labels(request: Request, who: Annotated[Member, May("shipments:write")], run_id: UUID) -> Response:
    layout = forms.text(await forms.form_of(request), "layout")
    async with acting_for(who.company_id) as session:
        await bulk.got(session, run_id)
        results = await bulk.results(session, run_id)
    found = _printable(results)
    if not found:
        raise Conflict("no parcel of this run has a label yet")
    chosen = Layout.a4_4up if layout == Layout.a4_4up else Layout.thermal_4x6
    return web.pdf(await labels.printed(who.company_id, found, chosen, actor=who.actor), f"labels-{len(found)}")
