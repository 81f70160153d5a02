"""The desk over HTTP, for the demo and for tests that run the sandbox in another process. Mirrors `desk.Desk`."""

from collections.abc import Sequence
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote

import httpx2

from shipcrowd.sandbox.amazon.desk_client import AmazonDeskClient
from shipcrowd.sandbox.flipkart.desk_client import FlipkartDeskClient
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
    ShopView,
    StatsView,
    StockView,
    WebhookTarget,
)
from shipcrowd.sandbox.shopify.desk_http import CustomToken
from shipcrowd.sandbox.wire import Sent, Wire

T = TypeVar("T")


class DeskClient:
    """Drives a sandbox that runs elsewhere on this machine.

    Raises Unknown and NotPossible as the desk itself does, and httpx2.HTTPError when nothing answers.
    """

    def __init__(self, base_url: str, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._http = httpx2.AsyncClient(
            base_url=base_url.rstrip("/") + "/desk/api/", transport=transport, trust_env=False, timeout=30
        )
        self._wire = Wire(self._http)
        self.amazon = AmazonDeskClient(self._wire)
        self.flipkart = FlipkartDeskClient(self._wire)

    async def __aenter__(self) -> "DeskClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    # --- shops

    async def create_shop(self, domain: str, new: NewShop | None = None) -> ShopView:
        sent = new.model_copy(update={"domain": domain}) if new else NewShop(domain=domain)
        return await self._ask(ShopView, "POST", "shops", sent)

    async def shops(self) -> list[ShopView]:
        return await self._ask(list[ShopView], "GET", "shops")

    async def set_shop(self, domain: str, *, mode: Mode | None = None, access: Access | None = None) -> ShopView:
        return await self._ask(ShopView, "PATCH", f"shops/{domain}", {"mode": mode, "access": access})

    async def approve(self, authorize_url: str) -> str:
        answer = await self._ask(dict[str, str], "POST", "approve", {"url": authorize_url})
        return answer["url"]

    async def custom_token(self, domain: str, scopes: Sequence[str]) -> tuple[str, str]:
        made = await self._ask(CustomToken, "POST", f"shops/{domain}/custom-token", {"scopes": list(scopes)})
        return made.token, made.secret

    async def uninstall(self, domain: str) -> None:
        await self._tell("POST", f"shops/{domain}/uninstall")

    async def drain_bucket(self, domain: str) -> None:
        await self._tell("POST", f"shops/{domain}/drain-bucket")

    async def privacy(self, domain: str, topic: str, order_name: str | None = None) -> None:
        await self._tell("POST", f"shops/{domain}/privacy", {"topic": topic, "order": order_name})

    async def set_compliance_url(self, url: str | None) -> None:
        await self._tell("PUT", "compliance-url", {"url": url})

    async def stock(self, domain: str) -> list[StockView]:
        return await self._ask(list[StockView], "GET", f"shops/{domain}/stock")

    # --- orders

    async def place_order(self, domain: str, new: NewOrder | None = None) -> OrderView:
        return await self._ask(OrderView, "POST", f"shops/{domain}/orders", new or NewOrder())

    async def orders(self, domain: str) -> list[OrderView]:
        return await self._ask(list[OrderView], "GET", f"shops/{domain}/orders")

    async def order(self, domain: str, name: str) -> OrderView:
        return await self._ask(OrderView, "GET", _order(domain, name))

    async def edit_order(self, domain: str, name: str, change: NewEdit) -> OrderView:
        return await self._ask(OrderView, "PATCH", _order(domain, name), change)

    async def cancel_order(self, domain: str, name: str, reason: str = "CUSTOMER") -> OrderView:
        return await self._ask(OrderView, "POST", f"{_order(domain, name)}/cancel", {"reason": reason})

    async def delete_order(self, domain: str, name: str) -> None:
        await self._tell("DELETE", _order(domain, name))

    async def hold_order(self, domain: str, name: str, reason: str = "OTHER", note: str = "") -> OrderView:
        sent: Sent = {"reason": reason, "note": note}
        return await self._ask(OrderView, "POST", f"{_order(domain, name)}/hold", sent)

    async def release_order(self, domain: str, name: str) -> OrderView:
        return await self._ask(OrderView, "POST", f"{_order(domain, name)}/release")

    async def fulfil_elsewhere(self, domain: str, name: str, awb: str, company: str = "Other") -> OrderView:
        sent: Sent = {"awb": awb, "company": company}
        return await self._ask(OrderView, "POST", f"{_order(domain, name)}/fulfil-elsewhere", sent)

    async def resend_webhook(self, domain: str, name: str, topic: str = "orders/updated") -> int:
        path = f"{_order(domain, name)}/resend-webhook"
        return await self._count("POST", path, {"topic": topic})

    # --- parcels

    async def parcels(self, order_id: str | None = None) -> list[ParcelView]:
        query = f"?order_id={quote(order_id, safe='')}" if order_id else ""
        return await self._ask(list[ParcelView], "GET", f"parcels{query}")

    async def parcel(self, awb: str) -> ParcelView:
        return await self._ask(ParcelView, "GET", f"parcels/{awb}")

    async def scan(self, awb: str, new: NewScan) -> ParcelView:
        return await self._ask(ParcelView, "POST", f"parcels/{awb}/scan", new)

    async def advance(self, awb: str) -> ParcelView:
        return await self._ask(ParcelView, "POST", f"parcels/{awb}/advance")

    async def advance_all(self) -> int:
        return await self._count("POST", "advance-all")

    async def deliver(self, awb: str) -> ParcelView:
        return await self._ask(ParcelView, "POST", f"parcels/{awb}/deliver")

    async def fail_delivery(self, awb: str, reason: str = "CUSTOMER NOT AVAILABLE") -> ParcelView:
        return await self._ask(ParcelView, "POST", f"parcels/{awb}/fail", {"reason": reason})

    async def rto(self, awb: str, *, all_the_way: bool = False) -> ParcelView:
        return await self._ask(ParcelView, "POST", f"parcels/{awb}/rto", {"all_the_way": all_the_way})

    async def weigh(self, awb: str, grams: int, where: str = "Hub") -> ParcelView:
        return await self._ask(ParcelView, "POST", f"parcels/{awb}/weigh", {"grams": grams, "where": where})

    async def remit_cod(self, utr: str) -> list[str]:
        return await self._ask(list[str], "POST", "remit-cod", {"utr": utr})

    async def velocity_webhook(self, target: WebhookTarget) -> None:
        await self._tell("PUT", "velocity-webhook", target)

    # --- trouble, settings, looking on

    async def add_fault(self, new: NewFault) -> FaultView:
        return await self._ask(FaultView, "POST", "faults", new)

    async def armed_faults(self) -> list[FaultView]:
        return await self._ask(list[FaultView], "GET", "faults")

    async def clear_faults(self) -> None:
        await self._tell("DELETE", "faults")

    async def set_knobs(self, knobs: Knobs) -> None:
        await self._tell("PATCH", "knobs", knobs)

    async def letters(self, limit: int = 100) -> list[LetterView]:
        return await self._ask(list[LetterView], "GET", f"letters?limit={limit}")

    async def retry_webhooks(self) -> int:
        return await self._count("POST", "letters/retry")

    async def drain(self) -> None:
        await self._tell("POST", "drain")

    async def stats(self) -> StatsView:
        return await self._ask(StatsView, "GET", "stats")

    # --- the wire

    async def _tell(self, method: str, path: str, sent: Sent = None) -> None:
        await self._wire.send(method, path, sent)

    async def _ask(self, kind: type[T], method: str, path: str, sent: Sent = None) -> T:
        return await self._wire.ask(kind, method, path, sent)

    async def _count(self, method: str, path: str, sent: Sent = None) -> int:
        return await self._wire.count(method, path, sent)


def _order(domain: str, name: str) -> str:
    return f"shops/{domain}/orders/{quote(name.lstrip('#'), safe='')}"
