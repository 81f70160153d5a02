"""A scripted far side for Velocity: each path answers what the test laid down, in order, and keeps what it got."""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel, SecretStr

from shipcrowd.couriers.contract import (
    BookingLine,
    BookingRequest,
    CourierAccount,
    Flow,
    Parcel,
    Payment,
    PickupPoint,
)
from shipcrowd.integrations.velocity import VelocityCredentials
from shipcrowd.integrations.velocity.courier import VelocityCourier
from shipcrowd.kernel import clock
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Http, Json, Limits, read_json
from shipcrowd.pincodes.address import Address

PREFIX = "/custom/api/v1"
Answer = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


@dataclass
class Scripted:
    """`script.on("/order-tracking", {...}, ...)`: the last answer of a path is repeated."""

    answers: dict[str, deque[Answer]] = field(default_factory=dict)
    requests: list[httpx2.Request] = field(default_factory=list)

    def on(self, path: str, *answers: Any, status: int = 200) -> "Scripted":
        made = [a if isinstance(a, httpx2.Response | Exception) or callable(a) else reply(status, a) for a in answers]
        self.answers[path] = deque(made)
        return self

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        path = request.url.path.removeprefix(PREFIX)
        queue = self.answers[path]
        answer = queue.popleft() if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx2.Response):
            return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)

    def paths(self) -> list[str]:
        return [request.url.path.removeprefix(PREFIX) for request in self.requests]

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(r.content) for r in self.requests if r.url.path == f"{PREFIX}{path}"]

    def tokens(self, path: str) -> list[str]:
        return [r.headers["authorization"] for r in self.requests if r.url.path == f"{PREFIX}{path}"]


def reply(status: int, body: Any, **headers: str) -> httpx2.Response:
    content = json.dumps(body, default=float).encode()
    return httpx2.Response(status, content=content, headers={"content-type": "application/json", **headers})


@pytest.fixture
def answer() -> Callable[..., httpx2.Response]:
    """`answer(422, {...}, **{"retry-after": "1"})`."""
    return reply


@pytest.fixture
def payload() -> Callable[[str], Json]:
    return lambda name: read_json((Path(__file__).parent / "payloads" / f"{name}.json").read_bytes())


@pytest.fixture
def script() -> Scripted:
    expires = (clock.now() + timedelta(hours=29)).strftime("%Y-%m-%dT%H:%M:%S")
    return Scripted().on("/auth-token", {"token": "fresh", "expires_at": expires})


@pytest.fixture
def credentials() -> VelocityCredentials:
    return VelocityCredentials(
        username="+919800000001",
        password=SecretStr("s3cret"),
        token=SecretStr("kept"),
        token_expires_at=clock.now() + timedelta(hours=20),
    )


@pytest.fixture
def remembered() -> list[BaseModel]:
    """What was handed to `remember`, in order."""
    return []


@pytest.fixture
def account(script: Scripted, credentials: VelocityCredentials, remembered: list[BaseModel]) -> CourierAccount:
    async def remember(changed: BaseModel) -> None:
        remembered.append(changed)

    http = Http("velocity", transport=httpx2.MockTransport(script), limits=Limits(tries=2))
    return CourierAccount(key="velocity:1", credentials=credentials, http=http, remember=remember)


@pytest.fixture
def courier(account: CourierAccount) -> VelocityCourier:
    return VelocityCourier(account)


@pytest.fixture
def booking_request() -> BookingRequest:
    godown = PickupPoint(
        reference="loc-1",
        name="Peenya Godown",
        contact="Ravi Kulkarni",
        address=Address(
            name="Ravi Kulkarni",
            phone="098450 11223",
            email="godown@sona.example",
            line1="Plot 14, 2nd Stage",
            line2="Peenya Industrial Area",
            city="Bengaluru",
            state="Karnataka",
            pincode="560058",
        ),
        gstin="29AAPFU0939F1ZR",
        registered_as="WH7QK2",
    )
    return BookingRequest(
        reference="01939d2e-7c1a-7000-8000-00000000a001",
        order_number="SONA-1041",
        ordered_at=datetime(2026, 11, 20, 4, 5, tzinfo=UTC),
        service="CAR2CHKPXAC5T",
        flow=Flow.forward,
        payment=Payment.cod,
        to_collect=Money.rupees("1299.50"),
        declared_value=Money.rupees("1299.50"),
        ship_from=godown,
        return_to=godown,
        ship_to=Address(
            name="Anjali Deshmukh",
            phone="+91 98220-44556",
            email="anjali@mail.example",
            line1="Flat 7, Shanti Niwas",
            line2="Karve Road",
            city="Pune",
            state="Maharashtra",
            pincode="411004",
        ),
        lines=(
            BookingLine(name="Cotton kurta", sku="KRT-M", units=2, unit_price=Money.rupees("599.75")),
            BookingLine(
                name="Stole", sku="STL-1", units=1, unit_price=Money.rupees("150"), discount=Money.rupees("50")
            ),
        ),
        weight_grams=740,
        length_mm=305,
        breadth_mm=220,
        height_mm=45,
    )


@pytest.fixture
def return_request(booking_request: BookingRequest) -> BookingRequest:
    return replace(booking_request, flow=Flow.reverse, payment=Payment.prepaid, to_collect=Money.zero)


@pytest.fixture
def parcel() -> Parcel:
    return Parcel(
        from_pincode="560058",
        to_pincode="411004",
        weight_grams=740,
        length_mm=305,
        breadth_mm=220,
        height_mm=45,
        payment=Payment.cod,
        declared_value=Money.rupees("1299.50"),
        to_collect=Money.rupees("1299.50"),
    )
