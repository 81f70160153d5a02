"""A seller at the API and the world outside it: what stories are told with.

The product runs whole in this process. Sellers come in over HTTP, vendors are the sandbox's stand-ins, and what a
worker would do is done by `drain`.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

import httpx2
from fastapi import FastAPI

from shipcrowd.integrations.shopify import webhooks as shopify_webhooks
from shipcrowd.integrations.velocity import webhooks as velocity_webhooks
from shipcrowd.kernel import clock, db, tenancy
from shipcrowd.ledger import invariants
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.schemas import Knobs, NewAddress, NewOrder, NewShop, Payment
from shipcrowd.sandbox.velocity.state import VelocityKnobs
from shipcrowd.shipping import books
from tests.support import drain

URL = "https://shipcrowd.test"
API = f"{URL}/api/v1"
PASSWORD = "brass-lamps-2026"
UNSERVED = "799001"

BOTTLE = "BOT-1L-BLU"
BOX = {"length_mm": 280, "breadth_mm": 110, "height_mm": 110}

_numbers = count(1)

BUYER: dict[str, Any] = {
    "first_name": "Meenakshi", "last_name": "Sundaram",
    "address1": "27, Kutchery Road", "address2": "Opposite the tank",
    "city": "Chennai", "province": "Tamil Nadu", "province_code": "TN", "zip": "600004",
    "phone": "+919840012345",
}  # fmt: skip
SECRETS_OF_THE_BUYER = ("Meenakshi", "Sundaram", "9840012345", "98400 12345", "Kutchery", "Opposite the tank")


def buyer(**changes: Any) -> NewAddress:
    return NewAddress(**(BUYER | changes))


def an_order(*, cod: bool = False, **changes: Any) -> NewOrder:
    """An order of Meenakshi's, prepaid unless told otherwise."""
    given: dict[str, Any] = {"payment": Payment.cod if cod else Payment.prepaid, "shipping_address": buyer()}
    return NewOrder(**(given | changes))


class Problem(AssertionError):
    """The API answered with another status than the story expects."""


@dataclass
class Seller:
    """One signed-in person of one company, and its one store."""

    http: httpx2.AsyncClient
    desk: Desk
    shop: str
    csrf: str = ""
    company_id: UUID = field(default_factory=lambda: UUID(int=0))
    store_id: UUID = field(default_factory=lambda: UUID(int=0))
    place_id: str = ""
    may_fail: set[str] = field(default_factory=set)
    """Names of jobs the story lets fail for good."""

    # --- over HTTP

    async def send(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **query: Any
    ) -> httpx2.Response:
        headers = {"x-csrf-token": self.csrf} if self.csrf else {}
        headers |= {"idempotency-key": key} if key else {}
        return await self.http.request(method, f"{API}{path}", json=body, headers=headers, params=query)

    async def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, **query: Any) -> Any:
        answer = await self.send(method, path, body, key=key, **query)
        if not answer.is_success:
            raise Problem(f"{method} {path}: {answer.status_code} {answer.text[:1500]}")
        return answer.json() if answer.content else None

    async def get(self, path: str, **query: Any) -> Any:
        return await self.ask("GET", path, **query)

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> Any:
        return await self.ask("POST", path, body or {}, key=key)

    async def refused(self, method: str, path: str, body: Any = None, *, status: int, key: str | None = None) -> Any:
        """The problem document of a request that must be refused with `status`."""
        answer = await self.send(method, path, body, key=key)
        assert answer.status_code == status, f"{answer.status_code} {answer.text[:1500]}"
        assert answer.headers["content-type"].startswith("application/problem+json")
        problem = answer.json()
        assert problem["status"] == status
        assert problem["title"]
        return problem

    async def pdf(self, method: str, path: str, body: Any = None) -> bytes:
        answer = await self.send(method, path, body)
        assert answer.status_code == 200, answer.text[:1500]
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content.startswith(b"%PDF-")
        return answer.content

    # --- getting started

    async def sign_up(self, name: str) -> None:
        email = f"owner-{next(_numbers)}@{name.lower().replace(' ', '-')}.example"
        body = {"company_name": name, "name": "Asha Rao", "email": email, "password": PASSWORD}
        self.csrf = (await self.post("/auth/register", body))["csrf_token"]
        self.csrf = (await self.post("/auth/login", {"email": email, "password": PASSWORD}))["csrf_token"]
        me = await self.get("/auth/me")
        self.company_id = UUID(me["company_id"])
        await self.ask("PATCH", "/company", {"state": "Delhi"})

    async def settle_in(self, *, rupees: int = 5000) -> None:
        """A pickup place, a box, money."""
        place = {
            "name": "Okhla warehouse", "contact": "Ravi Kumar", "phone": "9811111111", "email": "okhla@shop.example",
            "line1": "Plot 4, Okhla Phase 2", "city": "New Delhi", "state": "Delhi", "pincode": "110020",
        }  # fmt: skip
        self.place_id = (await self.post("/places", place))["id"]
        await self.ask("PUT", "/shipping/preferences", {"box": BOX})
        if rupees:
            await self.post("/wallet/fund", {"amount_paise": rupees * 100, "note": "opening"})

    async def connect(self) -> None:
        """Sign in at the store, as a browser would."""
        consent = await self.send("GET", "/integrations/shopify/install", shop=self.shop)
        assert consent.status_code == 302, consent.text
        back = await self.http.get(self.desk.approve(consent.headers["location"]))
        assert back.status_code == 200, back.text
        self.store_id = UUID(back.json()["id"])
        await drain()

    # --- the day

    async def settle(self, *, impatient: bool = False) -> None:
        """Everything that is under way arrives: vendors' webhooks, and the jobs they cause. `impatient` runs jobs that
        wait for another try, too."""
        for _ in range(10):
            await self.desk.drain()
            ran = await drain(skip_waits=impatient)
            if not ran and not self.desk.postman.waiting():
                return

    async def place(self, new: NewOrder | None = None) -> Any:
        """A buyer orders at the store; the order as the seller sees it."""
        made = self.desk.place_order(self.shop, new or an_order())
        await self.settle()
        return await self.order(made.name)

    async def order(self, number: str) -> Any:
        found = [order for order in await self.orders() if order["number"] == number]
        assert len(found) == 1, f"{len(found)} orders are {number}"
        return await self.get(f"/orders/{found[0]['id']}")

    async def orders(self) -> list[Any]:
        items: list[Any] = (await self.get("/orders", limit=200))["items"]
        return items

    async def quote(self, order: Mapping[str, Any], **changes: Any) -> Any:
        return await self.post("/quotes", {"order_id": order["id"], **changes})

    async def book(self, order: Mapping[str, Any], *, option: int = 0, key: str | None = None) -> Any:
        """Quote and book the cheapest; the shipment as it was answered, its courier not asked yet."""
        quote = await self.quote(order)
        return await self.post(
            "/shipments", {"quote_id": quote["id"], "service": quote["options"][option]["service"]}, key=key
        )

    async def ship(self, new: NewOrder | None = None) -> Any:
        """An order placed, booked, and the courier's answer taken in; the shipment whole."""
        shipment = await self.book(await self.place(new))
        await self.settle()
        return await self.shipment(shipment["id"])

    async def shipment(self, shipment_id: str) -> Any:
        return await self.get(f"/shipments/{shipment_id}")

    async def shipments(self, **query: Any) -> list[Any]:
        items: list[Any] = (await self.get("/shipments", limit=200, **query))["items"]
        return items

    async def money(self) -> tuple[int, int]:
        """Paise available, paise held."""
        now = await self.get("/wallet")
        return now["available_paise"], now["held_paise"]

    async def deliveries(self, **query: Any) -> list[Any]:
        found: list[Any] = await self.get(f"/integrations/shopify/stores/{self.store_id}/webhooks", limit=200, **query)
        return found

    async def failed_items(self, **query: Any) -> list[Any]:
        items: list[Any] = (await self.get("/integrations/shopify/failed-items", **query))["items"]
        return items

    def at_store(self, number: str) -> Any:
        return self.desk.order(self.shop, number)

    # --- webhooks by hand

    async def webhook(
        self,
        topic: str,
        body: bytes | Mapping[str, Any],
        *,
        signed: bytes | None = None,
        secret: str | None = None,
        shop: str | None = None,
        at: str = "/webhooks/shopify",
        **headers: str,
    ) -> httpx2.Response:
        """Post a webhook as Shopify would, signed with the app's secret. `signed` are other bytes that were signed;
        `headers` replace those of the same name (with underscores for dashes)."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        secret = secret or self.desk.credentials.shopify_client_secret
        made = shopify_webhooks.sign(secret, topic, shop or self.shop, raw if signed is None else signed, clock.now())
        made |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"{API}{at}", content=raw, headers=made)

    # --- what must always hold

    async def books_are_right(self) -> None:
        """Cached balances equal recomputed ones, held money belongs to open bookings, nothing was booked twice, and
        no job failed for good."""
        async with tenancy.acting_for(self.company_id) as session:
            assert await invariants.verify(session) == []
            assert await books.held_but_not_open(session) == []
        mine = {shipment["id"]: shipment for shipment in await self.shipments()}
        parcels = {key: n for key, n in self.desk.stats().parcels_by_order.items() if key in mine}
        assert set(parcels.values()) <= {1}, parcels
        failed = [job for job in await self.get("/system/jobs/failed") if job["name"] not in self.may_fail]
        assert failed == []

    async def nothing_happened(self, before: "Seen") -> None:
        """The company's orders, parcels, deliveries and money are as they were."""
        await self.settle()
        assert await self.seen() == before

    async def seen(self) -> "Seen":
        async with tenancy.acting_for(self.company_id) as session:
            wire = await db.driver(session)
            tables = ("orders", "order_lines", "order_events", "shipments", "scans", "inbox", "failed_items",
                      "ledger_movements", "quotes")  # fmt: skip
            counts = {table: await wire.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
        orders = {order["number"]: (order["state"], order["total_paise"]) for order in await self.orders()}
        shipments = {shipment["id"]: shipment["state"] for shipment in await self.shipments()}
        return Seen(counts, orders, shipments, await self.money(), self.desk.stats().parcels)


@dataclass(frozen=True)
class Seen:
    counts: Mapping[str, int]
    orders: Mapping[str, Any]
    shipments: Mapping[str, str]
    money: tuple[int, int]
    parcels: int


@dataclass
class World:
    """The running product and everything outside it."""

    app: FastAPI
    desk: Desk
    courier_secret: str
    sellers: list[Seller] = field(default_factory=list)

    def visitor(self) -> httpx2.AsyncClient:
        """A browser from an address of its own, so that one story's pace is not another's."""
        at = "10." + ".".join(str(secrets.randbelow(250)) for _ in range(3))
        transport = httpx2.ASGITransport(app=self.app, client=(at, 4321), raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=URL)

    async def newcomer(self, name: str = "Asha Lamps") -> Seller:
        """Signed up, and nothing more. The store exists but is not connected."""
        shop = f"{name.lower().replace(' ', '-')}-{next(_numbers)}.myshopify.com"
        self.desk.create_shop(shop, NewShop(domain=shop, stock=1000))
        seller = Seller(self.visitor(), self.desk, shop)
        await seller.sign_up(name)
        self.sellers.append(seller)
        return seller

    async def seller(self, name: str = "Asha Lamps", *, rupees: int = 5000) -> Seller:
        """Ready to ship: store connected, place, box and money there."""
        seller = await self.newcomer(name)
        await seller.settle_in(rupees=rupees)
        await seller.connect()
        return seller

    async def courier_webhook(
        self, body: bytes | Mapping[str, Any], *, secret: str | None = None, **headers: str
    ) -> httpx2.Response:
        """Post a webhook as the courier would."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        made = velocity_webhooks.sign(secret or self.courier_secret, "SHIPMENT_STATUS_UPDATE", raw, clock.now())
        made |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.visitor() as http:
            return await http.post(f"{API}/webhooks/velocity", content=raw, headers=made)

    def calm(self) -> None:
        """The outside world works as it should."""
        self.desk.clear_faults()
        quiet: dict[str, Any] = {"duplicate": 0, "reorder": 0, "lose": 0, "delay_seconds": 0}
        usual = VelocityKnobs()
        self.desk.set_knobs(
            Knobs(unserviceable=(UNSERVED,), prepaid_only=tuple(usual.prepaid_only), cancel_seconds=0, **quiet)
        )


def personal(shown: object) -> list[str]:
    """What of the buyer can be read in it."""
    text = str(shown).casefold()
    return [secret for secret in SECRETS_OF_THE_BUYER if secret.casefold() in text]


def kinds(order: Mapping[str, Any]) -> list[str]:
    """What happened to an order, oldest first."""
    return [event["kind"] for event in reversed(order["timeline"])]
