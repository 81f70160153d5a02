"""Amazon's part of the desk over HTTP. Mirrors `desk.AmazonDesk`."""

from urllib.parse import quote

from shipcrowd.sandbox.amazon.desk import QUEUE
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
from shipcrowd.sandbox.wire import Wire


class AmazonDeskClient:
    """Drives the Amazon of a sandbox that runs elsewhere on this machine; raises as the desk itself does."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def pass_time(self, seconds: float) -> None:
        await self._wire.send("POST", "amazon/pass-time", {"seconds": seconds})

    # --- sellers

    async def create_seller(self, new: NewSeller | None = None) -> SellerView:
        return await self._wire.ask(SellerView, "POST", "amazon/sellers", new or NewSeller())

    async def sellers(self) -> list[SellerView]:
        return await self._wire.ask(list[SellerView], "GET", "amazon/sellers")

    async def set_seller(
        self,
        seller_id: str,
        *,
        participating: bool | None = None,
        suspended: bool | None = None,
        personal_data: bool | None = None,
    ) -> SellerView:
        sent: dict[str, object] = {
            "participating": participating,
            "suspended": suspended,
            "personal_data": personal_data,
        }
        return await self._wire.ask(SellerView, "PATCH", _seller(seller_id), sent)

    async def approve(self, consent_url: str, seller_id: str | None = None) -> str:
        return await self._text("amazon/approve", {"url": consent_url, "seller_id": seller_id})

    async def appstore_link(self, seller_id: str, login_url: str) -> str:
        return await self._text(f"{_seller(seller_id)}/appstore-link", {"value": login_url})

    async def private_app(self, seller_id: str) -> PrivateApp:
        return await self._wire.ask(PrivateApp, "POST", f"{_seller(seller_id)}/private-app")

    async def refresh_token(self, seller_id: str) -> str:
        return await self._text(f"{_seller(seller_id)}/refresh-token")

    async def revoke(self, seller_id: str) -> None:
        await self._wire.send("POST", f"{_seller(seller_id)}/revoke")

    async def rotate_secret(self) -> str:
        return await self._text("amazon/rotate-secret")

    async def announce_secret_expiry(self) -> None:
        await self._wire.send("POST", "amazon/announce-secret-expiry")

    # --- orders

    async def place_order(self, seller_id: str, new: NewAmazonOrder | None = None) -> AmazonOrderView:
        path = f"{_seller(seller_id)}/orders"
        return await self._wire.ask(AmazonOrderView, "POST", path, new or NewAmazonOrder())

    async def orders(self, seller_id: str) -> list[AmazonOrderView]:
        return await self._wire.ask(list[AmazonOrderView], "GET", f"{_seller(seller_id)}/orders")

    async def order(self, order_id: str) -> AmazonOrderView:
        return await self._wire.ask(AmazonOrderView, "GET", _order(order_id))

    async def release(self, order_id: str) -> AmazonOrderView:
        return await self._order(order_id, "release")

    async def ask_to_cancel(self, order_id: str, reason: str = "Ordered by mistake") -> AmazonOrderView:
        return await self._order(order_id, "ask-to-cancel", {"value": reason})

    async def cancel(self, order_id: str) -> AmazonOrderView:
        return await self._order(order_id, "cancel")

    async def ship_fba(self, order_id: str) -> AmazonOrderView:
        return await self._order(order_id, "ship-fba")

    async def deliver(self, order_id: str) -> AmazonOrderView:
        return await self._order(order_id, "deliver")

    async def move_easy_ship(self, order_id: str, status: str) -> AmazonOrderView:
        return await self._order(order_id, "easy-ship", {"value": status})

    async def mend(self, order_id: str) -> AmazonOrderView:
        return await self._order(order_id, "mend")

    async def resend(self, order_id: str) -> None:
        await self._wire.send("POST", f"{_order(order_id)}/resend")

    # --- stock, feeds, parcels

    async def set_stock(self, seller_id: str, change: StockChange) -> ListingView:
        return await self._wire.ask(ListingView, "PUT", f"{_seller(seller_id)}/stock", change)

    async def listings(self, seller_id: str) -> list[ListingView]:
        return await self._wire.ask(list[ListingView], "GET", f"{_seller(seller_id)}/listings")

    async def feeds(self, seller_id: str) -> list[FeedView]:
        return await self._wire.ask(list[FeedView], "GET", f"{_seller(seller_id)}/feeds")

    async def advance_feeds(self) -> int:
        return await self._wire.count("POST", "amazon/advance-feeds")

    async def parcels(self, seller_id: str | None = None) -> list[AmazonParcelView]:
        query = f"?seller_id={quote(seller_id, safe='')}" if seller_id else ""
        return await self._wire.ask(list[AmazonParcelView], "GET", f"amazon/parcels{query}")

    async def parcel(self, tracking_id: str) -> AmazonParcelView:
        return await self._wire.ask(AmazonParcelView, "GET", f"amazon/parcels/{tracking_id}")

    async def move_parcel(self, tracking_id: str, event: str, detail: str | None = None) -> AmazonParcelView:
        sent: dict[str, object] = {"event": event, "detail": detail}
        return await self._wire.ask(AmazonParcelView, "POST", f"amazon/parcels/{tracking_id}/move", sent)

    async def advance_parcel(self, tracking_id: str) -> AmazonParcelView:
        return await self._wire.ask(AmazonParcelView, "POST", f"amazon/parcels/{tracking_id}/advance")

    # --- notifications, settings, looking on

    async def open_queue(self, name: str = QUEUE, *, visibility_seconds: int = 30) -> QueueView:
        sent: dict[str, object] = {"name": name, "visibility_seconds": visibility_seconds}
        return await self._wire.ask(QueueView, "POST", "amazon/queue", sent)

    async def set_knobs(self, change: AmazonKnobChange) -> None:
        await self._wire.send("PATCH", "amazon/knobs", change)

    async def stats(self) -> AmazonStatsView:
        return await self._wire.ask(AmazonStatsView, "GET", "amazon/stats")

    # --- the wire

    async def _text(self, path: str, sent: dict[str, object] | None = None) -> str:
        return (await self._wire.ask(dict[str, str], "POST", path, sent))["value"]

    async def _order(self, order_id: str, verb: str, sent: dict[str, object] | None = None) -> AmazonOrderView:
        return await self._wire.ask(AmazonOrderView, "POST", f"{_order(order_id)}/{verb}", sent)


def _seller(seller_id: str) -> str:
    return f"amazon/sellers/{quote(seller_id, safe='')}"


def _order(order_id: str) -> str:
    return f"amazon/orders/{quote(order_id, safe='')}"
