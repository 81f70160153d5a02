import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from shipcrowd.channels.contract import NothingToDo, OrderChanged, OrderTouched, PrivacyAsk, StoreLeft
from shipcrowd.integrations.shopify import webhooks
from shipcrowd.kernel.errors import BadRequest, Unauthenticated
from shipcrowd.kernel.outbound import Malformed

NOW = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
BODY = b'{"id": 1, "name": "caf\xe9 \xff"}'  # not UTF-8: the signature is over bytes


def headers_for(body: bytes, secret: str = "hush") -> dict[str, str]:
    digest = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {"x-shopify-hmac-sha256": digest}


def test_the_raw_bytes_are_what_is_signed():
    webhooks.verify(["hush"], headers_for(BODY), BODY, NOW)
    with pytest.raises(Unauthenticated):
        webhooks.verify(["hush"], headers_for(BODY), BODY + b" ", NOW)


def test_any_of_several_secrets_will_do():
    webhooks.verify(["new", "", "hush"], headers_for(BODY), BODY, NOW)


@pytest.mark.parametrize(
    ("secrets", "headers"),
    [
        (["hush"], {}),
        (["hush"], {"x-shopify-hmac-sha256": ""}),
        (["hush"], {"x-shopify-hmac-sha256": "ä" * 44}),
        (["hush"], headers_for(BODY, "guess")),
        (["hush"], {"x-shopify-hmac-sha256": hmac.new(b"hush", BODY, hashlib.sha256).hexdigest()}),
        ([], headers_for(BODY)),
        ([""], headers_for(BODY, "")),
    ],
)
def test_a_webhook_nobody_signed_is_refused(secrets: list[str], headers: dict[str, str]):
    with pytest.raises(Unauthenticated):
        webhooks.verify(secrets, headers, BODY, NOW)


def test_what_we_sign_ourselves_reads_like_theirs():
    headers = webhooks.sign("hush", "orders/create", "mehfil-studio.myshopify.com", BODY, NOW)
    webhooks.verify(["hush"], headers, BODY, NOW)
    assert webhooks.topic(headers, BODY) == "orders/create"
    assert webhooks.store(headers, BODY) == "mehfil-studio.myshopify.com"
    assert webhooks.delivery_id(headers, BODY) == headers["x-shopify-webhook-id"]
    assert webhooks.read("app/uninstalled", b"{}", headers) == [StoreLeft(NOW)]


def test_a_delivery_without_an_id_is_known_by_what_it_says():
    first = webhooks.delivery_id({"x-shopify-topic": "orders/create"}, BODY)
    assert first == webhooks.delivery_id({"x-shopify-topic": "orders/create"}, BODY)
    assert first != webhooks.delivery_id({"x-shopify-topic": "orders/updated"}, BODY)


def test_a_delivery_must_say_its_store_and_topic():
    with pytest.raises(BadRequest):
        webhooks.store({}, BODY)
    with pytest.raises(BadRequest):
        webhooks.topic({"x-shopify-topic": " "}, BODY)


def read(topic: str, payload, headers: dict[str, str] | None = None):
    return webhooks.read(topic, json.dumps(payload, default=str).encode(), headers or {})


def test_a_new_order_is_taken_as_it_stands(payload):
    [event] = read("orders/create", payload("order_created_cod"))
    assert isinstance(event, OrderChanged)
    assert event.order.number == "#MEH2087"


def test_a_new_order_that_hides_what_is_owed_is_read_afresh(payload):
    order = payload("order_created_part_prepaid_cod")
    del order["total_outstanding"]
    assert read("orders/create", order) == [OrderTouched("6204500000021")]


def test_a_new_order_without_its_buyer_is_read_afresh(payload):
    order = payload("order_created_cod")
    order["shipping_address"] = {"city": "Mumbai", "zip": "400052", "country_code": "IN"}
    order["billing_address"] = order["customer"] = order["email"] = None
    assert read("orders/create", order) == [OrderTouched("6204500000017")]


@pytest.mark.parametrize(
    ("topic", "name", "order"),
    [
        ("orders/updated", "order_created_cod", "6204500000017"),
        ("orders/cancelled", "order_created_cod", "6204500000017"),
        ("orders/fulfilled", "order_created_cod", "6204500000017"),
        ("orders/partially_fulfilled", "order_created_cod", "6204500000017"),
        ("orders/paid", "order_created_cod", "6204500000017"),
        ("orders/updated", "order_created_by_an_old_api", "880012"),
        ("orders/edited", "order_edited", "7300000000042"),
        ("fulfillments/create", "fulfilment_created", "7300000000042"),
    ],
)
def test_a_changed_order_is_read_afresh(payload, topic: str, name: str, order: str):
    assert read(topic, payload(name)) == [OrderTouched(order)]


def test_a_deleted_order_is_looked_for_too():
    assert read("orders/delete", {"id": 77}) == [OrderTouched("77")]


def test_an_uninstall_says_when_if_it_can(payload):
    stamped = {"x-shopify-triggered-at": "2026-11-20T06:30:00.123456789Z"}
    assert read("app/uninstalled", payload("app_uninstalled"), stamped) == [
        StoreLeft(datetime(2026, 11, 20, 6, 30, 0, 123456, tzinfo=UTC))
    ]
    for unclear in ({}, {"x-shopify-triggered-at": "yesterday"}, {"x-shopify-triggered-at": "2026-11-20T06:30:00"}):
        assert read("app/uninstalled", payload("app_uninstalled"), unclear) == [StoreLeft(None)]


def test_buyers_rights_are_passed_on(payload):
    assert read("customers/data_request", payload("buyer_asked_for_her_data")) == [
        PrivacyAsk(
            "data_request", ("6204500000017", "6204500000021"), email="meera.iyer@example.in", phone="+919820012345"
        )
    ]
    assert read("customers/redact", payload("buyer_must_be_forgotten")) == [
        PrivacyAsk("redact_buyer", ("6204500000017",), email="meera.iyer@example.in", phone="+919820012345")
    ]
    assert read("shop/redact", payload("store_must_be_forgotten")) == [PrivacyAsk("redact_store")]


@pytest.mark.parametrize("topic", ["inventory_levels/update", "products/update", "shop/update", "carts/invented"])
def test_what_does_not_concern_us_is_nothing_to_do(payload, topic: str):
    assert read(topic, payload("stock_changed")) == [NothingToDo(topic)]


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/create", b"<html>"),
        ("orders/create", b"[]"),
        ("orders/create", b'{"name": "#1"}'),
        ("orders/updated", b"{}"),
        ("orders/updated", b'{"id": null}'),
        ("orders/edited", b'{"order_edit": 5}'),
        ("customers/redact", b'{"customer": []}'),
    ],
)
def test_what_cannot_be_read_is_malformed(topic: str, body: bytes):
    with pytest.raises(Malformed):
        webhooks.read(topic, body, {})
