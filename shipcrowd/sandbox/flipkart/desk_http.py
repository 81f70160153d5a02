"""Flipkart's part of the desk over HTTP, under `/desk/api/flipkart`."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from shipcrowd.sandbox.flipkart.desk import FlipkartDesk
from shipcrowd.sandbox.flipkart.schemas import (
    Cancellation,
    Dates,
    FlipkartStats,
    Hold,
    KnobChange,
    ListingChange,
    ListingView,
    Many,
    NewReturn,
    NewSeller,
    NewShipment,
    NotificationTarget,
    RefuseItem,
    ReturnView,
    SellerView,
    ShipmentView,
)
from shipcrowd.sandbox.schemas import Count, Frozen


class Asked(Frozen):
    url: str
    seller_id: str


class Url(Frozen):
    url: str


class Approval(Frozen):
    approved: bool


class Malformed(Frozen):
    malformed: bool = True


class Days(Frozen):
    days: int = Field(ge=0, le=365)


def router(desk: FlipkartDesk) -> APIRouter:
    """Every verb of `desk`. Its errors are answered by the app this is put into."""
    made = APIRouter(prefix="/flipkart")
    _sellers(made, desk)
    _shipments(made, desk)
    _returns(made, desk)
    return made


def _sellers(on: APIRouter, desk: FlipkartDesk) -> None:
    at = "/sellers"

    @on.post(at, status_code=201)
    async def create(new: NewSeller) -> SellerView:
        return desk.create_seller(new)

    @on.get(at)
    async def sellers() -> list[SellerView]:
        return desk.sellers()

    @on.get(at + "/{seller_id}")
    async def seller(seller_id: str) -> SellerView:
        return desk.seller(seller_id)

    @on.post("/approve")
    async def approve(asked: Asked) -> Url:
        return Url(url=desk.approve(asked.url, asked.seller_id))

    @on.post(at + "/{seller_id}/revoke", status_code=204)
    async def revoke(seller_id: str) -> None:
        desk.revoke(seller_id)

    @on.put(at + "/{seller_id}/approved")
    async def set_approved(seller_id: str, change: Approval) -> SellerView:
        return desk.set_approved(seller_id, approved=change.approved)

    @on.put(at + "/{seller_id}/notifications", status_code=204)
    async def notify(seller_id: str, target: NotificationTarget | None = None) -> None:
        desk.notify(seller_id, target)

    @on.get(at + "/{seller_id}/listings")
    async def listings(seller_id: str) -> list[ListingView]:
        return desk.listings(seller_id)

    @on.patch(at + "/{seller_id}/listings")
    async def change_listing(seller_id: str, sku: Annotated[str, Query()], change: ListingChange) -> ListingView:
        return desk.change_listing(seller_id, sku, change)

    @on.patch("/knobs", status_code=204)
    async def knobs(change: KnobChange) -> None:
        desk.set_knobs(change)

    @on.get("/stats")
    async def stats() -> FlipkartStats:
        return desk.stats()


def _shipments(on: APIRouter, desk: FlipkartDesk) -> None:
    at = "/sellers/{seller_id}/shipments"
    one = at + "/{shipment_id}"

    @on.post(at, status_code=201)
    async def place(seller_id: str, new: NewShipment) -> ShipmentView:
        return desk.place(seller_id, new)

    @on.post("/sellers/{seller_id}/place-many")
    async def place_many(seller_id: str, many: Many) -> Count:
        return Count(count=desk.place_many(seller_id, many))

    @on.get(at)
    async def shipments(seller_id: str) -> list[ShipmentView]:
        return desk.shipments(seller_id)

    @on.get("/sellers/{seller_id}/latest")
    async def latest(seller_id: str, count: Annotated[int, Query(ge=1, le=1000)] = 20) -> list[ShipmentView]:
        return desk.latest(seller_id, count)

    @on.get(one)
    async def shipment(seller_id: str, shipment_id: str) -> ShipmentView:
        return desk.shipment(seller_id, shipment_id)

    @on.post(one + "/hold")
    async def hold(seller_id: str, shipment_id: str, how: Hold) -> ShipmentView:
        return desk.hold(seller_id, shipment_id, how)

    @on.post(one + "/release")
    async def release(seller_id: str, shipment_id: str) -> ShipmentView:
        return desk.release(seller_id, shipment_id)

    @on.post(one + "/cancel")
    async def cancel(seller_id: str, shipment_id: str, how: Cancellation) -> ShipmentView:
        return desk.cancel(seller_id, shipment_id, how)

    @on.post(one + "/dates")
    async def change_dates(seller_id: str, shipment_id: str, dates: Dates) -> ShipmentView:
        return desk.change_dates(seller_id, shipment_id, dates)

    @on.post(one + "/move")
    async def move(seller_id: str, shipment_id: str) -> ShipmentView:
        return desk.move(seller_id, shipment_id)

    @on.post("/sellers/{seller_id}/move-all")
    async def move_all(seller_id: str) -> Count:
        return Count(count=desk.move_all(seller_id))

    @on.put(one + "/malformed", status_code=204)
    async def malform(seller_id: str, shipment_id: str, how: Malformed) -> None:
        desk.malform(seller_id, shipment_id, malformed=how.malformed)

    @on.post(one + "/refuse", status_code=204)
    async def refuse(seller_id: str, shipment_id: str, how: RefuseItem) -> None:
        desk.refuse(seller_id, shipment_id, how)

    @on.post(one + "/resend", status_code=204)
    async def resend(seller_id: str, shipment_id: str) -> None:
        desk.resend(seller_id, shipment_id)


def _returns(on: APIRouter, desk: FlipkartDesk) -> None:
    at = "/sellers/{seller_id}/returns"

    @on.post("/sellers/{seller_id}/shipments/{shipment_id}/returns", status_code=201)
    async def open_return(seller_id: str, shipment_id: str, new: NewReturn) -> list[ReturnView]:
        return desk.open_return(seller_id, shipment_id, new)

    @on.get(at)
    async def returns(seller_id: str) -> list[ReturnView]:
        return desk.returns(seller_id)

    @on.post(at + "/{return_id}/move")
    async def move_return(seller_id: str, return_id: str) -> ReturnView:
        return desk.move_return(seller_id, return_id)

    @on.post(at + "/{return_id}/cancel")
    async def cancel_return(seller_id: str, return_id: str) -> ReturnView:
        return desk.cancel_return(seller_id, return_id)

    @on.post(at + "/{return_id}/expect")
    async def expect_return(seller_id: str, return_id: str, when: Days) -> ReturnView:
        return desk.expect_return(seller_id, return_id, when.days)
