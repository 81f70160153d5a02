"""What every courier owes us, asked of each vendor in turn against a small far side of its own.

A new courier joins by one entry in `CASES`: how to open it, a service it books, and what its far side answers.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel, SecretStr

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.couriers import contract
from shipcrowd.couriers.contract import (
    BookingLine,
    BookingRequest,
    Courier,
    CourierAccount,
    CourierVendor,
    Flow,
    Parcel,
    Payment,
    PickupPoint,
)
from shipcrowd.integrations import amazon, flipkart, manual, velocity
from shipcrowd.integrations.amazon import shipping as amazon_shipping
from shipcrowd.integrations.velocity import webhooks as velocity_webhooks
from shipcrowd.kernel import clock
from shipcrowd.kernel.errors import Unauthenticated
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Disconnected, Http, Limits, Malformed, OutsideFailure
from shipcrowd.pincodes.address import Address

ABILITIES = {
    name: getattr(contract, name)
    for name in (
        "BooksReturns",
        "RegistersPickupPoints",
        "RequestsPickup",
        "FetchesLabels",
        "Reattempts",
        "ReportsTotals",
        "TestsConnection",
        "TracksByItsOwnId",
        "CancelsByItsOwnId",
        "HandsOver",
        "PreparesTogether",
        "GivesPapers",
        "TakesForms",
    )
}


FLIPKART_APP = flipkart.FlipkartApp()


@dataclass(frozen=True)
class Case:
    """One vendor under the suite. `far_side` answers its HTTP calls; `sign` makes the headers of its webhooks."""

    vendor: CourierVendor
    credentials: BaseModel
    service: str
    abilities: frozenset[str]
    far_side: Callable[[httpx2.Request], httpx2.Response]
    known_awb: str | None  # one that its far side tracks
    sign: Callable[[str, str, bytes, datetime], dict[str, str]] | None = None
    webhook: tuple[str, Any] | None = None
    at_store: Callable[[StoreAccount], Courier] | None = None  # a marketplace's: opened with the store's account
    app: BaseModel = FLIPKART_APP

    def open(self, far_side: Callable[[httpx2.Request], httpx2.Response] | None = None) -> Courier:
        transport = httpx2.MockTransport(far_side or self.far_side)
        http = Http(self.vendor.slug, transport=transport, limits=Limits(tries=1))
        if self.at_store is not None:
            return self.at_store(store_account(self.credentials, http, self.app))
        return self.vendor.open(CourierAccount(key=f"{self.vendor.slug}:1", credentials=self.credentials, http=http))


def store_account(given: BaseModel, http: Http, app: BaseModel) -> StoreAccount:
    async def credentials(stale: BaseModel | None = None) -> BaseModel:
        if stale is not None:
            raise Disconnected("sign in again")
        return given

    async def nothing(*_: object) -> None: ...

    return StoreAccount("store", "seller", credentials, http, app, nothing, nothing)


def flipkart_far_side(request: httpx2.Request) -> httpx2.Response:
    item = {
        "orderItemId": "1", "orderId": "OD1", "orderDate": "2026-11-20T18:15:57+05:30", "paymentType": "COD",
        "status": "PACKED", "quantity": 1, "sku": "KRT-M", "fsn": "KRT", "priceComponents": {"sellingPrice": 899},
    }  # fmt: skip
    leg = {"courierDetails": {"deliveryDetails": {"trackingId": "FMPC1", "vendorName": "E-Kart Logistics"}}}
    found = {"shipmentId": "ship-1", "shipmentType": "NORMAL", "orderItems": [item], **leg}
    return httpx2.Response(200, json={"shipments": [found]})


def velocity_far_side(request: httpx2.Request) -> httpx2.Response:
    asked = json.loads(request.content) if request.content else {}
    path = request.url.path.rsplit("/", 1)[-1]
    if path == "auth-token":
        return httpx2.Response(200, json={"token": "t", "expires_at": "2099-01-01T00:00:00"})
    if path == "serviceability":
        listed = [{"carrier_id": "CARR5H4WQY3PM", "carrier_name": "Ekart"}] if asked["to"] != "744301" else []
        return httpx2.Response(
            200, json={"status": "SUCCESS", "result": {"serviceability_results": listed, "zone": "zone_d"}}
        )
    if path in ("forward-order-orchestration", "reverse-order-orchestration"):
        awb = f"AWB{sum(asked['order_id'].encode()):06}"
        payload = {"order_created": 1, "awb_generated": 1, "awb_code": awb, "courier_name": "Ekart Standard"}
        return httpx2.Response(200, json={"status": 1, "payload": payload})
    if path == "cancel-order":
        return httpx2.Response(200, json={"message": "In progress"})
    if path == "order-tracking":
        activities = [
            {"date": "2026-11-25 09:40:00", "activity": "OFD", "location": "Pune"},
            {"date": "2026-11-24 06:00:00", "activity": "IN TRANSIT", "location": "Bengaluru"},
        ]
        data = {"shipment_status": "OFD", "shipment_track": [], "shipment_track_activities": activities}
        result = {awb: {"error": "not found"} for awb in asked["awbs"]}
        return httpx2.Response(200, json={"result": result | {"EK0000001": {"tracking_data": data}}})
    return httpx2.Response(404, json={"message": "no such path"})


def amazon_far_side(request: httpx2.Request) -> httpx2.Response:
    asked = json.loads(request.content) if request.content else {}
    path = request.url.path
    if path == "/shipping/v2/shipments/rates":
        rate = {
            "rateId": "1", "serviceId": "SWA-IN-OA", "serviceName": "Standard", "carrierId": "ATS",
            "carrierName": "Amazon Shipping", "totalCharge": {"value": 58, "unit": "INR"},
            "supportedDocumentSpecifications": [{"format": "PDF", "size": {"width": 4, "length": 6, "unit": "INCH"}}],
        }  # fmt: skip
        found = [] if asked.get("shipTo", {}).get("postalCode") == "744301" else [rate]
        return httpx2.Response(200, json={"payload": {"requestToken": "t", "rates": found}})
    if path == "/shipping/v2/shipments":
        awb = f"28{sum(request.headers['x-amzn-idempotencykey'].encode()):08}"
        packages = [{"packageClientReferenceId": "r", "trackingId": awb, "packageDocuments": []}]
        return httpx2.Response(200, json={"payload": {"shipmentId": "sid", "packageDocumentDetails": packages}})
    if path == "/shipping/v2/tracking" and request.url.params["trackingId"] == "280000000001":
        events = [{"eventCode": "PickupDone", "eventTime": "2026-11-22T06:00:00Z"}]
        return httpx2.Response(200, json={"payload": {"eventHistory": events}})
    if path == "/easyShip/2022-03-23/package":
        tracked = {"packageStatus": "ReadyForPickup", "trackingDetails": {"trackingId": "365000000001"}}
        return httpx2.Response(200, json=tracked)
    return httpx2.Response(404, json={"errors": [{"code": "ResourceNotFound", "message": "no such thing"}]})


def nobody_there(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError(f"this courier calls nobody, yet it called {request.url}")


AMAZON_KEYS = amazon.AmazonCredentials(
    refresh_token=SecretStr("Atzr|theirs"),
    access_token=SecretStr("Atza|theirs"),
    expires_at=datetime(2099, 1, 1, tzinfo=UTC),
)

CASES = (
    Case(
        vendor=velocity.vendor,
        credentials=velocity.VelocityCredentials(
            username="9800000001",
            password=SecretStr("x"),
            token=SecretStr("t"),
            token_expires_at=datetime(2099, 1, 1, tzinfo=UTC),
        ),
        service="CARR5H4WQY3PM",
        abilities=frozenset(
            {"BooksReturns", "RegistersPickupPoints", "FetchesLabels", "ReportsTotals", "TestsConnection"}
        ),
        far_side=velocity_far_side,
        known_awb="EK0000001",
        sign=velocity_webhooks.sign,
        webhook=("SHIPMENT_STATUS_UPDATE", {"awb": "EK0000001", "status": "OFD", "updated_at": "2026-11-25 09:40:00"}),
    ),
    Case(
        vendor=manual.vendor,
        credentials=manual.ManualCredentials(),
        service=manual.typed("Delhivery", "DL-778812"),
        abilities=frozenset(),
        far_side=nobody_there,
        known_awb=None,
    ),
    Case(
        vendor=flipkart.logistics,
        credentials=flipkart.FlipkartCredentials(kind="signed_in", access_token=SecretStr("a-token-of-theirs")),
        service="standard",
        abilities=frozenset(
            {"FetchesLabels", "TracksByItsOwnId", "HandsOver", "PreparesTogether", "GivesPapers", "TakesForms"}
        ),
        far_side=flipkart_far_side,
        known_awb=None,
        at_store=flipkart.FlipkartCourier,
    ),
    Case(
        vendor=amazon.shipping_vendor,
        credentials=AMAZON_KEYS,
        service="SWA-IN-OA",
        abilities=frozenset({"FetchesLabels", "TracksByItsOwnId", "CancelsByItsOwnId", "Reattempts"}),
        far_side=amazon_far_side,
        known_awb="280000000001",
        at_store=amazon.AmazonShipping,
        app=amazon.AmazonApp(),
    ),
    Case(
        vendor=amazon.easy_ship_vendor,
        credentials=AMAZON_KEYS,
        service="easy_ship",
        abilities=frozenset({"FetchesLabels", "TracksByItsOwnId", "CancelsByItsOwnId"}),
        far_side=amazon_far_side,
        known_awb=None,
        at_store=amazon.EasyShip,
        app=amazon.AmazonApp(),
    ),
)


@pytest.fixture(params=CASES, ids=lambda case: case.vendor.slug)
def case(request: pytest.FixtureRequest) -> Case:
    amazon_shipping.forget_silent()  # every case's far side is another one under the same name
    return request.param


@pytest.fixture
def request_for(case: Case) -> BookingRequest:
    here = PickupPoint(
        reference="loc-1",
        name="Peenya Godown",
        contact="Ravi Kulkarni",
        address=address("Ravi Kulkarni", "Peenya", "Bengaluru", "Karnataka", "560058"),
        registered_as="PLACE-1",
    )
    return BookingRequest(
        reference="01939d2e-7c1a-7000-8000-00000000a001",
        order_number="SONA-1041",
        ordered_at=datetime(2026, 11, 20, 4, 5, tzinfo=UTC),
        service=case.service,
        flow=Flow.forward,
        payment=Payment.cod,
        to_collect=Money.rupees("899"),
        declared_value=Money.rupees("899"),
        ship_from=here,
        return_to=here,
        ship_to=address("Anjali Deshmukh", "Karve Road", "Pune", "Maharashtra", "411004"),
        lines=(BookingLine(name="Cotton kurta", sku="KRT-M", units=1, unit_price=Money.rupees("899")),),
        weight_grams=450,
        length_mm=300,
        breadth_mm=200,
        height_mm=40,
        order_external_id="ship-1",
    )


def address(name: str, street: str, city: str, state: str, pincode: str) -> Address:
    return Address(name=name, phone="9845011223", line1=street, city=city, state=state, pincode=pincode)


def parcel(to_pincode: str = "411004") -> Parcel:
    return Parcel("560058", to_pincode, 450, 300, 200, 40, Payment.cod, Money.rupees("899"), Money.rupees("899"))


def test_the_declaration_is_complete(case):
    vendor = case.vendor
    assert vendor.slug.isidentifier()
    assert vendor.slug == vendor.slug.lower()
    assert vendor.name
    assert vendor.tracking_batch > 0
    assert vendor.cancel_batch > 0
    assert all(calls > 0 and seconds > 0 for calls, seconds in vendor.paces.values())


def test_what_is_secret_is_typed_as_a_secret(case):
    hushed = ("password", "secret", "token", "key")
    for name, field in case.vendor.credentials.model_fields.items():
        if any(word in name for word in hushed) and "expires" not in name:
            assert "SecretStr" in str(field.annotation), name


def test_it_is_a_courier_with_just_the_abilities_it_is_known_for(case):
    opened = case.open()
    assert isinstance(opened, Courier)
    assert {name for name, ability in ABILITIES.items() if isinstance(opened, ability)} == case.abilities


async def test_offers_name_a_service_and_who_carries(case):
    offers = await case.open().offers(parcel())
    assert offers
    assert all(offer.service and offer.name and offer.carrier for offer in offers)
    assert len({offer.service for offer in offers}) == len(offers)


async def test_booking_yields_an_awb_and_the_carrier_and_the_same_again(case, request_for):
    courier = case.open()
    booking = await courier.book(request_for)
    assert booking.awb
    assert booking.carrier
    assert (await courier.book(request_for)).awb == booking.awb


async def test_a_return_yields_an_awb_where_returns_are_booked(case, request_for):
    courier = case.open()
    if not isinstance(courier, contract.BooksReturns):
        pytest.skip(f"{case.vendor.name} books no returns")
    booking = await courier.book_return(
        replace(request_for, flow=Flow.reverse, payment=Payment.prepaid, to_collect=Money.zero)
    )
    assert booking.awb


async def test_cancelling_answers_for_each_awb_in_order(case):
    awbs = [f"EK{n:07}" for n in range(case.vendor.cancel_batch + 3)]
    results = await case.open().cancel(awbs)
    assert [result.awb for result in results] == awbs


async def test_nothing_asked_is_nothing_answered(case):
    courier = case.open(nobody_there)
    assert list(await courier.cancel([])) == []
    assert dict(await courier.scans([])) == {}


async def test_histories_are_of_what_was_asked_aware_and_oldest_first(case):
    asked = [case.known_awb or "EK0000001", "EK0000404"]
    replies = await case.open().scans(asked)
    assert set(replies) <= set(asked)
    for awb, reply in replies.items():
        assert reply.awb == awb
        assert bool(reply.scans) != bool(reply.error)
        assert all(scan.at.tzinfo for scan in reply.scans)
        assert [scan.at for scan in reply.scans] == sorted(scan.at for scan in reply.scans)
    if case.known_awb:
        assert replies[case.known_awb].scans


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(503, content=b"<html>down</html>"),
        httpx2.Response(200, content=b"<html>hello</html>"),
        httpx2.Response(401, json={"error": "no"}),
        httpx2.Response(422, json={"message": "no"}),
        httpx2.ReadTimeout("slow"),
        httpx2.ConnectError("away"),
    ],
    ids=["503", "html", "401", "422", "timeout", "unreachable"],
)
async def test_whatever_happens_outside_is_one_of_the_four_failures(case, request_for, answer):
    def broken(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    if case.far_side is nobody_there:
        pytest.skip(f"{case.vendor.name} calls nobody")
    courier = case.open(broken)
    with pytest.raises(OutsideFailure):
        await courier.book(request_for)
    if not case.vendor.marketplace:  # it carries what it sold, and asks nobody
        with pytest.raises(OutsideFailure):
            await courier.offers(parcel())


async def test_a_lane_that_is_not_served_has_no_offers(case):
    if case.far_side is nobody_there or case.vendor.marketplace:
        pytest.skip(f"{case.vendor.name} does not know lanes")
    assert list(await case.open().offers(parcel("744301"))) == []


def test_a_webhook_is_let_in_signed_and_read_and_refused_forged_or_stale(case):
    hooks = case.vendor.webhooks
    if hooks is None or case.sign is None or case.webhook is None:
        pytest.skip(f"{case.vendor.name} sends no webhooks")
    topic, said = case.webhook
    body, now = json.dumps(said).encode(), clock.now()
    headers = case.sign("hush", topic, body, now)

    hooks.verify("hush", headers, body, now)
    for secret, signed, at in (
        ("other", body, now),
        ("hush", body + b" ", now),
        ("hush", body, now + timedelta(hours=1)),
    ):
        with pytest.raises(Unauthenticated):
            hooks.verify(secret, headers, signed, at)
    assert hooks.topic(headers, body) == topic
    assert hooks.delivery_id(headers, body) == hooks.delivery_id(headers, body)
    (event,) = hooks.read(topic, body)
    assert event.awb == said["awb"]
    assert event.scans
    with pytest.raises(Malformed):
        hooks.read(topic, b"not json")
