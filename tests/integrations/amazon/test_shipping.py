"""Amazon Shipping against a scripted far side: what is asked, and what becomes of each answer."""

import asyncio
import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import pytest
import time_machine
from jsonschema_rs import Draft4Validator

from shipcrowd.couriers.contract import (
    BookingLine,
    BookingRequest,
    Flow,
    Parcel,
    Payment,
    PickupPoint,
    Progress,
)
from shipcrowd.integrations.amazon import AmazonShipping, parcels, shipping
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable
from shipcrowd.pincodes.address import Address
from tests.integrations.amazon.far_side import NOW, refused, throttled
from tests.integrations.amazon.test_contract import MODELS

pytestmark = pytest.mark.usefixtures("at_now")

PDF = b"%PDF-1.4 Amazon's label"
API = "https://sellingpartnerapi-eu.amazon.com"
REFERENCE = "01939d2e-7c1a-7000-8000-00000000a001"


def address(name="Anjali Deshmukh", **changes) -> Address:
    given = {"name": name, "phone": "+91 98450 11223", "line1": "14, Karve Road", "city": "Pune",
             "state": "Maharashtra", "pincode": "411004"}  # fmt: skip
    return Address(**(given | changes))


def request(**changes) -> BookingRequest:
    here = PickupPoint("loc-1", "Peenya Godown", address("Ravi", pincode="560058"), "Ravi", gstin="29ABCDE1234F2Z5")
    made = BookingRequest(
        reference=REFERENCE,
        order_number="SONA-1041",
        ordered_at=datetime(2026, 11, 20, tzinfo=UTC),
        service="SWA-IN-OA",
        flow=Flow.forward,
        payment=Payment.prepaid,
        to_collect=Money.zero,
        declared_value=Money.rupees("899"),
        ship_from=here,
        return_to=here,
        ship_to=address(),
        lines=(BookingLine("Cotton kurta", "KRT-M", 2, Money.rupees("449.50"), external_id="51122334455001"),),
        weight_grams=450,
        length_mm=305,
        breadth_mm=200,
        height_mm=40,
    )
    return replace(made, **changes)


def rate(**changes) -> dict[str, Any]:
    option = {"supportedDPIs": [300], "supportedPageLayouts": ["DEFAULT"], "supportedFileJoiningOptions": [False],
              "supportedDocumentDetails": [{"name": "LABEL", "isMandatory": True}]}  # fmt: skip
    size = {"width": 4, "length": 6, "unit": "INCH"}
    return {
        "rateId": "rate-1",
        "carrierId": "ATS",
        "carrierName": "Amazon Shipping",
        "serviceId": "SWA-IN-OA",
        "serviceName": "Standard",
        "totalCharge": {"value": 58.5, "unit": "INR"},
        "promise": {
            "pickupWindow": {"start": "2026-11-21T05:00:00Z"},
            "deliveryWindow": {"start": "2026-11-23T06:45:00Z", "end": "2026-11-24T06:45:00Z"},
        },
        "supportedDocumentSpecifications": [
            {"format": "ZPL", "size": size, "printOptions": [option]},
            {"format": "PDF", "size": size, "printOptions": [option]},
        ],
        "requiresAdditionalInputs": False,
        **changes,
    }


def rates(*found: Any, token="token-1", **more) -> dict[str, Any]:
    return {"payload": {"requestToken": token, "rates": list(found), **more}}


def bought(awb="280000000001", **changes) -> dict[str, Any]:
    paper = {"type": "LABEL", "format": "PDF", "contents": base64.b64encode(PDF).decode()}
    package = {"packageClientReferenceId": REFERENCE, "trackingId": awb, "packageDocuments": [paper]}
    promise = {"pickupWindow": {"start": "2026-11-21T20:00:00Z"}}
    payload = {"shipmentId": "amzn1.sid.1", "packageDocumentDetails": [package], "promise": promise}
    return {"payload": payload | changes}


def opened(amazon) -> AmazonShipping:
    return AmazonShipping(amazon.account())


@pytest.fixture
def far(amazon, monkeypatch):
    monkeypatch.setattr(shipping, "REPEAT_AFTER_SECONDS", 0.0)
    return amazon.on("getRates", rates(rate())).on("purchaseShipment", bought())


def fits(name: str, body: Any) -> None:
    """Holds a body of ours to Amazon's own model of it."""
    if not MODELS:
        pytest.skip("Amazon's official models are not here (SHIPCROWD_SPECS)")
    definitions = MODELS["shippingV2"]["definitions"]
    found = Draft4Validator({**definitions[name], "definitions": definitions}).iter_errors(
        json.loads(json.dumps(body, default=str))
    )
    assert [f"{'/'.join(map(str, each.instance_path))}: {each.message}" for each in found] == []


def plain(body: Any) -> Any:
    return json.loads(json.dumps(body, default=float))


# --- prices ---------------------------------------------------------------------------------------------------------


def parcel(**changes) -> Parcel:
    made = Parcel("560058", "411004", 450, 305, 200, 40, Payment.prepaid, Money.rupees("899"),
                  from_city="Bengaluru", to_city="Pune", to_state="Maharashtra")  # fmt: skip
    return replace(made, **changes)


@pytest.mark.parametrize("status", [403, 404])
async def test_a_seller_who_has_not_enrolled_is_not_asked_with_every_quote(far, status):
    far.on("getRates", refused(status, "Unauthorized", "Access to requested resource is denied."))
    for _ in range(3):
        with pytest.raises(Refused, match="Amazon Shipping is not open to this store") as raised:
            await opened(far).offers(parcel())
        assert raised.value.code == "not_enrolled"
    assert len(far.calls("getRates")) == 1
    far.on("getRates", rates(rate()))
    with time_machine.travel(NOW + timedelta(minutes=59), tick=False), pytest.raises(Refused):
        await opened(far).offers(parcel())
    with time_machine.travel(NOW + timedelta(minutes=61), tick=False):  # enrolled meanwhile
        assert [offer.service for offer in await opened(far).offers(parcel())] == ["SWA-IN-OA"]


@pytest.mark.parametrize("answer", [httpx2.ReadTimeout("no answer"), httpx2.Response(503, content=b"<html>")])
async def test_where_amazon_is_away_one_quote_waits_for_it_and_not_each(far, answer):
    far.on("getRates", answer)
    for _ in range(3):
        with pytest.raises(Unavailable, match="does not answer just now"):
            await opened(far).offers(parcel())
    assert len(far.calls("getRates")) == 1
    far.on("getRates", rates(rate()))
    with time_machine.travel(NOW + timedelta(seconds=21), tick=False):
        assert [offer.service for offer in await opened(far).offers(parcel())] == ["SWA-IN-OA"]


async def test_a_quote_does_not_wait_long_for_an_amazon_that_hangs(far, monkeypatch):
    monkeypatch.setattr(shipping, "RATES_SECONDS", 0.05)
    account = far.account()

    async def hanging(operation: str, cost: int) -> None:
        await asyncio.sleep(60)

    account.pace = hanging
    with pytest.raises(Unavailable, match="does not answer just now"):
        await AmazonShipping(account).offers(parcel())
    with pytest.raises(Unavailable, match="does not answer just now"):
        await opened(far).offers(parcel())
    assert far.asked == []


async def test_a_throttled_price_says_when_and_keeps_nobody_silent(far):
    far.on("getRates", throttled(), rates(rate()))
    with pytest.raises(Unavailable) as raised:
        await opened(far).offers(parcel())
    assert raised.value.retry_after is not None
    assert len(await opened(far).offers(parcel())) == 1


async def test_a_parcel_that_is_refused_keeps_no_other_from_being_priced(far):
    far.on("getRates", refused(400, "InvalidInput", "The destination is not served."))
    with pytest.raises(Refused, match="The destination is not served"):
        await opened(far).offers(parcel())
    far.on("getRates", rates(rate()))
    assert len(await opened(far).offers(parcel())) == 1


async def test_prices_are_asked_for_towns_and_nobody_is_named(far):
    [offer] = await opened(far).offers(parcel(payment=Payment.cod, to_collect=Money.rupees("899")))
    assert (offer.service, offer.name, offer.carrier, offer.cost) == (
        "SWA-IN-OA",
        "Standard",
        "Amazon Shipping",
        Money(5850),
    )
    assert (offer.min_days, offer.max_days) == (3, 4)
    [asked] = far.calls("getRates")
    assert asked.request.headers["x-amzn-shipping-business-id"] == "AmazonShipping_IN"
    body = plain(asked.body)
    fits("GetRatesRequest", body)
    assert body["shipTo"]["postalCode"] == "411004"
    assert body["shipFrom"]["stateOrRegion"] == "560058"  # a town without its state still has a pincode
    assert body["packages"][0]["dimensions"] == {"length": 30.5, "width": 20, "height": 4, "unit": "CENTIMETER"}
    assert body["valueAddedServices"] == {"collectOnDelivery": {"amount": {"value": 899, "unit": "INR"}}}
    assert body["channelDetails"] == {"channelType": "EXTERNAL"}


async def test_an_order_of_amazons_own_is_priced_by_its_number(far):
    await opened(far).offers(parcel(sold_at="amazon", order_external_id="403-1234567-1234567"))
    body = far.calls("getRates")[0].body
    assert "shipTo" not in body
    assert body["channelDetails"] == {
        "channelType": "AMAZON",
        "amazonOrderDetails": {"orderId": "403-1234567-1234567"},
    }


async def test_what_asks_for_more_papers_or_another_currency_is_not_offered_as_it_is(far):
    dollars = rate(serviceId="ELSE", totalCharge={"value": 1, "unit": "USD"})
    far.on("getRates", rates(rate(requiresAdditionalInputs=True), dollars))
    [offer] = await opened(far).offers(parcel())
    assert (offer.service, offer.cost) == ("ELSE", None)


async def test_unreadable_rates_are_malformed(far):
    far.on("getRates", rates({"serviceName": "no id"}))
    with pytest.raises(Malformed):
        await opened(far).offers(parcel())


# --- buying ---------------------------------------------------------------------------------------------------------


async def test_a_parcel_is_bought_by_its_rate_under_our_reference(far):
    booking = await opened(far).book(request())
    assert (booking.awb, booking.carrier, booking.charged) == ("280000000001", "Amazon Shipping", Money(5850))
    assert booking.courier_shipment_id == "ATS/amzn1.sid.1"
    assert booking.pickup_date == date(2026, 11, 22)  # one o'clock at night in India
    asked = plain(far.calls("getRates")[0].body)
    fits("GetRatesRequest", asked)
    assert asked["shipTo"] == {
        "name": "Anjali Deshmukh", "addressLine1": "14, Karve Road", "city": "Pune", "stateOrRegion": "Maharashtra",
        "postalCode": "411004", "countryCode": "IN", "phoneNumber": "9845011223",
    }  # fmt: skip
    assert asked["shipFrom"]["name"] == "Peenya Godown"
    assert asked["taxDetails"] == [{"taxType": "GST", "taxRegistrationNumber": "29ABCDE1234F2Z5"}]
    assert asked["packages"][0]["packageClientReferenceId"] == REFERENCE
    assert asked["packages"][0]["items"] == [
        {"quantity": 2, "itemValue": {"value": 449.5, "unit": "INR"}, "description": "Cotton kurta",
         "itemIdentifier": "KRT-M"}
    ]  # fmt: skip
    [purchase] = far.calls("purchaseShipment")
    fits("PurchaseShipmentRequest", plain(purchase.body))
    assert purchase.request.headers["x-amzn-idempotencykey"] == REFERENCE
    assert (purchase.body["requestToken"], purchase.body["rateId"]) == ("token-1", "rate-1")
    assert purchase.body["requestedDocumentSpecification"] == {
        "format": "PDF", "size": {"width": 4, "length": 6, "unit": "INCH"}, "dpi": 300, "pageLayout": "DEFAULT",
        "needFileJoining": False, "requestedDocumentTypes": ["LABEL"],
    }  # fmt: skip
    assert "requestedValueAddedServices" not in purchase.body


async def test_amazons_own_orders_name_their_lines_by_amazons_ids(far):
    await opened(far).book(request(sold_at="amazon", order_external_id="403-1234567-1234567"))
    asked = far.calls("getRates")[0].body
    assert asked["packages"][0]["items"][0]["itemIdentifier"] == "51122334455001"
    assert asked["channelDetails"]["amazonOrderDetails"] == {"orderId": "403-1234567-1234567"}


async def test_cash_is_chosen_where_the_rate_lists_it(far):
    service = {"id": "CollectOnDelivery", "name": "Cash", "cost": {"value": 35, "unit": "INR"}}
    group = {"groupId": "COD", "groupDescription": "", "isRequired": False, "valueAddedServices": [service]}
    far.on("getRates", rates(rate(availableValueAddedServiceGroups=[group])))
    await opened(far).book(request(payment=Payment.cod, to_collect=Money.rupees("899")))
    assert far.calls("purchaseShipment")[0].body["requestedValueAddedServices"] == [{"id": "CollectOnDelivery"}]


@pytest.mark.parametrize("trouble", [httpx2.ReadTimeout("late"), refused(503, "ServiceUnavailable", "later")])
async def test_a_purchase_without_an_answer_is_made_again_under_the_same_key(far, trouble):
    far.on("purchaseShipment", trouble, bought())
    assert (await opened(far).book(request())).awb == "280000000001"
    first, again = far.calls("purchaseShipment")
    assert first.body == again.body
    assert {each.request.headers["x-amzn-idempotencykey"] for each in (first, again)} == {REFERENCE}
    assert len(far.calls("getRates")) == 1


async def test_one_that_never_answers_leaves_the_booking_open(far):
    far.on("purchaseShipment", httpx2.ReadTimeout("late"))
    with pytest.raises(Unavailable) as raised:
        await opened(far).book(request())
    assert raised.value.maybe_received
    assert len(far.calls("purchaseShipment")) == 2


async def test_one_that_was_not_heard_is_not_made_again_here(far):
    far.on("purchaseShipment", httpx2.ConnectError("away"))
    with pytest.raises(Unavailable) as raised:
        await opened(far).book(request())
    assert not raised.value.maybe_received
    assert len(far.calls("purchaseShipment")) == 1


async def test_rates_that_lapsed_are_asked_for_once_more(far):
    far.on("purchaseShipment", refused(400, "TOKEN_EXPIRED", "The request token has expired."), bought())
    far.on("getRates", rates(rate()), rates(rate(rateId="rate-2"), token="token-2"))
    assert (await opened(far).book(request())).awb
    assert far.calls("purchaseShipment")[1].body["requestToken"] == "token-2"


async def test_where_rates_lapse_too_soon_twice_the_service_is_bought_in_one_step(far):
    far.on("purchaseShipment", refused(400, "TOKEN_EXPIRED", "The request token has expired."))
    with pytest.raises(Refused, match="has expired"):
        await opened(far).book(request(payment=Payment.cod, to_collect=Money.rupees("899")))
    assert (len(far.calls("purchaseShipment")), far.calls("oneClickShipment")) == (2, [])
    far.on("oneClickShipment", bought(carrier={"id": "ATS"}, totalCharge={"value": 58, "unit": "INR"}))
    assert (await opened(far).book(request())).charged == Money(5800)
    [asked] = far.calls("oneClickShipment")
    assert asked.body["serviceSelection"] == {"serviceId": ["SWA-IN-OA"]}
    far.on("purchaseShipment", refused(400, "InvalidInput", "The rate is not one of these."))
    with pytest.raises(Refused, match="not one of these"):
        await opened(far).book(request())
    assert len(far.calls("oneClickShipment")) == 1


async def test_a_service_that_is_gone_is_refused_with_amazons_reasons_and_nothing_is_bought(far):
    why = {"code": "NO_COVERAGE", "message": "The destination is not served."}
    far.on("getRates", rates(ineligibleRates=[{"serviceId": "SWA-IN-OA", "ineligibilityReasons": [why]}]))
    with pytest.raises(Refused, match=r"any more\. The destination is not served\."):
        await opened(far).book(request())
    assert far.calls("purchaseShipment") == []


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        (rates({"serviceId": "SWA-IN-OA"}), Unavailable),  # nothing was bought: it may be tried again
        (rates(rate(supportedDocumentSpecifications=[])), Refused),
        (refused(403, "Unauthorized", "Access to requested resource is denied."), Refused),
        (httpx2.ReadTimeout("late"), Unavailable),
    ],
)
async def test_what_goes_wrong_before_the_purchase_leaves_nothing_open(far, given, failure):
    far.on("getRates", given)
    with pytest.raises(failure) as raised:
        await opened(far).book(request())
    assert not getattr(raised.value, "maybe_received", False)
    assert far.calls("purchaseShipment") == []


async def test_a_purchase_that_cannot_be_read_is_malformed_for_the_parcel_exists(far):
    far.on("purchaseShipment", bought(packageDocumentDetails=[]))
    with pytest.raises(Malformed):
        await opened(far).book(request())


async def test_an_address_that_does_not_fit_is_not_cut(far):
    with pytest.raises(Refused, match="shorten it"):
        await opened(far).book(request(ship_to=address(line1="Behind the old water tower, " * 8)))
    assert far.asked == []


def test_a_long_street_goes_over_three_lines():
    street = "Flat 4B, Sai Prasad Apartments, behind the old water tower, next to the municipal school, Karve Nagar"
    body = parcels.described(request(ship_to=address("A" * 70, line1=street)))
    fits("GetRatesRequest", body)
    to = body["shipTo"]
    assert [len(to[f"addressLine{n}"]) <= 60 for n in (1, 2)] == [True, True]
    assert f"{to['addressLine1']} {to['addressLine2']}" == street
    assert len(to["name"]) == 50


async def test_one_click_asks_for_the_cheapest_of_several(far):
    carried = {"carrier": {"id": "ATS", "name": "Amazon Shipping"}, "service": {"id": "X", "name": "X"},
               "totalCharge": {"value": 58, "unit": "INR"}}  # fmt: skip
    far.on("oneClickShipment", bought(**carried))
    booking = await opened(far).one_click(request(payment=Payment.cod, to_collect=Money.rupees("899")), ["A", "B"])
    assert (booking.awb, booking.charged) == ("280000000001", Money(5800))
    body = plain(far.calls("oneClickShipment")[0].body)
    fits("OneClickShipmentRequest", body)
    assert body["serviceSelection"] == {"serviceId": ["A", "B"]}
    assert body["valueAddedServicesDetails"] == [{"id": "CollectOnDelivery", "amount": {"value": 899, "unit": "INR"}}]
    far.on("oneClickShipment", httpx2.ReadTimeout("late"))
    with pytest.raises(Unavailable) as raised:
        await opened(far).one_click(request(), ["A"])
    assert raised.value.maybe_received


# --- the label ------------------------------------------------------------------------------------------------------


async def test_the_label_is_fetched_by_the_address_the_booking_gave(far):
    booking = await opened(far).book(request())
    detail = bought()["payload"]["packageDocumentDetails"][0]
    far.on("getShipmentDocuments", {"payload": {"shipmentId": "amzn1.sid.1", "packageDocumentDetail": detail}})
    assert await opened(far).fetch_label(booking.label_url) == PDF
    [asked] = far.calls("getShipmentDocuments")
    assert (asked.path, asked.query) == (
        {"shipmentId": "amzn1.sid.1"},
        {"packageClientReferenceId": REFERENCE, "format": "PDF"},
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/shipping/v2/shipments/a/documents?packageClientReferenceId=b&format=PDF",
        f"{API}.evil.example/shipping/v2/shipments/a/documents?packageClientReferenceId=b&format=PDF",
        f"{API}/shipping/v2/shipments/a/b/documents?packageClientReferenceId=b&format=PDF",
        f"{API}/shipping/v2/shipments/a/documents?packageClientReferenceId=b&format=PDF&x=1#y",
        "",
    ],
)
async def test_a_label_elsewhere_is_not_fetched(far, url):
    with pytest.raises(Refused):
        await opened(far).fetch_label(url)
    assert far.asked == []


@pytest.mark.parametrize(
    "papers",
    [
        [],
        [{"type": "PACKSLIP", "format": "PDF", "contents": base64.b64encode(PDF).decode()}],
        [{"type": "LABEL", "format": "PDF", "contents": "***"}],
        [{"type": "LABEL", "format": "PDF", "contents": base64.b64encode(b"<html>").decode()}],
    ],
)
def test_what_is_no_label_is_malformed(papers):
    with pytest.raises(Malformed):
        parcels.label({"packageDocuments": papers})


# --- under way ------------------------------------------------------------------------------------------------------


def event(code, at, **more):
    return {"eventCode": code, "eventTime": at, "location": {"city": "Pune"}, **more}


async def test_a_history_is_told_oldest_first_and_the_way_back_is_the_way_back(far):
    history = [
        event("Delivered", "2026-11-25T06:00:00Z", shipmentType="RETURNS"),
        event("OutForDelivery", "2026-11-22T06:00:00Z", shipmentType="FORWARD"),
        event("Undeliverable", "2026-11-23T06:00:00Z"),
        event("Teleported", "2026-11-24T06:00:00Z"),
    ]
    far.on("getTracking", {"payload": {"trackingId": "1", "eventHistory": history}})
    replies = await opened(far).scans_of({"1": "ATS/amzn1.sid.1"})
    assert [(scan.status, scan.progress) for scan in replies["1"].scans] == [
        ("OutForDelivery", Progress.out_for_delivery),
        ("Undeliverable", Progress.delivery_failed),
        ("Teleported", None),  # kept raw, and moves nothing
        ("Delivered", Progress.rto_delivered),
    ]
    assert far.calls("getTracking")[0].query == {"trackingId": "1", "carrierId": "ATS"}


async def test_one_parcel_that_is_not_told_of_keeps_no_other_back(far):
    good = {"payload": {"eventHistory": [event("PickupDone", "2026-11-22T06:00:00Z")]}}
    bad = {"payload": {"eventHistory": [{"eventCode": "PickupDone"}]}}
    far.on("getTracking", refused(404, "ResourceNotFound", "unknown"), bad, good)
    replies = await opened(far).scans(["1", "2", "3"])
    assert [bool(replies[awb].error) for awb in "123"] == [True, True, False]
    far.on("getTracking", refused(403, "Unauthorized", "Access to requested resource is denied."))
    with pytest.raises(Refused):
        await opened(far).scans(["1"])


def test_every_event_of_the_model_has_a_meaning():
    if not MODELS:
        pytest.skip("Amazon's official models are not here (SHIPCROWD_SPECS)")
    assert set(parcels.FORWARD) == set(MODELS["shippingV2"]["definitions"]["EventCode"]["enum"])
    assert set(parcels.RETURNS) <= set(parcels.FORWARD)


async def test_each_is_cancelled_for_itself_in_amazons_words(far):
    far.on("cancelShipment", refused(400, "InvalidInput", "It is out for delivery"), {"payload": {}})
    results = await opened(far).cancel_shipments({"1": "ATS/sid-1", "2": "ATS/sid-2"})
    assert [(each.awb, each.accepted, each.message) for each in results] == [
        ("1", False, "It is out for delivery"),
        ("2", True, ""),
    ]
    assert [asked.path for asked in far.calls("cancelShipment")] == [{"shipmentId": "sid-1"}, {"shipmentId": "sid-2"}]
    assert [each.accepted for each in await opened(far).cancel(["9"])] == [False]


@pytest.mark.parametrize(
    ("on", "note", "body"),
    [
        (None, " Ring twice ", {"ndrAction": "REATTEMPT", "ndrRequestData": {"additionalAddressNotes": "Ring twice"}}),
        (None, "", {"ndrAction": "REATTEMPT", "ndrRequestData": {"additionalAddressNotes": "Please deliver again."}}),
        (
            date(2026, 11, 24),
            "x" * 300,
            {
                "ndrAction": "RESCHEDULE",
                "ndrRequestData": {
                    "additionalAddressNotes": "x" * 256,
                    "rescheduleDate": "2026-11-24T12:00:00+05:30",
                },
            },
        ),
    ],
)
async def test_delivery_is_tried_again(far, on, note, body):
    far.on("submitNdrFeedback", httpx2.Response(204))
    await opened(far).reattempt("280000000001", on, note)
    [asked] = far.calls("submitNdrFeedback")
    fits("SubmitNdrFeedbackRequest", asked.body)
    assert asked.body == {"trackingId": "280000000001", **body}
