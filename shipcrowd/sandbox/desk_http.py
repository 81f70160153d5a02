"""The desk over HTTP: a JSON API for other processes, and a page for people.

Both act on real state of a developer's sandbox, so they answer only on loopback host names (a foreign page cannot
rebind its name to this address) and the page takes forms only from itself.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from shipcrowd.kernel import clock
from shipcrowd.sandbox.amazon import desk_http as amazon_http
from shipcrowd.sandbox.amazon import page as amazon_page
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.letters import on_this_machine
from shipcrowd.sandbox.refusals import NotPossible, Unknown
from shipcrowd.sandbox.schemas import (
    Access,
    FaultView,
    Knobs,
    LetterView,
    Mode,
    NewEdit,
    NewFault,
    NewOrder,
    NewScan,
    NewShop,
    OrderView,
    ParcelView,
    Payment,
    ShopView,
    StatsView,
    StockView,
    WebhookTarget,
)

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html"]))


def _when(at: datetime) -> str:
    return clock.ist(at).strftime("%d %b, %H:%M:%S")


PAGES.filters["ist"] = _when


class Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Why(Sent):
    reason: str = ""
    note: str = ""
    awb: str = ""
    company: str = "Other"
    topic: str = "orders/updated"


class ShopChange(Sent):
    mode: Mode | None = None
    access: Access | None = None


class PrivacyAsk(Sent):
    topic: str
    order: str | None = None


class Url(Sent):
    url: str | None = None


class Scopes(Sent):
    scopes: list[str]


class CustomToken(Sent):
    token: str
    secret: str


class Back(Sent):
    all_the_way: bool = False


class Weight(Sent):
    grams: int
    where: str = "Hub"


class Utr(Sent):
    utr: str


class Count(Sent):
    count: int


def api(desk: Desk) -> FastAPI:
    """The control API. 404 for what the desk does not know, 409 for what the present state does not allow."""
    app = FastAPI(title="Sandbox desk", docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def here_only(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request) if _is_local(request) else _not_local()

    @app.exception_handler(Unknown)
    async def unknown(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error.args[0] if error.args else error)}, 404)

    @app.exception_handler(NotPossible)
    async def not_possible(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 409)

    _shops(app, desk)
    _orders(app, desk)
    _parcels(app, desk)
    _settings(app, desk)
    app.include_router(amazon_http.router(desk.amazon))
    return app


def _shops(app: FastAPI, desk: Desk) -> None:
    @app.post("/shops", status_code=201)
    async def create(new: NewShop) -> ShopView:
        return desk.create_shop(new.domain, new)

    @app.get("/shops")
    async def shops() -> list[ShopView]:
        return desk.shops()

    @app.patch("/shops/{domain}")
    async def change(domain: str, change: ShopChange) -> ShopView:
        return desk.set_shop(domain, mode=change.mode, access=change.access)

    @app.post("/approve")
    async def approve(asked: Url) -> Url:
        return Url(url=desk.approve(asked.url or ""))

    @app.post("/shops/{domain}/custom-token")
    async def custom_token(domain: str, asked: Scopes) -> CustomToken:
        token, secret = desk.custom_token(domain, asked.scopes)
        return CustomToken(token=token, secret=secret)

    @app.post("/shops/{domain}/uninstall", status_code=204)
    async def uninstall(domain: str) -> None:
        desk.uninstall(domain)

    @app.post("/shops/{domain}/drain-bucket", status_code=204)
    async def drain_bucket(domain: str) -> None:
        desk.drain_bucket(domain)

    @app.post("/shops/{domain}/privacy", status_code=204)
    async def privacy(domain: str, asked: PrivacyAsk) -> None:
        desk.privacy(domain, asked.topic, asked.order)

    @app.get("/shops/{domain}/stock")
    async def stock(domain: str) -> list[StockView]:
        return desk.stock(domain)


def _orders(app: FastAPI, desk: Desk) -> None:
    at = "/shops/{domain}/orders"

    @app.post(at, status_code=201)
    async def place(domain: str, new: NewOrder) -> OrderView:
        return desk.place_order(domain, new)

    @app.get(at)
    async def orders(domain: str) -> list[OrderView]:
        return desk.orders(domain)

    @app.get(at + "/{name}")
    async def order(domain: str, name: str) -> OrderView:
        return desk.order(domain, name)

    @app.patch(at + "/{name}")
    async def edit(domain: str, name: str, change: NewEdit) -> OrderView:
        return desk.edit_order(domain, name, change)

    @app.delete(at + "/{name}", status_code=204)
    async def delete(domain: str, name: str) -> None:
        desk.delete_order(domain, name)

    @app.post(at + "/{name}/cancel")
    async def cancel(domain: str, name: str, why: Why) -> OrderView:
        return desk.cancel_order(domain, name, why.reason or "CUSTOMER")

    @app.post(at + "/{name}/hold")
    async def hold(domain: str, name: str, why: Why) -> OrderView:
        return desk.hold_order(domain, name, why.reason or "OTHER", why.note)

    @app.post(at + "/{name}/release")
    async def release(domain: str, name: str) -> OrderView:
        return desk.release_order(domain, name)

    @app.post(at + "/{name}/fulfil-elsewhere")
    async def fulfil_elsewhere(domain: str, name: str, why: Why) -> OrderView:
        return desk.fulfil_elsewhere(domain, name, why.awb, why.company)

    @app.post(at + "/{name}/resend-webhook")
    async def resend(domain: str, name: str, why: Why) -> Count:
        return Count(count=desk.resend_webhook(domain, name, why.topic))


def _parcels(app: FastAPI, desk: Desk) -> None:
    @app.get("/parcels")
    async def parcels(order_id: Annotated[str | None, Query()] = None) -> list[ParcelView]:
        return desk.parcels(order_id)

    @app.get("/parcels/{awb}")
    async def parcel(awb: str) -> ParcelView:
        return desk.parcel(awb)

    @app.post("/parcels/{awb}/scan")
    async def scan(awb: str, new: NewScan) -> ParcelView:
        return desk.scan(awb, new)

    @app.post("/parcels/{awb}/advance")
    async def advance(awb: str) -> ParcelView:
        return desk.advance(awb)

    @app.post("/advance-all")
    async def advance_all() -> Count:
        return Count(count=desk.advance_all())

    @app.post("/parcels/{awb}/deliver")
    async def deliver(awb: str) -> ParcelView:
        return desk.deliver(awb)

    @app.post("/parcels/{awb}/fail")
    async def fail(awb: str, why: Why) -> ParcelView:
        return desk.fail_delivery(awb, why.reason or "CUSTOMER NOT AVAILABLE")

    @app.post("/parcels/{awb}/rto")
    async def rto(awb: str, how: Back) -> ParcelView:
        return desk.rto(awb, all_the_way=how.all_the_way)

    @app.post("/parcels/{awb}/weigh")
    async def weigh(awb: str, weight: Weight) -> ParcelView:
        return desk.weigh(awb, weight.grams, weight.where)

    @app.post("/remit-cod")
    async def remit(asked: Utr) -> list[str]:
        return desk.remit_cod(asked.utr)


def _settings(app: FastAPI, desk: Desk) -> None:
    @app.put("/velocity-webhook", status_code=204)
    async def velocity_webhook(target: WebhookTarget) -> None:
        desk.velocity_webhook(target)

    @app.put("/compliance-url", status_code=204)
    async def compliance_url(asked: Url) -> None:
        desk.set_compliance_url(asked.url)

    @app.post("/faults", status_code=201)
    async def add_fault(new: NewFault) -> FaultView:
        return desk.add_fault(new)

    @app.get("/faults")
    async def faults() -> list[FaultView]:
        return desk.armed_faults()

    @app.delete("/faults", status_code=204)
    async def clear_faults() -> None:
        desk.clear_faults()

    @app.patch("/knobs", status_code=204)
    async def knobs(change: Knobs) -> None:
        desk.set_knobs(change)

    @app.get("/letters")
    async def letters(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[LetterView]:
        return desk.letters(limit)

    @app.post("/letters/retry")
    async def retry() -> Count:
        return Count(count=desk.retry_webhooks())

    @app.post("/drain", status_code=204)
    async def drain() -> None:
        await desk.drain()

    @app.get("/stats")
    async def stats() -> StatsView:
        return desk.stats()


# --- the page -------------------------------------------------------------------------------------------------

NDR_REASONS = (
    "CUSTOMER NOT AVAILABLE",
    "CUSTOMER REFUSED",
    "INCOMPLETE ADDRESS",
    "PHONE SWITCHED OFF",
    "RESCHEDULE REQUESTED",
)
OPERATIONS = {
    "shopify": ("*", "oauth.token", "orders", "order", "fulfillmentCreate", "fulfillmentEventCreate"),
    "amazon": amazon_page.OPERATIONS,
    "velocity": ("*", "auth-token", "serviceability", "forward-order-orchestration", "order-tracking", "cancel-order"),
}


def page_routes(desk: Desk) -> list[Route]:
    """The page at `/desk` and the forms on it."""

    async def show(request: Request) -> Response:
        if not _is_local(request):
            return _not_local()
        page = PAGES.get_template("desk.html").render(
            stats=desk.stats(),
            shops=desk.shops(),
            orders=[order for shop in desk.shops() for order in desk.orders(shop.domain)][::-1][:20],
            parcels=[one for one in desk.parcels() if one.awb][::-1][:50],
            letters=desk.letters(30),
            faults=desk.armed_faults(),
            payments=list(Payment),
            kinds=list(FaultKind),
            operations=OPERATIONS,
            reasons=NDR_REASONS,
            amazon=amazon_page.context(desk.amazon),
            said=request.query_params.get("said", "")[:300],
            went_wrong=request.query_params.get("wrong") == "1",
        )
        return HTMLResponse(page)

    async def act(request: Request) -> Response:
        if not _is_local(request) or not _from_here(request):
            return _not_local()
        form = {key: str(value) for key, value in (await request.form()).items()}
        try:
            said = await _do(desk, request.path_params["what"], form)
        except (Unknown, NotPossible, ValidationError, ValueError) as error:
            return _back(_plain(error), wrong=True)
        return _back(said)

    return [Route("/desk", show), Route("/desk/do/{what}", act, methods=["POST"])]


async def _do(desk: Desk, what: str, form: dict[str, str]) -> str:
    """One form of the page; what to tell the person."""
    awb = form.get("awb", "")
    match what:
        case "shop":
            return f"{desk.create_shop(form.get('domain', '').strip().lower()).name} is open."
        case "order":
            placed = desk.place_order(
                form.get("shop", ""),
                NewOrder(
                    payment=Payment(form.get("payment", "cod")),
                    pincode=form.get("pincode", "").strip() or None,
                    no_phone="no_phone" in form,
                    no_shipping_address="no_shipping_address" in form,
                ),
            )
            return f"Order {placed.name} of ₹{placed.total} was placed at {placed.shop}."
        case "cancel":
            cancelled = desk.cancel_order(form.get("shop", ""), form.get("order", ""))
            return f"Order {cancelled.name} was cancelled."
        case "hold":
            return f"Order {desk.hold_order(form.get('shop', ''), form.get('order', '')).name} is on hold."
        case "advance":
            return _tell(desk.advance(awb))
        case "advance-all":
            return f"{desk.advance_all()} parcels moved one step."
        case "deliver":
            return _tell(desk.deliver(awb))
        case "fail":
            return _tell(desk.fail_delivery(awb, form.get("reason", NDR_REASONS[0])))
        case "rto":
            return _tell(desk.rto(awb))
        case "scan":
            return _tell(desk.scan(awb, NewScan(status=form.get("status", ""), remark=form.get("remark", ""))))
        case "fault":
            vendor, _, operation = form.get("operation", "").partition(" ")
            armed = desk.add_fault(
                NewFault.model_validate(
                    {
                        "vendor": vendor,
                        "operation": operation,
                        "kind": form.get("kind"),
                        "times": form.get("times", "1"),
                    }
                )
            )
            return f"The next {armed.times or ''} calls to {armed.vendor} {armed.operation} will meet: {armed.kind}."
        case "clear-faults":
            desk.clear_faults()
            return "No faults are armed."
        case "retry":
            return f"{desk.retry_webhooks()} waiting webhooks are sent now."
        case _:
            return await amazon_page.do(desk.amazon, what, form)


def _tell(parcel: ParcelView) -> str:
    return f"{parcel.awb} is {parcel.status}."


def _plain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error.args[0]) if error.args else str(error)


def _back(said: str, *, wrong: bool = False) -> Response:
    query = {"said": said, **({"wrong": "1"} if wrong else {})}
    return RedirectResponse(f"/desk?{urlencode(query)}", 303)


def _is_local(request: Request) -> bool:
    return on_this_machine(f"http://{request.headers.get('host', '')}")


def _from_here(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _not_local() -> Response:
    return JSONResponse({"detail": "the desk answers on this machine only"}, 403)
