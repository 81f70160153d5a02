"""A raw SP-API client whose every answer is held to Amazon's published model, where the models are present."""

import json
import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from shipcrowd.sandbox.amazon.desk import AmazonDesk
from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, NewSeller, SellerView
from shipcrowd.sandbox.desk import Desk
from tests.support import body_of

SPECS = Path(os.environ.get("SHIPCROWD_SPECS", Path(__file__).parents[4] / "shared" / "specs")) / "amazon"
API = "https://sellingpartnerapi-eu.amazon.com"
QUEUE_HOST = "sqs.eu-west-1.amazonaws.com"
QUEUE = "arn:aws:sqs:eu-west-1:111122223333:spapi"
AGENT = "ShipCrowd/1.0 (Language=Python/3.11; Platform=Linux)"

MODELS = {
    "/orders/2026-01-01/": "orders_2026-01-01",
    "/orders/v0/": "ordersV0",
    "/notifications/": "notifications",
    "/feeds/": "feeds_2021-06-30",
    "/reports/": "reports_2021-06-30",
    "/listings/": "listingsItems_2021-08-01",
    "/catalog/": "catalogItems_2022-04-01",
    "/fba/": "fbaInventory",
    "/easyShip/": "easyShip_2022-03-23",
    "/shipping/": "shippingV2",
    "/tokens/": "tokens_2021-03-01",
    "/sellers/": "sellers",
    "/applications/": "application_2023-11-30",
}


@cache
def model(name: str) -> dict[str, Any]:
    return json.loads((SPECS / f"{name}.json").read_text())


def published(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """The model's name and its operation for a call; None for what no model has."""
    name = next(value for start, value in MODELS.items() if path.startswith(start))
    for template, operations in model(name)["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations:
            return name, operations[method.lower()]
    return None


@cache
def validator(name: str, schema: str) -> Any:
    made = {**json.loads(schema), "definitions": model(name)["definitions"]}
    return jsonschema_rs.Draft4Validator(made, validate_formats=True)


def hold_to_model(reply: httpx2.Response, method: str, path: str) -> None:
    """Fails where the answer is not one the model allows for this status."""
    if not SPECS.exists() or reply.headers.get("content-type", "").startswith("text/html"):
        return
    found = published(method, path)
    if found is None:
        assert reply.status_code == 403 or path.endswith("/cancellation"), f"{method} {path} is in no model"
        return
    name, operation = found
    responses = operation["responses"]
    assert str(reply.status_code) in responses, f"{operation['operationId']} never answers {reply.status_code}"
    schema = responses[str(reply.status_code)].get("schema")
    if schema is None:
        assert reply.content in (b"", b"null", b"{}")
        return
    errors = [
        f"{'/'.join(map(str, one.instance_path))}: {one.message}"
        for one in validator(name, json.dumps(schema)).iter_errors(reply.json())
    ]
    assert not errors, f"{operation['operationId']} {reply.status_code}: {errors[:5]}"


@dataclass
class Spapi:
    """Raw calls as one seller, or without one."""

    http: httpx2.AsyncClient
    desk: AmazonDesk
    seller: SellerView
    token: str = ""
    base: str = API
    held: bool = True  # whether answers are held to the models

    async def sign_in(self, refresh_token: str | None = None) -> str:
        value = refresh_token or self.desk.refresh_token(self.seller.id)
        reply = await self.lwa(grant_type="refresh_token", refresh_token=value)
        assert reply.status_code == 200, reply.text
        self.token = reply.json()["access_token"]
        return self.token

    async def grantless(self, scope: str = "sellingpartnerapi::notifications") -> "Spapi":
        reply = await self.lwa(grant_type="client_credentials", scope=scope)
        return Spapi(self.http, self.desk, self.seller, reply.json()["access_token"])

    async def lwa(self, **form: str) -> httpx2.Response:
        app = self.desk.world.app
        sent = {"client_id": app.client_id, "client_secret": app.secret, **form}
        return await self.http.post("https://api.amazon.com/auth/o2/token", data=sent)

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> httpx2.Response:
        headers = {"x-amz-access-token": self.token, "user-agent": AGENT, **query.pop("headers", {})}
        params = {name: ",".join(one) if isinstance(one, list) else one for name, one in query.items()}
        reply = await self.http.request(method, self.base + path, params=params, json=body, headers=headers)
        if self.held:
            hold_to_model(reply, method, path)
        return reply

    async def get(self, path: str, **query: Any) -> Any:
        reply = await self.call("GET", path, **query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def post(self, path: str, body: Any, **query: Any) -> Any:
        reply = await self.call("POST", path, body, **query)
        assert reply.status_code in (200, 201, 202, 204), reply.text
        return reply.json() if reply.content else None

    async def subscribe(self, *types: str, **more: Any) -> None:
        grantless = await self.grantless()
        known = (await grantless.get("/notifications/v1/destinations"))["payload"]
        if not known:
            spec = {"name": "shipcrowd", "resourceSpecification": {"sqs": {"arn": QUEUE}}}
            known = [(await grantless.post("/notifications/v1/destinations", spec))["payload"]]
        for one in types:
            version = "2020-09-04" if one.endswith("PROCESSING_FINISHED") else "1.0"
            body = {"payloadVersion": version, "destinationId": known[0]["destinationId"], **more}
            await self.post(f"/notifications/v1/subscriptions/{one}", body)


@pytest.fixture
def published_operation():
    """The name Amazon's models give to the operation behind a method and a path."""
    if not SPECS.exists():
        pytest.skip(f"Amazon's models are not at {SPECS}; set SHIPCROWD_SPECS")

    def name(method: str, path: str) -> str | None:
        found = published(method, path)
        return found[1]["operationId"] if found else None

    return name


@pytest.fixture
def amazon(desk: Desk) -> AmazonDesk:
    desk.amazon.set_knobs(AmazonKnobChange(search_lag_seconds=0))
    return desk.amazon


@pytest.fixture
async def spapi(amazon: AmazonDesk, http: httpx2.AsyncClient) -> Spapi:
    made = Spapi(http, amazon, amazon.create_seller(NewSeller(seller_id="A1INSELLER0001")))
    await made.sign_in()
    return made


@dataclass
class Queue:
    """An SQS endpoint in this process that keeps what is put into it."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    raw: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.messages if kind in (one.get("NotificationType"), one.get("notificationType"))]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await body_of(receive)
        self.raw.append(json.loads(body))
        self.messages.append(json.loads(self.raw[-1]["MessageBody"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture
def queue(desk: Desk) -> Queue:
    made = Queue()
    desk.postman.receivers[QUEUE_HOST] = made
    return made
