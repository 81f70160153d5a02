import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from shipcrowd.channels.contract import (
    FeedFinished,
    ListingsReady,
    MarketplaceStockChanged,
    NothingToDo,
    OrderTouched,
)
from shipcrowd.integrations.amazon import notifications, webhooks
from shipcrowd.kernel.errors import Unauthenticated
from shipcrowd.kernel.outbound import Malformed
from tests.integrations.amazon.far_side import NOW

SPECS = Path(os.environ.get("SHIPCROWD_SPECS") or Path(__file__).parents[4] / "shared" / "specs") / "amazon"
SCHEMAS = SPECS / "schemas" / "notifications"
EXAMPLES = {path.stem: path for path in sorted(SCHEMAS.glob("*.json"))} if SCHEMAS.exists() else {}


@pytest.fixture
def body(payload):
    def read(name: str) -> bytes:
        return json.dumps(payload(name)).encode()

    return read


def test_a_change_of_an_order_is_a_hint_to_read_it(body):
    told = body("notification_buyer_asks_to_cancel")
    read = notifications.read(told)
    assert (read.type, read.seller, read.order) == ("ORDER_CHANGE", "A1INSELLER0001", "403-7781200-1193301")
    assert webhooks.read("ORDER_CHANGE", told, {}) == [OrderTouched("403-7781200-1193301")]
    assert webhooks.topic({}, told) == "ORDER_CHANGE"
    assert webhooks.store({}, told) == "A1INSELLER0001"
    assert webhooks.delivery_id({}, told) == "d0e9c8b7-0001-4a4b-8c8d-000000000001"


def test_the_newer_spelling_is_read_as_well(body):
    read = notifications.read(body("notification_feed_finished"))
    assert (read.type, read.seller, read.id) == (
        "FEED_PROCESSING_FINISHED",
        "A1INSELLER0001",
        "5c4b3a29-0002-4d4e-9f9a-000000000002",
    )
    assert read.about["feedid"] == "50021020412"
    assert read.about["processingstatus"] == "DONE"
    assert notifications.events(read) == [FeedFinished("50021020412")]


def test_an_fba_package_touches_its_order():
    told = {
        "NotificationType": "FBA_OUTBOUND_SHIPMENT_STATUS",
        "Payload": {"FBAOutboundShipmentStatusNotification": {"SellerId": "A1", "AmazonOrderId": "1-2-3"}},
    }
    assert webhooks.read("", json.dumps(told).encode(), {}) == [OrderTouched("1-2-3")]


def finished(kind: str, **fields: str) -> bytes:
    told = {"notificationType": kind, "payload": {"processingFinishedNotification": {"sellerId": "A1", **fields}}}
    return json.dumps(told).encode()


def test_a_feed_finished_without_its_number_is_malformed():
    with pytest.raises(Malformed):
        webhooks.read("", finished("FEED_PROCESSING_FINISHED", processingStatus="DONE"), {})


def test_the_report_of_all_listings_is_what_a_read_waits_for():
    listings = finished("REPORT_PROCESSING_FINISHED", reportType="GET_MERCHANT_LISTINGS_ALL_DATA", reportId="9")
    assert webhooks.read("", listings, {}) == [ListingsReady()]
    other = finished("REPORT_PROCESSING_FINISHED", reportType="GET_EASYSHIP_DOCUMENTS", reportId="9")
    assert webhooks.read("", other, {}) == [NothingToDo("REPORT_PROCESSING_FINISHED")]


def test_news_of_fba_stock_is_a_hint_to_read_it():
    told = {"NotificationType": "FBA_INVENTORY_AVAILABILITY_CHANGES", "Payload": {"SellerId": "A1", "SKU": "MAT"}}
    assert webhooks.read("", json.dumps(told).encode(), {}) == [MarketplaceStockChanged()]


def test_a_payload_whose_fields_stand_in_it_directly_is_read():
    told = {"NotificationType": "LISTINGS_ITEM_STATUS_CHANGE", "Payload": {"SellerId": "A1", "Sku": "X", "Status": []}}
    read = notifications.read(json.dumps(told).encode())
    assert (read.seller, read.about["sku"]) == ("A1", "X")
    assert notifications.events(read) == [NothingToDo("LISTINGS_ITEM_STATUS_CHANGE")]


def test_what_concerns_the_application_names_no_seller():
    told = {
        "notificationType": "APPLICATION_OAUTH_CLIENT_NEW_SECRET",
        "payload": {"applicationOAuthClientNewSecret": {"clientId": "c", "newClientSecret": "s"}},
        "notificationMetadata": {"notificationId": "n-1"},
    }
    read = notifications.read(json.dumps(told).encode())
    assert read.type in notifications.ABOUT_THE_APPLICATION
    assert (read.seller, read.about["newclientsecret"]) == ("", "s")


def test_a_seller_named_only_by_the_account():
    told = {
        "notificationType": "REPORT_PROCESSING_FINISHED",
        "payload": {"reportProcessingFinishedNotification": {"accountId": "amzn1.merchant.o.A1INSELLER0001"}},
    }
    assert webhooks.store({}, json.dumps(told).encode()) == "A1INSELLER0001"


def test_without_an_id_the_same_words_are_the_same_delivery():
    told = b'{"NotificationType": "ORDER_CHANGE", "Payload": {"SellerId": "A1"}}'
    assert webhooks.delivery_id({}, told) == webhooks.delivery_id({}, told)
    assert webhooks.delivery_id({}, told) != webhooks.delivery_id({}, told + b" ")


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"<html>",
        b"[]",
        b'"text"',
        b"{}",
        b'{"NotificationType": {"a": 1}}',
        b'{"NotificationType": "ORDER_CHANGE", "Payload": "x"}',
        b'{"NotificationType": "ORDER_CHANGE", "Payload": {"OrderChangeNotification": {"SellerId": "A1"}}}',
        b'{"NotificationType": "ORDER_CHANGE", "Payload": null}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_notification_is_malformed(told):
    with pytest.raises(Malformed):
        webhooks.read("ORDER_CHANGE", told, {})


@pytest.mark.skipif(not EXAMPLES, reason="Amazon's official notification schemas are not here")
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_official_examples_are_read(name):
    for example in json.loads(EXAMPLES[name].read_text()).get("examples") or []:
        read = notifications.read(json.dumps(example).encode())
        assert read.id
        # Neither a parcel's milestone nor what was done for a vendor group names a seller.
        nobody = read.type == "SHIPMENT_TRACKING_MILESTONE_CHANGED"
        nobody = nobody or str(read.about.get("accountid")).startswith("amzn1.vg.")
        assert bool(read.seller) is not nobody
        if read.type in notifications.ABOUT_AN_ORDER:
            assert read.order
        assert notifications.events(read)


# --- the relay ------------------------------------------------------------------------------------------------------


def test_what_a_relay_signed_is_taken(body):
    told = body("notification_buyer_asks_to_cancel")
    headers = webhooks.sign("secret", "ORDER_CHANGE", "A1", told, NOW)
    webhooks.verify(["other", "secret"], headers, told, NOW + timedelta(minutes=4))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda h, b: (h | {webhooks.SIGNATURE: "0" * 64}, b),
        lambda h, b: (h | {webhooks.SIGNATURE: "é"}, b),
        lambda h, b: ({webhooks.SIGNATURE: h[webhooks.SIGNATURE]}, b),
        lambda h, b: (h | {webhooks.TIME: str(int(h[webhooks.TIME]) + 1)}, b),
        lambda h, b: (h | {webhooks.TIME: "१२३"}, b),
        lambda h, b: (h, b + b" "),
        lambda h, b: ({}, b),
    ],
)
def test_anything_else_is_forged(body, spoil):
    told = body("notification_buyer_asks_to_cancel")
    headers, told = spoil(webhooks.sign("secret", "ORDER_CHANGE", "A1", told, NOW), told)
    with pytest.raises(Unauthenticated):
        webhooks.verify(["secret"], headers, told, NOW)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_signature_is_not_taken_again(body, minutes):
    told = body("notification_buyer_asks_to_cancel")
    headers = webhooks.sign("secret", "ORDER_CHANGE", "A1", told, NOW)
    with pytest.raises(Unauthenticated):
        webhooks.verify(["secret"], headers, told, NOW + timedelta(minutes=minutes))


def test_without_a_secret_nothing_is_taken(body):
    told = body("notification_buyer_asks_to_cancel")
    with pytest.raises(Unauthenticated):
        webhooks.verify([], webhooks.sign("", "ORDER_CHANGE", "A1", told, NOW), told, NOW)
