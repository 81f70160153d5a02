"""Easy Ship against a scripted far side: slots, the package that is scheduled once, the label's long way."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
import time_machine

from shipcrowd.couriers.contract import (
    BookingLine,
    BookingRequest,
    Flow,
    LabelUnderWay,
    Parcel,
    Payment,
    PickupPoint,
    Progress,
)
from shipcrowd.integrations.amazon import EasyShip, easy_ship, easy_ship_labels, envelopes
from shipcrowd.integrations.amazon.documents import UntrustedDocument
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable
from shipcrowd.pincodes.address import Address
from tests.integrations.amazon.far_side import NOW, SELLER, refused
from tests.integrations.amazon.test_contract import MODELS, PAIRS, value

pytestmark = pytest.mark.usefixtures("at_now")

ORDER = "403-5512345-7788990"
INDIA = "A21TJRUUN4KGV"
STORE = "https://tortuga-prod-eu.s3-eu-west-1.amazonaws.com/x?X-Amz-Signature=secret"
LABEL = b"%PDF-1.4 Easy Ship's label"


def order(units=2, left: int | None = 2, programs=("AMAZON_EASY_SHIP",)) -> dict[str, Any]:
    item = {"orderItemId": "1", "quantityOrdered": units, "fulfillment": {"quantityUnfulfilled": left}}
    fulfilment = {"fulfillmentStatus": "UNSHIPPED", "fulfilledBy": "MERCHANT"}
    return {"order": {"orderId": ORDER, "programs": list(programs), "orderItems": [item], "fulfillment": fulfilment}}


def slot(name: str, starts: str, method="PICKUP") -> dict[str, str]:
    return {"slotId": name, "startTime": starts, "endTime": starts, "handoverMethod": method}


def slots(*found: dict[str, str]) -> dict[str, Any]:
    return {"amazonOrderId": ORDER, "timeSlots": list(found)}


FIRST = slot("S1", "2026-11-21T05:00:00Z")
SLOTS = slots(
    slot("S0", "2026-11-20T12:00:00Z", "DROPOFF"), slot("S2", "2026-11-22T05:00:00Z"), FIRST, {"startTime": "x"}
)  # fmt: skip


def package(status="ReadyForPickup", awb="365000000001") -> dict[str, Any]:
    return {
        "scheduledPackageId": {"amazonOrderId": ORDER, "packageId": "p-1"},
        "packageStatus": status,
        "packageTimeSlot": FIRST,
        "trackingDetails": {"trackingId": awb},
    }


def none(status: int = 400) -> httpx2.Response:
    return refused(status, "ResourceNotFound", "The specified resource does not exist.")


def gone(code: str, status: int = 400) -> httpx2.Response:
    return refused(status, code, "The selected time slot has expired.")


@pytest.fixture
def request_() -> BookingRequest:
    here = PickupPoint("loc-1", "Peenya Godown", Address(name="Ravi"), "Ravi")
    return BookingRequest(
        reference="ship-1", order_number=ORDER, ordered_at=datetime(2026, 11, 20, tzinfo=UTC), service="easy_ship",
        flow=Flow.forward, payment=Payment.cod, to_collect=Money.rupees("899"), declared_value=Money.rupees("899"),
        ship_from=here, return_to=here, ship_to=Address(),
        lines=(BookingLine("Kurta", "KRT", 2, Money.rupees("449.50")),),
        weight_grams=450, length_mm=305, breadth_mm=200, height_mm=40, order_external_id=ORDER,
    )  # fmt: skip


@pytest.fixture
def far(amazon):
    return (
        amazon.on("getScheduledPackage", none())
        .on("getOrder", order())
        .on("listHandoverSlots", SLOTS)
        .on("createScheduledPackage", package())
    )


def opened(amazon) -> EasyShip:
    return EasyShip(amazon.account())


# --- booking --------------------------------------------------------------------------------------------------------


async def test_it_carries_what_it_sold_and_asks_nobody(amazon):
    [offer] = await opened(amazon).offers(Parcel("1", "2", 1, 1, 1, 1, Payment.cod, Money.zero))
    assert (offer.service, offer.carrier, offer.cost) == ("easy_ship", "Amazon", None)


@pytest.mark.parametrize("status", [400, 404])
async def test_a_package_is_scheduled_into_the_first_slot_it_is_fetched_in(far, request_, status):
    far.on("getScheduledPackage", none(status))
    booking = await opened(far).book(request_)
    assert (booking.awb, booking.carrier, booking.courier_shipment_id) == ("365000000001", "Amazon", ORDER)
    assert booking.pickup_date == date(2026, 11, 21)
    assert booking.label_url == f"amazon://easy-ship/order/{ORDER}"
    assert far.operations() == ["getScheduledPackage", "getOrder", "listHandoverSlots", "createScheduledPackage"]
    assert far.calls("getScheduledPackage")[0].query == {"amazonOrderId": ORDER, "marketplaceId": INDIA}
    asked = far.calls("listHandoverSlots")[0].body
    assert json.loads(json.dumps(asked, default=float)) == {
        "marketplaceId": INDIA,
        "amazonOrderId": ORDER,
        "packageDimensions": {"length": 30.5, "width": 20, "height": 4, "unit": "cm"},
        "packageWeight": {"value": 450, "unit": "g"},
    }
    assert far.calls("createScheduledPackage")[0].body == {
        "amazonOrderId": ORDER,
        "marketplaceId": INDIA,
        "packageDetails": {"packageTimeSlot": FIRST},
    }


async def test_amazon_takes_nothing_lighter_than_eleven_grams(far, request_):
    await opened(far).book(replace(request_, weight_grams=4))
    assert far.calls("listHandoverSlots")[0].body["packageWeight"]["value"] == 11


async def test_what_is_scheduled_already_is_that_booking(far, request_):
    far.on("getScheduledPackage", package("PickedUp"))
    assert (await opened(far).book(request_)).awb == "365000000001"
    assert far.operations() == ["getScheduledPackage"]


async def test_one_whose_label_was_cancelled_is_scheduled_anew(far, request_):
    far.on("getScheduledPackage", package("LabelCanceled", awb="old"))
    assert (await opened(far).book(request_)).awb == "365000000001"


@pytest.mark.parametrize("code", sorted(easy_ship.SLOT_GONE))
@pytest.mark.parametrize("status", [400, 404])
async def test_an_expired_slot_is_asked_for_anew_once(far, request_, code, status):
    far.on("listHandoverSlots", SLOTS, slots(slot("S9", "2026-11-23T05:00:00Z")))
    far.on("createScheduledPackage", gone(code, status), package())
    assert (await opened(far).book(request_)).awb == "365000000001"
    taken = [each.body["packageDetails"]["packageTimeSlot"]["slotId"] for each in far.calls("createScheduledPackage")]
    assert taken == ["S1", "S9"]

    far.on("createScheduledPackage", gone(code, status))
    with pytest.raises(Refused, match="time slot has expired"):
        await opened(far).book(request_)
    assert len(far.calls("createScheduledPackage")) == 4


async def test_what_amazon_refuses_is_told_and_not_asked_again(far, request_):
    far.on("createScheduledPackage", refused(404, "InvalidOrderState", "The order cannot be scheduled."))
    with pytest.raises(Refused, match="cannot be scheduled"):
        await opened(far).book(request_)
    assert len(far.calls("createScheduledPackage")) == 1


@pytest.mark.parametrize("answer", [gone("ScheduledPackageAlreadyExists"), httpx2.ReadTimeout("late")])
async def test_one_that_may_have_been_scheduled_is_looked_for(far, request_, answer):
    far.on("createScheduledPackage", answer).on("getScheduledPackage", none(), package())
    assert (await opened(far).book(request_)).awb == "365000000001"
    assert len(far.calls("createScheduledPackage")) == 1


async def test_one_that_is_not_found_then_is_tried_again_later_and_never_open(far, request_):
    far.on("createScheduledPackage", httpx2.ReadTimeout("late"))
    with pytest.raises(Unavailable) as raised:
        await opened(far).book(request_)
    assert not raised.value.maybe_received
    far.on("getScheduledPackage", none(), httpx2.ReadTimeout("late"))
    with pytest.raises(Unavailable) as raised:
        await opened(far).book(request_)
    assert not raised.value.maybe_received


async def test_without_a_tracking_number_it_is_waited_for(far, request_):
    far.on("createScheduledPackage", package(awb=""))
    with pytest.raises(Unavailable) as raised:
        await opened(far).book(request_)
    assert raised.value.retry_after == 20


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (order(units=3, left=3), "whole_order"),
        (order(units=3, left=None), "whole_order"),
        (order(programs=()), "not_easy_ship"),
    ],
)
async def test_what_must_not_be_scheduled_is_refused_before_it_is(far, request_, given, code):
    far.on("getOrder", given)
    with pytest.raises(Refused) as raised:
        await opened(far).book(request_)
    assert raised.value.code == code
    assert far.calls("createScheduledPackage") == []


async def test_an_order_of_another_channel_is_refused(far, request_):
    with pytest.raises(Refused):
        await opened(far).book(replace(request_, order_external_id=None))
    assert far.asked == []


async def test_no_slot_is_told(far, request_):
    far.on("listHandoverSlots", slots())
    with pytest.raises(Refused, match="no hand-over slot"):
        await opened(far).book(request_)


# --- under way ------------------------------------------------------------------------------------------------------


async def test_a_status_is_what_was_seen_now(far):
    far.on("getScheduledPackage", package("OutForDelivery"), none(), package(""), package("Beamed"))
    replies = await opened(far).scans_of({"1": ORDER, "2": ORDER, "3": ORDER, "4": ORDER})
    [scan] = replies["1"].scans
    assert (scan.at, scan.status, scan.progress, scan.seen) == (NOW, "OutForDelivery", Progress.out_for_delivery, True)
    assert replies["2"].error and replies["3"].error
    assert [scan.progress for scan in replies["4"].scans] == [None]
    far.on("getScheduledPackage", refused(403, "Unauthorized", "Access to requested resource is denied."))
    with pytest.raises(Refused):
        await opened(far).scans_of({"1": ORDER})


async def test_a_package_that_cannot_be_read_keeps_no_other_from_being_told_of(far):
    far.on("getScheduledPackage", b"<html>", {"packageStatus": ["odd"]}, package("PickedUp"))
    replies = await opened(far).scans_of({"1": ORDER, "2": ORDER, "3": ORDER})
    assert [reply.error for reply in replies.values()] == ["Amazon's package could not be read."] * 2 + [None]
    assert [scan.status for scan in replies["3"].scans] == ["PickedUp"]


async def test_an_answer_that_cannot_be_read_leaves_nothing_open_for_the_next_try_looks_first(far, request_):
    far.on("createScheduledPackage", b"<html>")
    with pytest.raises(Unavailable) as raised:
        await opened(far).book(request_)
    assert not raised.value.maybe_received
    far.on("getScheduledPackage", package())
    assert (await opened(far).book(request_)).awb == "365000000001"
    assert len(far.calls("createScheduledPackage")) == 1


async def test_by_its_number_alone_a_package_is_neither_followed_nor_cancelled(far):
    assert (await opened(far).scans(["1"]))["1"].error == "Amazon is asked by order, not by tracking number."
    [result] = await opened(far).cancel(["1"])
    assert not result.accepted
    assert far.asked == []


def test_every_status_of_the_model_has_a_meaning():
    if not MODELS:
        pytest.skip("Amazon's official models are not here (SHIPCROWD_SPECS)")
    official = set(MODELS["easyShip_2022-03-23"]["definitions"]["PackageStatus"]["enum"])
    assert set(easy_ship.PROGRESS) == official | {"Scheduled"}


async def test_a_package_is_let_go_only_once_its_order_or_its_label_is(far):
    far.on("getScheduledPackage", package())
    [result] = await opened(far).cancel_shipments({"1": ORDER})
    assert not result.accepted
    assert "Seller Central" in result.message
    far.on("getScheduledPackage", package("LabelCanceled"))
    assert (await opened(far).cancel_shipments({"1": ORDER}))[0].accepted
    cancelled = order()
    cancelled["order"]["fulfillment"]["fulfillmentStatus"] = "CANCELLED"
    far.on("getScheduledPackage", package()).on("getOrder", cancelled)
    assert (await opened(far).cancel_shipments({"1": ORDER}))[0].accepted


@pytest.mark.parametrize(
    "pair",
    [pair for pair in PAIRS if pair.operation in ("createScheduledPackage", "getScheduledPackage")],
    ids=lambda pair: "-".join(map(str, pair.key)),
)
async def test_every_official_answer_about_a_package_is_understood(far, request_, pair):
    answer = httpx2.Response(int(pair.status), content=json.dumps(pair.response))
    far.on(pair.operation, answer)
    if pair.operation == "getScheduledPackage":
        [reply] = (await opened(far).scans_of({"1": ORDER})).values()
        assert bool(reply.error) == (pair.status != "200")
        return
    # Amazon's own samples lack the tracking number: such a package is waited for.
    with pytest.raises(Unavailable if pair.status == "200" else Refused):
        await opened(far).book(request_)


async def test_the_official_slots_are_asked_for_and_the_first_is_taken(far, request_):
    [pair] = [pair for pair in PAIRS if pair.operation == "listHandoverSlots" and pair.status == "200"] or [None]
    if pair is None:
        pytest.skip("Amazon's official models are not here (SHIPCROWD_SPECS)")
    far.on("listHandoverSlots", pair.response)
    await opened(far).book(request_)
    taken = far.calls("createScheduledPackage")[0].body["packageDetails"]["packageTimeSlot"]
    assert taken == pair.response["timeSlots"][0]
    ours, theirs = far.calls("listHandoverSlots")[0].body, value(pair.given["body"])
    assert set(ours) == set(theirs)
    assert (
        {"length", "width", "height", "unit"}
        == set(ours["packageDimensions"])
        == set(theirs["packageDimensions"]) - {"identifier"}
    )


# --- the label ------------------------------------------------------------------------------------------------------


def report(inside: str) -> bytes:
    return gzip.compress(
        f"<AmazonEnvelope><Message><ProcessingReport>{inside}</ProcessingReport></Message></AmazonEnvelope>".encode()
    )


@pytest.fixture
def labels(amazon):
    document = {"feedDocumentId": "in", "url": STORE, "compressionAlgorithm": "GZIP"}
    amazon.document = report(
        "<DocumentReportReferenceID>amzn1.easyship.document.1</DocumentReportReferenceID>"
    )  # fmt: skip
    return (
        amazon.on("createFeedDocument", {"feedDocumentId": "in", "url": STORE})
        .on("createFeed", {"feedId": "5002"})
        .on("getFeed", {"feedId": "5002", "processingStatus": "DONE", "resultFeedDocumentId": "out"})
        .on("getFeedDocument", document)
        .on("getReport", {"reportId": "r", "processingStatus": "DONE", "reportDocumentId": "amzn1.spdoc.1"})
        .on("createRestrictedDataToken", {"restrictedDataToken": "Atz.sprdt|one", "expiresIn": 3600})
        .on("getReportDocument", {"reportDocumentId": "amzn1.spdoc.1", "url": STORE})
    )


async def test_a_label_goes_by_feed_and_report_and_each_step_says_how_far_it_is(labels):
    courier = opened(labels)
    asked_for = await courier.fetch_label(easy_ship_labels.wanted(ORDER))
    assert asked_for == LabelUnderWay(f"amazon://easy-ship/feed/5002/{int(NOW.timestamp())}", 30)
    [feed] = labels.calls("createFeed")
    assert feed.body["feedType"] == "POST_EASYSHIP_DOCUMENTS"
    assert feed.body["feedOptions"] == {"AmazonOrderId": ORDER, "DocumentType": "ShippingLabel"}
    sent = ElementTree.fromstring(labels.documents[0][3])
    assert sent.findtext("Header/DocumentVersion") == "1.01"
    assert sent.findtext("Header/MerchantIdentifier") == SELLER
    assert sent.findtext("MessageType") == "EasyShipDocument"
    assert sent.findtext("Message/MessageID") == "1"
    assert sent.findtext("Message/EasyShipDocument/AmazonOrderID") == ORDER
    assert sent.findtext("Message/EasyShipDocument/DocumentType") == "ShippingLabel"

    named = await courier.fetch_label(asked_for.url)
    assert named == LabelUnderWay("amazon://easy-ship/report/amzn1.easyship.document.1", 0)
    labels.document = LABEL
    assert await courier.fetch_label(named.url) == LABEL
    assert labels.calls("getReport")[0].path == {"reportId": "amzn1.easyship.document.1"}
    assert labels.calls("createRestrictedDataToken")[0].body == {
        "restrictedResources": [{"method": "GET", "path": "/reports/2021-06-30/documents/amzn1.spdoc.1"}]
    }
    assert labels.calls("getReportDocument")[0].token == "Atz.sprdt|one"


async def test_a_feed_under_way_is_looked_at_less_and_less_often_and_not_for_ever(labels):
    labels.on("getFeed", {"feedId": "5002", "processingStatus": "IN_PROGRESS"})
    url = f"amazon://easy-ship/feed/5002/{int(NOW.timestamp())}"
    for later, seconds in ((0, 30), (90, 90), (3600, 300)):
        with time_machine.travel(NOW + timedelta(seconds=later), tick=False):
            assert await opened(labels).fetch_label(url) == LabelUnderWay(url, seconds)
    with time_machine.travel(NOW + timedelta(hours=7), tick=False), pytest.raises(Refused) as raised:
        await opened(labels).fetch_label(url)
    assert raised.value.code == "label_never_came"


@pytest.mark.parametrize("status", ["FATAL", "CANCELLED"])
async def test_a_feed_that_failed_is_told(labels, status):
    labels.on("getFeed", {"feedId": "5002", "processingStatus": status})
    with pytest.raises(Refused, match=status):
        await opened(labels).fetch_label("amazon://easy-ship/feed/5002/1")


async def test_a_label_amazon_refuses_is_told_in_its_words(labels):
    labels.document = report(
        "<Result><MessageID>1</MessageID><ResultCode>Error</ResultCode><ResultMessageCode>25</ResultMessageCode>"
        "<ResultDescription>No package is scheduled.</ResultDescription></Result>"
    )
    with pytest.raises(Refused, match=r"No package is scheduled\."):
        await opened(labels).fetch_label("amazon://easy-ship/feed/5002/1")


async def test_a_malicious_report_is_not_read(labels):
    labels.document = gzip.compress(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    with pytest.raises(UntrustedDocument):
        await opened(labels).fetch_label("amazon://easy-ship/feed/5002/1")


async def test_what_is_no_pdf_is_no_label(labels):
    labels.document = b"<html>"
    with pytest.raises(Malformed):
        await opened(labels).fetch_label("amazon://easy-ship/report/r")
    labels.on("getReport", {"reportId": "r", "processingStatus": "IN_QUEUE"})
    assert await opened(labels).fetch_label("amazon://easy-ship/report/r") == LabelUnderWay(
        "amazon://easy-ship/report/r", 30
    )
    labels.on("getReport", {"reportId": "r", "processingStatus": "CANCELLED"})
    with pytest.raises(Refused):
        await opened(labels).fetch_label("amazon://easy-ship/report/r")


@pytest.mark.parametrize("url", ["https://evil.example/label.pdf", "amazon://easy-ship/", "amazon://easy-ship/x/1", ""])
async def test_a_label_elsewhere_is_not_fetched(labels, url):
    with pytest.raises(Refused):
        await opened(labels).fetch_label(url)
    assert labels.asked == []


def test_an_envelope_escapes_and_numbers_and_a_report_tells_errors_from_warnings():
    sent = ElementTree.fromstring(envelopes.envelope("A&B", "Thing", [envelopes.tag("Name", "<x>"), "<Y/>"]))
    assert [node.findtext("MessageID") for node in sent.findall("Message")] == ["1", "2"]
    assert sent.findtext("Message/Thing/Name") == "<x>"
    results = "".join(
        f"<Result><MessageID>{n}</MessageID><ResultCode>{code}</ResultCode><ResultMessageCode>7</ResultMessageCode>"
        "<ResultDescription>Because</ResultDescription></Result>"
        for n, code in ((1, "Warning"), (2, "Error"))
    )
    read = envelopes.read(f'<A xmlns="urn:x">{results}</A>'.encode())
    assert envelopes.faults(read) == [envelopes.Fault("2", "7", "Because")]
