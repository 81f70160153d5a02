"""Flipkart's desk over HTTP, as `client.DeskClient.flipkart`. Mirrors `desk.FlipkartDesk`."""

from typing import TypeVar
from urllib.parse import quote

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
from shipcrowd.sandbox.wire import Sent, Wire

T = TypeVar("T")


class FlipkartDeskClient:
    """Drives the stand-in for Flipkart of a sandbox that runs elsewhere on this machine."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    # --- sellers

    async def create_seller(self, new: NewSeller | None = None) -> SellerView:
        return await self._ask(SellerView, "POST", "sellers", new or NewSeller())

    async def sellers(self) -> list[SellerView]:
        return await self._ask(list[SellerView], "GET", "sellers")

    async def seller(self, seller_id: str) -> SellerView:
        return await self._ask(SellerView, "GET", f"sellers/{seller_id}")

    async def approve(self, authorize_url: str, seller_id: str) -> str:
        asked: Sent = {"url": authorize_url, "seller_id": seller_id}
        return (await self._ask(dict[str, str], "POST", "approve", asked))["url"]

    async def revoke(self, seller_id: str) -> None:
        await self._tell("POST", f"sellers/{seller_id}/revoke")

    async def set_approved(self, seller_id: str, *, approved: bool) -> SellerView:
        return await self._ask(SellerView, "PUT", f"sellers/{seller_id}/approved", {"approved": approved})

    async def notify(self, seller_id: str, target: NotificationTarget | None) -> None:
        await self._tell("PUT", f"sellers/{seller_id}/notifications", target)

    # --- shipments

    async def place(self, seller_id: str, new: NewShipment | None = None) -> ShipmentView:
        return await self._ask(ShipmentView, "POST", f"sellers/{seller_id}/shipments", new or NewShipment())

    async def place_many(self, seller_id: str, many: Many) -> int:
        return await self._count("POST", f"sellers/{seller_id}/place-many", many)

    async def shipments(self, seller_id: str) -> list[ShipmentView]:
        return await self._ask(list[ShipmentView], "GET", f"sellers/{seller_id}/shipments")

    async def latest(self, seller_id: str, count: int) -> list[ShipmentView]:
        return await self._ask(list[ShipmentView], "GET", f"sellers/{seller_id}/latest?count={count}")

    async def shipment(self, seller_id: str, shipment_id: str) -> ShipmentView:
        return await self._ask(ShipmentView, "GET", _at(seller_id, shipment_id))

    async def hold(self, seller_id: str, shipment_id: str, how: Hold | None = None) -> ShipmentView:
        return await self._ask(ShipmentView, "POST", _at(seller_id, shipment_id, "/hold"), how or Hold())

    async def release(self, seller_id: str, shipment_id: str) -> ShipmentView:
        return await self._ask(ShipmentView, "POST", _at(seller_id, shipment_id, "/release"))

    async def cancel(self, seller_id: str, shipment_id: str, how: Cancellation | None = None) -> ShipmentView:
        return await self._ask(ShipmentView, "POST", _at(seller_id, shipment_id, "/cancel"), how or Cancellation())

    async def change_dates(self, seller_id: str, shipment_id: str, dates: Dates) -> ShipmentView:
        return await self._ask(ShipmentView, "POST", _at(seller_id, shipment_id, "/dates"), dates)

    async def move(self, seller_id: str, shipment_id: str) -> ShipmentView:
        return await self._ask(ShipmentView, "POST", _at(seller_id, shipment_id, "/move"))

    async def move_all(self, seller_id: str) -> int:
        return await self._count("POST", f"sellers/{seller_id}/move-all")

    async def malform(self, seller_id: str, shipment_id: str, *, malformed: bool = True) -> None:
        await self._tell("PUT", _at(seller_id, shipment_id, "/malformed"), {"malformed": malformed})

    async def refuse(self, seller_id: str, shipment_id: str, how: RefuseItem | None = None) -> None:
        await self._tell("POST", _at(seller_id, shipment_id, "/refuse"), how or RefuseItem())

    async def resend(self, seller_id: str, shipment_id: str) -> None:
        await self._tell("POST", _at(seller_id, shipment_id, "/resend"))

    # --- returns

    async def open_return(self, seller_id: str, shipment_id: str, new: NewReturn | None = None) -> list[ReturnView]:
        return await self._ask(list[ReturnView], "POST", _at(seller_id, shipment_id, "/returns"), new or NewReturn())

    async def returns(self, seller_id: str) -> list[ReturnView]:
        return await self._ask(list[ReturnView], "GET", f"sellers/{seller_id}/returns")

    async def move_return(self, seller_id: str, return_id: str) -> ReturnView:
        return await self._ask(ReturnView, "POST", f"sellers/{seller_id}/returns/{return_id}/move")

    async def cancel_return(self, seller_id: str, return_id: str) -> ReturnView:
        return await self._ask(ReturnView, "POST", f"sellers/{seller_id}/returns/{return_id}/cancel")

    async def expect_return(self, seller_id: str, return_id: str, days: int) -> ReturnView:
        return await self._ask(ReturnView, "POST", f"sellers/{seller_id}/returns/{return_id}/expect", {"days": days})

    # --- listings, settings, looking on

    async def listings(self, seller_id: str) -> list[ListingView]:
        return await self._ask(list[ListingView], "GET", f"sellers/{seller_id}/listings")

    async def change_listing(self, seller_id: str, sku: str, change: ListingChange) -> ListingView:
        path = f"sellers/{seller_id}/listings?sku={quote(sku, safe='')}"
        return await self._ask(ListingView, "PATCH", path, change)

    async def set_knobs(self, change: KnobChange) -> None:
        await self._tell("PATCH", "knobs", change)

    async def stats(self) -> FlipkartStats:
        return await self._ask(FlipkartStats, "GET", "stats")

    # --- the wire

    async def _tell(self, method: str, path: str, sent: Sent = None) -> None:
        await self._wire.send(method, f"flipkart/{path}", sent)

    async def _ask(self, kind: type[T], method: str, path: str, sent: Sent = None) -> T:
        return await self._wire.ask(kind, method, f"flipkart/{path}", sent)

    async def _count(self, method: str, path: str, sent: Sent = None) -> int:
        return await self._wire.count(method, f"flipkart/{path}", sent)


def _at(seller_id: str, shipment_id: str, more: str = "") -> str:
    return f"sellers/{seller_id}/shipments/{quote(shipment_id, safe='')}{more}"
