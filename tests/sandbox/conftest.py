"""A sandbox in this process, a raw HTTP client that reaches it under the vendors' real URLs, and a webhook receiver."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from graphql import OperationDefinitionNode, parse, print_ast

from shipcrowd.sandbox.app import InProcess, sandbox
from shipcrowd.sandbox.desk import Desk
from tests.support import body_of

SHOP = "asha-crafts.myshopify.com"
SCOPES = (
    "read_orders,write_orders,read_products,write_inventory,read_locations,"
    "write_merchant_managed_fulfillment_orders,read_third_party_fulfillment_orders"
)
DOCUMENTS = Path(__file__).parent / "documents.graphql"


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """An app under https://app.example that keeps what it is sent and answers what the test says."""

    answers: list[int] = field(default_factory=list)  # one per delivery; then 200
    received: list[Received] = field(default_factory=list)

    @property
    def topics(self) -> list[str]:
        return [one.headers.get("x-shopify-topic") or one.headers["x-velocity-event-type"] for one in self.received]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await body_of(receive)
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        self.received.append(Received(headers, body))
        status = self.answers.pop(0) if self.answers else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def desk(receiver: Receiver) -> AsyncGenerator[Desk, None]:
    made = Desk(seed=7)
    made.postman.receivers["app.example"] = receiver
    made.create_shop(SHOP)
    yield made
    await made.close()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def http(desk: Desk) -> AsyncGenerator[httpx2.AsyncClient, None]:
    async with httpx2.AsyncClient(transport=InProcess(sandbox(desk)), timeout=5) as client:
        yield client


def documents() -> dict[str, str]:
    """Operation name → its text, with the fragments it needs."""
    document = parse(DOCUMENTS.read_text())
    fragments = [one for one in document.definitions if not isinstance(one, OperationDefinitionNode)]
    found: dict[str, str] = {}
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode) and one.name:
            text = print_ast(one)
            for fragment in fragments:
                if f"...{fragment.name.value}" in text:  # type: ignore[attr-defined]
                    text += "\n" + print_ast(fragment)
            found[one.name.value] = text
    return found


@dataclass
class Shopify:
    """Raw GraphQL at one shop."""

    http: httpx2.AsyncClient
    token: str
    shop: str = SHOP
    version: str = "2026-10"
    documents: dict[str, str] = field(default_factory=documents)

    async def post(self, query: str, variables: dict[str, Any] | None = None) -> httpx2.Response:
        return await self.http.post(
            f"https://{self.shop}/admin/api/{self.version}/graphql.json",
            headers={"X-Shopify-Access-Token": self.token, "Content-Type": "application/json"},
            json={"query": query, "variables": variables or {}},
        )

    async def ask(self, name: str, **variables: Any) -> dict[str, Any]:
        """One of the documents; the whole answer."""
        reply = await self.post(self.documents[name], variables)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def data(self, name: str, **variables: Any) -> dict[str, Any]:
        answer = await self.ask(name, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]


@pytest.fixture
def shopify(desk: Desk, http: httpx2.AsyncClient) -> Shopify:
    token, _ = desk.custom_token(SHOP, SCOPES.split(","))
    return Shopify(http, token)


@pytest.fixture
async def subscribe(shopify: Shopify) -> Callable[..., Any]:
    async def to(*topics: str, url: str = "https://app.example/hooks") -> None:
        for topic in topics:
            made = await shopify.data("Hook", topic=topic, s={"uri": url, "format": "JSON"})
            assert made["webhookSubscriptionCreate"]["userErrors"] == []

    return to


@dataclass
class Velocity:
    """Raw calls to the courier."""

    http: httpx2.AsyncClient
    token: str = ""
    base: str = "https://shazam.velocity.in/custom/api/v1"

    async def post(self, operation: str, body: Any, method: str = "POST") -> httpx2.Response:
        return await self.http.request(
            method, f"{self.base}/{operation}", json=body, headers={"Authorization": self.token}
        )

    async def sign_in(self, username: str, password: str) -> None:
        reply = await self.http.post(f"{self.base}/auth-token", json={"username": username, "password": password})
        self.token = reply.json()["token"]

    async def book(self, body: Callable[..., dict[str, Any]], **changes: Any) -> dict[str, Any]:
        """Register a warehouse, book one parcel from it in one step: the payload of the answer."""
        reply = await self.post("forward-order-orchestration", body(await self.warehouse(), **changes))
        assert reply.status_code == 200, reply.text
        return reply.json()["payload"]

    async def warehouse(self, name: str = "Peenya warehouse", zip: str = "560058") -> str:
        reply = await self.post("warehouse", warehouse_body(name, zip))
        assert reply.status_code == 200, reply.text
        return reply.json()["payload"]["warehouse_id"]


def warehouse_body(name: str = "Peenya warehouse", zip: str = "560058") -> dict[str, Any]:
    return {
        "name": name,
        "phone_number": "9845011111",
        "email": "dispatch@ashacrafts.example",
        "contact_person": "Kiran",
        "address_attributes": {
            "street_address": "Plot 9, Peenya Industrial Area",
            "zip": zip,
            "city": "Bengaluru",
            "state": "Karnataka",
            "country": "India",
        },
    }


@pytest.fixture
async def velocity(desk: Desk, http: httpx2.AsyncClient) -> Velocity:
    made = Velocity(http)
    await made.sign_in(desk.credentials.velocity_username, desk.credentials.velocity_password)
    return made


@pytest.fixture
def forward() -> Callable[..., dict[str, Any]]:
    def body(warehouse_id: str, **changes: Any) -> dict[str, Any]:
        return {
            "order_id": "SC-1001",
            "order_date": "2026-11-22 10:30",
            "channel_id": "27202",
            "carrier_id": "",
            "billing_customer_name": "Asha",
            "billing_last_name": "Rao",
            "billing_address": "14, 3rd Main, Jayanagar",
            "billing_city": "Mumbai",
            "billing_pincode": "400050",
            "billing_state": "Maharashtra",
            "billing_country": "India",
            "billing_phone": "9845000101",
            "shipping_is_billing": True,
            "print_label": True,
            "order_items": [
                {"name": "Steel bottle", "sku": "BOT-1L-BLU", "units": 2, "selling_price": 499, "discount": 0, "tax": 0}
            ],
            "payment_method": "COD",
            "sub_total": 998,
            "cod_collectible": 998,
            "length": 20,
            "breadth": 15,
            "height": 10,
            "weight": 0.84,
            "pickup_location": "Peenya warehouse",
            "warehouse_id": warehouse_id,
            **changes,
        }

    return body


@pytest.fixture
async def served() -> AsyncGenerator[tuple[str, Desk], None]:
    """A sandbox behind a real loopback socket: its address and its desk."""
    made = Desk(seed=3)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(sandbox(made), log_level="warning", timeout_graceful_shutdown=1))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", made
    server.should_exit = True
    await running
