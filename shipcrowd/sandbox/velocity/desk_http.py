"""Velocity's part of the desk over HTTP: the parcels at the courier."""

from typing import Annotated

from fastapi import APIRouter, Query

from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.schemas import Count, Frozen, NewScan, ParcelView, WebhookTarget


class Why(Frozen):
    reason: str = ""


class Back(Frozen):
    all_the_way: bool = False


class Weight(Frozen):
    grams: int
    where: str = "Hub"


class Utr(Frozen):
    utr: str


def router(desk: Desk) -> APIRouter:
    """Every verb of `desk` about parcels. Its errors are answered by the app this is put into."""
    on = APIRouter()

    @on.get("/parcels")
    async def parcels(order_id: Annotated[str | None, Query()] = None) -> list[ParcelView]:
        return desk.parcels(order_id)

    @on.get("/parcels/{awb}")
    async def parcel(awb: str) -> ParcelView:
        return desk.parcel(awb)

    @on.post("/parcels/{awb}/scan")
    async def scan(awb: str, new: NewScan) -> ParcelView:
        return desk.scan(awb, new)

    @on.post("/parcels/{awb}/advance")
    async def advance(awb: str) -> ParcelView:
        return desk.advance(awb)

    @on.post("/advance-all")
    async def advance_all() -> Count:
        return Count(count=desk.advance_all())

    @on.post("/parcels/{awb}/deliver")
    async def deliver(awb: str) -> ParcelView:
        return desk.deliver(awb)

    @on.post("/parcels/{awb}/fail")
    async def fail(awb: str, why: Why) -> ParcelView:
        return desk.fail_delivery(awb, why.reason or "CUSTOMER NOT AVAILABLE")

    @on.post("/parcels/{awb}/rto")
    async def rto(awb: str, how: Back) -> ParcelView:
        return desk.rto(awb, all_the_way=how.all_the_way)

    @on.post("/parcels/{awb}/weigh")
    async def weigh(awb: str, weight: Weight) -> ParcelView:
        return desk.weigh(awb, weight.grams, weight.where)

    @on.post("/remit-cod")
    async def remit(asked: Utr) -> list[str]:
        return desk.remit_cod(asked.utr)

    @on.put("/velocity-webhook", status_code=204)
    async def velocity_webhook(target: WebhookTarget) -> None:
        desk.velocity_webhook(target)

    return on
