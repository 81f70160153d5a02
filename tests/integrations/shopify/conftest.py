"""A scripted far side for Shopify: each operation answers what the test laid down and keeps what it was asked."""

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
from shipcrowd.integrations.shopify import ShopifyApp, ShopifyChannel, ShopifyCredentials
from shipcrowd.integrations.shopify.client import ShopifyClient
from shipcrowd.kernel.outbound import Disconnected, Http, Json, Limits, read_json

SHOP = "mehfil-studio.myshopify.com"
NOW = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)

Answer = Json | httpx2.Response | Exception | Callable[[dict[str, Json]], Json]


@dataclass
class Shop:
    """`shop.on("OrderById", answer, …)`: answers in turn, the last one for good. An answer is the reply's `data`
    (a dict without `data` or `errors`), a whole body, a response, an exception, or a function of the variables."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    requests: list[httpx2.Request] = field(default_factory=list)
    tokens: list[str] = field(default_factory=lambda: ["shpat_first_token", "shpat_second_token"])
    paced: list[tuple[str, int]] = field(default_factory=list)
    retuned: list[tuple[str, float, float, float]] = field(default_factory=list)
    version: str = "2026-10"

    def on(self, operation: str, *answers: Answer) -> "Shop":
        self.answers[operation] = list(answers)
        return self

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked]

    def variables(self, operation: str) -> list[dict[str, Json]]:
        return [variables for name, variables in self.asked if name == operation]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        body = read_json(request.content)
        operation = body["operationName"]
        self.asked.append((operation, body["variables"]))
        laid = self.answers.get(operation)
        assert laid, f"nothing was laid down for {operation}"
        answer = laid.pop(0) if len(laid) > 1 else laid[0]
        if callable(answer) and not isinstance(answer, httpx2.Response):
            answer = answer(body["variables"])
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx2.Response):
            return answer
        if isinstance(answer, dict) and not {"data", "errors"} & set(answer):
            answer = {"data": answer}
        return httpx2.Response(
            200,
            content=json.dumps(answer, default=str),
            headers={"x-shopify-api-version": self.version, "content-type": "application/json"},
        )

    def http(self) -> Http:
        return Http("shopify", transport=httpx2.MockTransport(self.handle), limits=Limits(tries=1))

    def account(self) -> StoreAccount:
        async def credentials(stale: BaseModel | None = None) -> BaseModel:
            if stale is not None:
                if len(self.tokens) < 2:
                    raise Disconnected("sign in again")
                self.tokens.pop(0)
            return ShopifyCredentials(
                kind="expiring",
                access_token=SecretStr(self.tokens[0]),
                refresh_token=SecretStr("shprt_one"),
                expires_at=NOW + timedelta(hours=1),
            )

        async def pace(operation: str, cost: int) -> None:
            self.paced.append((operation, cost))

        async def retune(operation: str, capacity: float, left: float, refill: float) -> None:
            self.retuned.append((operation, capacity, left, refill))

        return StoreAccount(
            key="store-1",
            external_id=SHOP,
            credentials=credentials,
            http=self.http(),
            app=ShopifyApp(client_id="app-id", client_secret=SecretStr("app-secret")),
            pace=pace,
            retune=retune,
        )

    def client(self) -> ShopifyClient:
        return ShopifyClient(self.account())

    def channel(self) -> ShopifyChannel:
        return ShopifyChannel(self.account())


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def payload() -> Callable[[str], Any]:
    def read(name: str) -> Any:
        return read_json((Path(__file__).parent / "payloads" / f"{name}.json").read_bytes())

    return read
