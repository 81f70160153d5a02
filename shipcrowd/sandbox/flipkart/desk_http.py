"""Flipkart's desk over HTTP: its part of the control API under `/flipkart`, and the forms of the page."""

from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from shipcrowd.sandbox.errors import Unknown
from shipcrowd.sandbox.flipkart.desk import FlipkartDesk
from shipcrowd.sandbox.flipkart.schemas import (
    Cancellation,
    Dates,
    FlipkartStats,
    Hold,
    Kind,
    KnobChange,
    ListingChange,
    ListingView,
    Many,
    NewReturn,
    NewSeller,
    NewShipment,
    NotificationTarget,
    RefuseItem,
    ReturnSource,
    ReturnView,
    SellerView,
    ShipmentView,
)


class Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Asked(Sent):
    url: str
    seller_id: str


class Url(Sent):
    url: str


class Approval(Sent):
    approved: bool


class Malformed(Sent):
    malformed: bool = True


class Days(Sent):
    days: int = Field(ge=0, le=365)


class Count(Sent):
    count: int


def add_routes(app: FastAPI, desk: FlipkartDesk) -> None:
    _sellers(app, desk)
    _shipments(app, desk)
    _returns(app, desk)


def _sellers(app: FastAPI, desk: FlipkartDesk) -> None:
    at = "/flipkart/sellers"

    @app.post(at, status_code=201)
    async def create(new: NewSeller) -> SellerView:
        return desk.create_seller(new)

    @app.get(at)
    async def sellers() -> list[SellerView]:
        return desk.sellers()

    @app.get(at + "/{seller_id}")
    async def seller(seller_id: str) -> SellerView:
        return desk.seller(seller_id)

    @app.post("/flipkart/approve")
    async def approve(asked: Asked) -> Url:
        return Url(url=desk.approve(asked.url, asked.seller_id))

    @app.post(at + "/{seller_id}/revoke", status_code=204)
    async def revoke(seller_id: str) -> None:
        desk.revoke(seller_id)

    @app.put(at + "/{seller_id}/approved")
    async def set_approved(seller_id: str, change: Approval) -> SellerView:
        return desk.set_approved(seller_id, approved=change.approved)

    @app.put(at + "/{seller_id}/notifications", status_code=204)
    async def notify(seller_id: str, target: NotificationTarget | None = None) -> None:
        desk.notify(seller_id, target)

    @app.get(at + "/{seller_id}/listings")
    async def listings(seller_id: str) -> list[ListingView]:
        return desk.listings(seller_id)

    @app.patch(at + "/{seller_id}/listings")
    async def change_listing(seller_id: str, sku: Annotated[str, Query()], change: ListingChange) -> ListingView:
        return desk.change_listing(seller_id, sku, change)

    @app.patch("/flipkart/knobs", status_code=204)
    async def knobs(change: KnobChange) -> None:
        desk.set_knobs(change)

    @app.get("/flipkart/stats")
    async def stats() -> FlipkartStats:
        return desk.stats()


def _shipments(app: FastAPI, desk: FlipkartDesk) -> None:
    at = "/flipkart/sellers/{seller_id}/shipments"
    one = at + "/{shipment_id}"

    @app.post(at, status_code=201)
    async def place(seller_id: str, new: NewShipment) -> ShipmentView:
        return desk.place(seller_id, new)

    @app.post("/flipkart/sellers/{seller_id}/place-many")
    async def place_many(seller_id: str, many: Many) -> Count:
        return Count(count=desk.place_many(seller_id, many))

    @app.get(at)
    async def shipments(seller_id: str) -> list[ShipmentView]:
        return desk.shipments(seller_id)

    @app.get("/flipkart/sellers/{seller_id}/latest")
    async def latest(seller_id: str, count: Annotated[int, Query(ge=1, le=1000)] = 20) -> list[ShipmentView]:
        return desk.latest(seller_id, count)

    @app.get(one)
    async def shipment(seller_id: str, shipment_id: str) -> ShipmentView:
        return desk.shipment(seller_id, shipment_id)

    @app.post(one + "/hold")
    async def hold(seller_id: str, shipment_id: str, how: Hold) -> ShipmentView:
        return desk.hold(seller_id, shipment_id, how)

    @app.post(one + "/release")
    async def release(seller_id: str, shipment_id: str) -> ShipmentView:
        return desk.release(seller_id, shipment_id)

    @app.post(one + "/cancel")
    async def cancel(seller_id: str, shipment_id: str, how: Cancellation) -> ShipmentView:
        return desk.cancel(seller_id, shipment_id, how)

    @app.post(one + "/dates")
    async def change_dates(seller_id: str, shipment_id: str, dates: Dates) -> ShipmentView:
        return desk.change_dates(seller_id, shipment_id, dates)

    @app.post(one + "/move")
    async def move(seller_id: str, shipment_id: str) -> ShipmentView:
        return desk.move(seller_id, shipment_id)

    @app.post("/flipkart/sellers/{seller_id}/move-all")
    async def move_all(seller_id: str) -> Count:
        return Count(count=desk.move_all(seller_id))

    @app.put(one + "/malformed", status_code=204)
    async def malform(seller_id: str, shipment_id: str, how: Malformed) -> None:
        desk.malform(seller_id, shipment_id, malformed=how.malformed)

    @app.post(one + "/refuse", status_code=204)
    async def refuse(seller_id: str, shipment_id: str, how: RefuseItem) -> None:
        desk.refuse(seller_id, shipment_id, how)

    @app.post(one + "/resend", status_code=204)
    async def resend(seller_id: str, shipment_id: str) -> None:
        desk.resend(seller_id, shipment_id)


def _returns(app: FastAPI, desk: FlipkartDesk) -> None:
    at = "/flipkart/sellers/{seller_id}/returns"

    @app.post("/flipkart/sellers/{seller_id}/shipments/{shipment_id}/returns", status_code=201)
    async def open_return(seller_id: str, shipment_id: str, new: NewReturn) -> list[ReturnView]:
        return desk.open_return(seller_id, shipment_id, new)

    @app.get(at)
    async def returns(seller_id: str) -> list[ReturnView]:
        return desk.returns(seller_id)

    @app.post(at + "/{return_id}/move")
    async def move_return(seller_id: str, return_id: str) -> ReturnView:
        return desk.move_return(seller_id, return_id)

    @app.post(at + "/{return_id}/cancel")
    async def cancel_return(seller_id: str, return_id: str) -> ReturnView:
        return desk.cancel_return(seller_id, return_id)

    @app.post(at + "/{return_id}/expect")
    async def expect_return(seller_id: str, return_id: str, when: Days) -> ReturnView:
        return desk.expect_return(seller_id, return_id, when.days)


# --- the page -------------------------------------------------------------------------------------------------

SHOWN = 20


def page_context(desk: FlipkartDesk) -> dict[str, object]:
    """What the page shows of Flipkart: the shipments changed last, and the returns opened last."""
    sellers = desk.sellers()
    shipments = [it for one in sellers for it in desk.latest(one.id, SHOWN)]
    return {
        "sellers": sellers,
        "kinds": list(Kind),
        "shipments": sorted(shipments, key=lambda it: it.updated_at, reverse=True)[:SHOWN],
        "returns": [(one.id, it) for one in sellers for it in desk.returns(one.id)[-SHOWN:]][::-1][:SHOWN],
        "stats": desk.stats(),
    }


def do(desk: FlipkartDesk, what: str, form: dict[str, str]) -> str:
    """One form of the page; what to tell the person. Raises Unknown for a form there is not."""
    seller_id, shipment_id, return_id = (form.get(name, "") for name in ("seller", "shipment", "return"))
    match what:
        case "flipkart-seller":
            return f"{desk.create_seller(NewSeller(name=form.get('name', '').strip())).name} sells on Flipkart."
        case "flipkart-place":
            placed = desk.place(seller_id, NewShipment(kind=Kind(form.get("kind", Kind.standard_prepaid.value))))
            return f"Order {placed.order_id} was placed."
        case "flipkart-move":
            return _tell(desk.move(seller_id, shipment_id))
        case "flipkart-move-all":
            return f"{desk.move_all(seller_id)} shipments moved one step."
        case "flipkart-hold":
            return _tell(desk.hold(seller_id, shipment_id))
        case "flipkart-release":
            return _tell(desk.release(seller_id, shipment_id))
        case "flipkart-cancel":
            return _tell(desk.cancel(seller_id, shipment_id))
        case "flipkart-return":
            source = ReturnSource(form.get("source", ReturnSource.customer_return.value))
            opened = desk.open_return(seller_id, shipment_id, NewReturn(source=source))
            return f"Return {', '.join(one.id for one in opened)} was opened."
        case "flipkart-move-return":
            moved = desk.move_return(seller_id, return_id)
            return f"Return {moved.id} is {moved.status}, its goods {moved.shipment_status}."
        case "flipkart-notify":
            url = form.get("url", "").strip()
            desk.notify(seller_id, NotificationTarget(url=url) if url else None)
            return f"Notifications go to {url}." if url else "Notifications go nowhere."
        case "flipkart-revoke":
            desk.revoke(seller_id)
            return f"{desk.seller(seller_id).name} withdrew the application's access."
        case _:
            raise Unknown(f"the desk cannot {what}")


def _tell(shipment: ShipmentView) -> str:
    return f"{shipment.order_id} is {shipment.status}{' and on hold' if shipment.hold else ''}."
