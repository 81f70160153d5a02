"""Amazon's part of the desk over HTTP, under `/desk/api/amazon`."""

from typing import Annotated

from fastapi import APIRouter, Query

from shipcrowd.sandbox.amazon.desk import QUEUE, AmazonDesk
from shipcrowd.sandbox.amazon.schemas import (
    AmazonKnobChange,
    AmazonOrderView,
    AmazonParcelView,
    AmazonStatsView,
    FeedView,
    ListingView,
    NewAmazonOrder,
    NewSeller,
    PrivateApp,
    QueueView,
    SellerView,
    StockChange,
)
from shipcrowd.sandbox.schemas import Count, Frozen


class SellerChange(Frozen):
    participating: bool | None = None
    suspended: bool | None = None
    personal_data: bool | None = None


class Consent(Frozen):
    url: str
    seller_id: str | None = None


class Text(Frozen):
    """A URL, a token, a reason or a status, as the verb has it."""

    value: str


class Seconds(Frozen):
    seconds: float


class Queue(Frozen):
    name: str = QUEUE
    visibility_seconds: int = 30


class Event(Frozen):
    event: str
    detail: str | None = None


def router(desk: AmazonDesk) -> APIRouter:
    """Every verb of `desk`. Its errors are answered by the app this is put into."""
    made = APIRouter(prefix="/amazon")
    _sellers(made, desk)
    _orders(made, desk)
    _goods(made, desk)
    _settings(made, desk)
    return made


def _sellers(on: APIRouter, desk: AmazonDesk) -> None:
    @on.post("/sellers", status_code=201)
    async def create(new: NewSeller) -> SellerView:
        return desk.create_seller(new)

    @on.get("/sellers")
    async def sellers() -> list[SellerView]:
        return desk.sellers()

    @on.patch("/sellers/{seller_id}")
    async def change(seller_id: str, asked: SellerChange) -> SellerView:
        return desk.set_seller(seller_id, **asked.model_dump())

    @on.post("/approve")
    async def approve(asked: Consent) -> Text:
        return Text(value=desk.approve(asked.url, asked.seller_id))

    @on.post("/sellers/{seller_id}/appstore-link")
    async def appstore_link(seller_id: str, asked: Text) -> Text:
        return Text(value=desk.appstore_link(seller_id, asked.value))

    @on.post("/sellers/{seller_id}/private-app", status_code=201)
    async def private_app(seller_id: str) -> PrivateApp:
        return desk.private_app(seller_id)

    @on.post("/sellers/{seller_id}/refresh-token")
    async def refresh_token(seller_id: str) -> Text:
        return Text(value=desk.refresh_token(seller_id))

    @on.post("/sellers/{seller_id}/revoke", status_code=204)
    async def revoke(seller_id: str) -> None:
        desk.revoke(seller_id)

    @on.post("/rotate-secret")
    async def rotate() -> Text:
        return Text(value=desk.rotate_secret())

    @on.post("/announce-secret-expiry", status_code=204)
    async def announce() -> None:
        desk.announce_secret_expiry()


def _orders(on: APIRouter, desk: AmazonDesk) -> None:
    @on.post("/sellers/{seller_id}/orders", status_code=201)
    async def place(seller_id: str, new: NewAmazonOrder) -> AmazonOrderView:
        return desk.place_order(seller_id, new)

    @on.get("/sellers/{seller_id}/orders")
    async def orders(seller_id: str) -> list[AmazonOrderView]:
        return desk.orders(seller_id)

    @on.get("/orders/{order_id}")
    async def order(order_id: str) -> AmazonOrderView:
        return desk.order(order_id)

    @on.post("/orders/{order_id}/release")
    async def release(order_id: str) -> AmazonOrderView:
        return desk.release(order_id)

    @on.post("/orders/{order_id}/ask-to-cancel")
    async def ask_to_cancel(order_id: str, why: Text) -> AmazonOrderView:
        return desk.ask_to_cancel(order_id, why.value)

    @on.post("/orders/{order_id}/cancel")
    async def cancel(order_id: str) -> AmazonOrderView:
        return desk.cancel(order_id)

    @on.post("/orders/{order_id}/ship-fba")
    async def ship_fba(order_id: str) -> AmazonOrderView:
        return desk.ship_fba(order_id)

    @on.post("/orders/{order_id}/deliver")
    async def deliver(order_id: str) -> AmazonOrderView:
        return desk.deliver(order_id)

    @on.post("/orders/{order_id}/easy-ship")
    async def easy_ship(order_id: str, asked: Text) -> AmazonOrderView:
        return desk.move_easy_ship(order_id, asked.value)

    @on.post("/orders/{order_id}/mend")
    async def mend(order_id: str) -> AmazonOrderView:
        return desk.mend(order_id)

    @on.post("/orders/{order_id}/resend", status_code=204)
    async def resend(order_id: str) -> None:
        desk.resend(order_id)


def _goods(on: APIRouter, desk: AmazonDesk) -> None:
    @on.put("/sellers/{seller_id}/stock")
    async def set_stock(seller_id: str, change: StockChange) -> ListingView:
        return desk.set_stock(seller_id, change)

    @on.get("/sellers/{seller_id}/listings")
    async def listings(seller_id: str) -> list[ListingView]:
        return desk.listings(seller_id)

    @on.get("/sellers/{seller_id}/feeds")
    async def feeds(seller_id: str) -> list[FeedView]:
        return desk.feeds(seller_id)

    @on.post("/advance-feeds")
    async def advance_feeds() -> Count:
        return Count(count=desk.advance_feeds())

    @on.get("/parcels")
    async def parcels(seller_id: Annotated[str | None, Query()] = None) -> list[AmazonParcelView]:
        return desk.parcels(seller_id)

    @on.get("/parcels/{tracking_id}")
    async def parcel(tracking_id: str) -> AmazonParcelView:
        return desk.parcel(tracking_id)

    @on.post("/parcels/{tracking_id}/move")
    async def move_parcel(tracking_id: str, asked: Event) -> AmazonParcelView:
        return desk.move_parcel(tracking_id, asked.event, asked.detail)

    @on.post("/parcels/{tracking_id}/advance")
    async def advance_parcel(tracking_id: str) -> AmazonParcelView:
        return desk.advance_parcel(tracking_id)


def _settings(on: APIRouter, desk: AmazonDesk) -> None:
    @on.post("/queue")
    async def open_queue(asked: Queue) -> QueueView:
        return await desk.open_queue(asked.name, visibility_seconds=asked.visibility_seconds)

    @on.post("/pass-time", status_code=204)
    async def pass_time(asked: Seconds) -> None:
        desk.pass_time(asked.seconds)

    @on.patch("/knobs", status_code=204)
    async def knobs(change: AmazonKnobChange) -> None:
        desk.set_knobs(change)

    @on.get("/stats")
    async def stats() -> AmazonStatsView:
        return desk.stats()
