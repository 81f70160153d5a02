"""A scripted far side for Flipkart: each path answers what the test laid down and keeps what it was asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel, SecretStr

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.integrations.flipkart import FlipkartApp, FlipkartChannel, FlipkartCourier, FlipkartCredentials
from shipcrowd.integrations.flipkart.client import FlipkartClient
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Disconnected, Http, Json, Limits, read_json

SELLER = "d591418b408940a0"
LOCATION = "LOC3f0d6a1c9b7e4d52a8c1e0f9b3a47d61"
BASE = "https://api.flipkart.net"
NOW = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
FILTER, READ = "/v3/shipments/filter", "/v3/shipments"

Answer = Json | httpx2.Response | Exception | Callable[[httpx2.Request], Any]


@dataclass
class Flipkart:
    """`flipkart.on("/v3/shipments/filter", answer, …)`: answers in turn, the last one for good. An answer is a JSON
    value, bytes (a PDF), a response, an exception, or a function of the request. Paths are without `/sellers`."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[httpx2.Request] = field(default_factory=list)
    tokens: list[str] = field(default_factory=lambda: ["first-token-1", "second-token-2"])
    paced: list[tuple[str, str]] = field(default_factory=list)

    def on(self, path: str, *answers: Answer) -> "Flipkart":
        self.answers[path] = list(answers)
        return self

    def paths(self) -> list[str]:
        return [path_of(request) for request in self.requests]

    def bodies(self, path: str) -> list[Json]:
        return [read_json(request.content) for request in self.requests if path_of(request) == path]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        path = path_of(request)
        laid = self.answers.get(path)
        assert laid, f"nothing was laid down for {request.method} {path}"
        answer = laid.pop(0) if len(laid) > 1 else laid[0]
        if callable(answer) and not isinstance(answer, httpx2.Response):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx2.Response):
            return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)
        if isinstance(answer, bytes):
            return httpx2.Response(200, content=answer, headers={"content-type": "application/pdf"})
        return httpx2.Response(200, content=json.dumps(answer, default=str))

    def http(self) -> Http:
        return Http("flipkart", transport=httpx2.MockTransport(self.handle), limits=Limits(tries=1))

    def account(self) -> StoreAccount:
        async def credentials(stale: BaseModel | None = None) -> BaseModel:
            if stale is not None:
                if len(self.tokens) < 2:
                    raise Disconnected("sign in again")
                self.tokens.pop(0)
            return signed_in(self.tokens[0])

        async def pace(operation: str, cost: int) -> None:
            self.paced.append(("pace", operation))

        async def hurry(operation: str, cost: int) -> None:
            self.paced.append(("hurry", operation))

        async def retune(operation: str, capacity: float, left: float, refill: float) -> None:
            raise AssertionError("Flipkart never tells its bucket")

        return StoreAccount(
            key="store-1",
            external_id=SELLER,
            credentials=credentials,
            http=self.http(),
            app=FlipkartApp(app_id="our-app", app_secret=SecretStr("our-secret")),
            pace=pace,
            retune=retune,
            hurry=hurry,
        )

    def client(self) -> FlipkartClient:
        return FlipkartClient(self.account())

    def channel(self) -> FlipkartChannel:
        return FlipkartChannel(self.account())

    def courier(self) -> FlipkartCourier:
        return FlipkartCourier(self.account())


def path_of(request: httpx2.Request) -> str:
    return request.url.raw_path.decode().partition("?")[0].removeprefix("/sellers")


def signed_in(token: str = "first-token-1", **more: Any) -> FlipkartCredentials:
    return FlipkartCredentials(
        kind="signed_in",
        seller_id=SELLER,
        access_token=SecretStr(token),
        refresh_token=SecretStr("refresh-one"),
        expires_at=NOW + timedelta(days=60),
        **more,
    )


def shipment(shipment_id: str = "8c2a1f54-0b7e-4b0d-9d4b-51c0a6f3e9d7", status: str = "APPROVED", **more: Any) -> Any:
    """A standard COD shipment of two bottles; `item` changes its only item."""
    item = {
        "orderItemId": "12345600012345600",
        "orderId": "OD512345600012345600",
        "cancellationGroupId": "grp12345600012345600",
        "orderDate": "2026-11-20T18:15:57.000+05:30",
        "paymentType": "COD",
        "status": status,
        "quantity": 2,
        "fsn": "BOTXZ7Q9EXAMPLE1",
        "sku": "BOT-1L-BLU",
        "hsn": "73239390",
        "title": "Steel bottle 1 L blue",
        "priceComponents": {
            "sellingPrice": 998,
            "shippingCharge": 80,
            "totalPrice": 1078,
            "flipkartDiscount": 0,
            "customerPrice": 1078,
        },
        "serviceProfile": "NON_FBF",
        "is_replacement": False,
    } | more.pop("item", {})
    size = {"length": 28.0, "breadth": 9.0, "height": 9.0, "weight": 0.42}
    made = {
        "shipmentId": shipment_id,
        "dispatchAfterDate": "2026-11-20T20:00:00.000+05:30",
        "dispatchByDate": "2026-11-21T14:00:00.000+05:30",
        "updatedAt": "2026-11-20T18:17:01.000+05:30",
        "locationId": LOCATION,
        "hold": False,
        "shipmentType": "NORMAL",
        "subShipments": [{"subShipmentId": "SS-1", "packages": [{"packageId": "PKG-1", "dimensions": size}]}],
        "orderItems": [item],
        "forms": [],
    }
    return made | more


def details(shipment_id: str = "8c2a1f54-0b7e-4b0d-9d4b-51c0a6f3e9d7", **more: Any) -> Any:
    return {
        "orderId": "OD512345600012345600",
        "shipmentId": shipment_id,
        "locationId": LOCATION,
        "deliveryAddress": {
            "firstName": "Asha",
            "lastName": "Rao",
            "addressLine1": "12, 4th Cross",
            "addressLine2": "Indiranagar",
            "landmark": "Near park",
            "city": "Bengaluru",
            "state": "Karnataka",
            "stateCode": "IN-KA",
            "pinCode": "560038",
            "contactNumber": "9000000001",
        },
        "buyerDetails": {"firstName": "Asha", "lastName": "Rao"},
    } | more


def with_awb(awb: str = "FMPC0000000001") -> dict[str, Any]:
    leg = {"trackingId": awb, "vendorName": "E-Kart Logistics"}
    return {"subShipments": [{"courierDetails": {"pickupDetails": leg, "deliveryDetails": leg}}]}


def done(*ids: str, key: str = "status") -> Any:
    return {
        "shipments": [{"shipmentId": each, key: "SUCCESS", "errorCode": None, "errorMessage": None} for each in ids]
    }


def failed(shipment_id: str, code: str, words: str) -> Any:
    return {"shipments": [{"shipmentId": shipment_id, "status": "FAILURE", "errorCode": code, "errorMessage": words}]}


@pytest.fixture
def flipkart() -> Flipkart:
    return Flipkart()


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def payload() -> Callable[[str], Any]:
    def read(name: str) -> Any:
        return read_json((Path(__file__).parent / "payloads" / f"{name}.json").read_bytes())

    return read
