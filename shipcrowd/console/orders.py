"""The list of orders, what is done to many at once, and an order typed by hand."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Kind
from shipcrowd.console import forms, queries, web
from shipcrowd.documents.papers import Layout
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel import validation
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders import pii, service
from shipcrowd.orders import queries as orders
from shipcrowd.orders.models import OrderState
from shipcrowd.orders.queries import OrderFilter
from shipcrowd.orders.schemas import ManualOrder
from shipcrowd.pincodes import service as pincodes
from shipcrowd.pincodes.states import BY_CODE
from shipcrowd.shipping import bulk, jobs, labels

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

Reads = Annotated[Member, May("orders:read")]
Writes = Annotated[Member, May("orders:write")]
Ships = Annotated[Member, May("shipments:write")]

ROWS = 50
TABS: tuple[tuple[str, str], ...] = (
    ("", "All"),
    (OrderState.ready, "To ship"),
    (OrderState.pending, "Waiting"),
    (OrderState.booked, "Booked"),
    (OrderState.shipped, "On the way"),
    (OrderState.delivered, "Delivered"),
    (OrderState.rto, "RTO"),
    (OrderState.cancelled, "Cancelled"),
    (OrderState.ignored, "Nothing to ship"),
)
TYPED = ("source", "connection_id", "payment", "placed_from", "placed_to", "pincode", "sku", "tag", "text", "problem")
FIRST_LINES, MOST_LINES = 2, 50


def _filter(request: Request) -> tuple[OrderFilter, dict[str, Any], web.Problem | None]:
    """The filter asked for, and its values as typed; a filter nobody can read is none, with the reason."""
    asked = web.asked(request)
    query: dict[str, Any] = {name: asked[name].strip() for name in TYPED if asked.get(name, "").strip()}
    if states := [state for state in asked.getlist("state") if state]:
        query["state"] = states
    try:
        return OrderFilter.model_validate(query), query, None
    except ValidationError as error:
        wrong = {str(each["loc"][0]): validation.words(each) for each in error.errors()}
        detail = f"Look at: {', '.join(forms.name(name) for name in wrong)}. All orders are shown."
        return OrderFilter(), query, web.Problem(422, "This filter could not be read.", detail, wrong)


async def orders_page(request: Request, who: Member) -> Response:
    wanted, query, unreadable = _filter(request)
    after = web.asked(request).get("after") or None
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        counts = await queries.order_counts(session)
        stores = await connections.list_connections(session, kind=Kind.channel, closed=True)
        rows, following = await orders.page_of(session, wanted, after=after, limit=ROWS)
        fastest = await queries.days_known(session)
        refused = await queries.not_booked(session, [row.id for row in rows if row.state == OrderState.ready])
    if unreadable is not None and getattr(request.state, "problem", None) is None:
        request.state.problem = unreadable
    return web.page(
        request,
        "orders.html",
        title="Orders",
        shell=shell,
        orders=[(order, pii.buyer_of(order).ship_to) for order in rows],
        refused=refused,
        fastest=fastest,
        stores={store.id: store for store in stores},
        store_names=[(store.id, store.name) for store in stores],
        counts=counts,
        counted=queries.COUNTED,
        tabs=TABS,
        states=[str(state) for state in wanted.state],
        query=query,
        narrowed=bool(query.keys() - {"state"}),
        more=len(query.keys() - {"state", "text"}),
        after=after,
        following=following,
        back=web.with_query("/orders", query, after=after),
    )


@router.get("/orders")
async def show(request: Request, who: Reads) -> Response:
    return await orders_page(request, who)


# --- many at once ---------------------------------------------------------------------------------------------------


@router.post("/orders/ship")
@web.shown_again_on(orders_page)
async def ship_many(request: Request, who: Ships) -> Response:
    form = await forms.form_of(request)
    chosen = forms.idents(form, "order_id", most=bulk.MOST)
    choose: bulk.Choose = "fastest" if forms.text(form, "choose") == "fastest" else "cheapest"
    async with acting_for(who.company_id) as session:
        run = await bulk.start(session, chosen, choose=choose, place_id=None, actor=who.actor)
        await jobs.enqueue_run(session, run.id, chosen)
    return web.after(f"/bulk/{run.id}")


@router.post("/orders/hold")
@web.shown_again_on(orders_page)
async def hold_many(request: Request, who: Writes) -> Response:
    form = await forms.form_of(request)
    chosen = forms.idents(form, "order_id", most=bulk.MOST)
    reason = forms.text(form, "reason")[:300] or "by hand"
    async with acting_for(who.company_id) as session:
        # In one order, for each is locked until the end.
        for order_id in sorted(chosen):
            await service.hold(session, order_id, reason=reason, actor=who.actor)
    words = f"{len(chosen)} order{'' if len(chosen) == 1 else 's'} held. Nothing books them until you release them."
    return web.after(web.local(forms.text(form, "back")), words)


@router.post("/orders/labels")
@web.shown_again_on(orders_page)
async def print_many(request: Request, who: Ships) -> Response:
    form = await forms.form_of(request)
    chosen = forms.idents(form, "order_id", most=labels.AT_ONCE)
    async with acting_for(who.company_id) as session:
        shipment_ids = await queries.printable(session, chosen)
    if not shipment_ids:
        raise Invalid("book them first: none of these orders has a parcel with an AWB", field="order_id")
    layout = Layout.a4_4up if forms.text(form, "layout") == Layout.a4_4up else Layout.thermal_4x6
    return web.pdf(
        await labels.printed(who.company_id, shipment_ids, layout, actor=who.actor), f"labels-{len(shipment_ids)}"
    )


# --- by hand --------------------------------------------------------------------------------------------------------


async def new_page(request: Request, who: Member) -> Response:
    form = getattr(request.state, "form", None)
    lines = min(max(len(forms.texts(form, "line_name")) if form else 0, FIRST_LINES), MOST_LINES)
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
    return web.page(
        request,
        "order_new.html",
        title="New order",
        shell=shell,
        lines=_typed_lines(form, lines),
        states=sorted(state.name for state in BY_CODE.values()),
        refill=bool(form),
    )


@router.get("/orders/new")
async def show_new(request: Request, who: Writes) -> Response:
    return await new_page(request, who)


@router.post("/orders/new")
@web.shown_again_on(new_page)
async def create(request: Request, who: Writes) -> Response:
    form = await forms.form_of(request)
    if forms.text(form, "do") == "line":
        return await _one_line_more(request, who, form)
    values = await _manual_order(who, form)
    new = forms.read(ManualOrder, values)
    async with acting_for(who.company_id) as session:
        order = await service.create(session, new, actor=who.actor)
    return web.after(f"/orders/{order.id}", f"Order {order.number} is here.")


async def _one_line_more(request: Request, who: Member, form: FormData) -> Response:
    names = forms.texts(form, "line_name")
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
    return web.page(
        request,
        "order_new.html",
        title="New order",
        shell=shell,
        lines=_typed_lines(form, min(len(names) + 1, MOST_LINES)),
        states=sorted(state.name for state in BY_CODE.values()),
        refill=True,
    )


LINE = ("line_name", "line_sku", "line_units", "line_price", "line_weight")


def _typed_lines(form: FormData | None, count: int) -> list[dict[str, str]]:
    columns = {name: forms.texts(form, name) if form else [] for name in LINE}
    return [
        {name.removeprefix("line_"): column[i] if i < len(column) else "" for name, column in columns.items()}
        for i in range(count)
    ]


async def _manual_order(who: Member, form: FormData) -> dict[str, Any]:
    to_collect = forms.rupees(form, "to_collect_paise")
    values: dict[str, Any] = {
        "payment": forms.text(form, "payment"),
        "ship_to": await address_of(who, form),
        "lines": _lines(form),
        "shipping_paise": _paise(form, "shipping_paise"),
        "discount_paise": _paise(form, "discount_paise"),
        **{name: value for name, value in forms.package(form).items() if value is not None},
        **forms.filled(form, "number", "note"),
    }
    if to_collect is not None and values["payment"] == "cod":
        values["to_collect_paise"] = to_collect.paise
    return values


def _paise(form: FormData, field: str) -> int:
    amount = forms.rupees(form, field)
    return amount.paise if amount else 0


def _lines(form: FormData) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for number, line in enumerate(_typed_lines(form, len(forms.texts(form, "line_name"))), 1):
        if not any(line[name] for name in ("name", "sku", "price", "weight")):
            continue
        row = FormData([(f"line_{number}_{name}", typed) for name, typed in line.items()])
        price = forms.rupees(row, f"line_{number}_price")
        if not line["name"] or price is None:
            raise forms.wrong({"lines": f"line {number} needs a name and a price"})
        if not line["units"].isdecimal():
            raise forms.wrong({"lines": f"line {number}: type how many units"})
        found.append(
            {
                "name": line["name"],
                "sku": line["sku"] or None,
                "units": int(line["units"]),
                "unit_price_paise": price.paise,
                "weight_grams": forms.decimal(row, f"line_{number}_weight", times=1000),
            }
        )
    if not found:
        raise forms.wrong({"lines": "an order has at least one line with a name and a price"})
    return found


ADDRESS = ("name", "phone", "email", "line1", "line2", "city", "state", "pincode")


async def address_of(who: Member, form: FormData) -> dict[str, str]:
    """The address as typed; city and state left blank are the pincode's. Raises NotFilledIn."""
    typed = {field: forms.text(form, field)[:200] for field in ADDRESS}
    if not (typed["city"] and typed["state"]):
        async with acting_for(who.company_id) as session:
            place = await pincodes.place(session, typed["pincode"])
        if place is not None:
            typed["city"] = typed["city"] or place.city
            typed["state"] = typed["state"] or BY_CODE[place.state].name
    return {field: value for field, value in typed.items() if value}
