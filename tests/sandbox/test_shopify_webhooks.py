"""Webhooks of a shop: signature, shape, retries, doubles, order, and what happens to who does not answer."""

import asyncio
import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qsl, urlsplit

from shipcrowd.sandbox.schemas import Knobs, NewAddress, NewLine, NewOrder, Payment

SHOP = "asha-crafts.myshopify.com"


def signed(desk, received, secret=None):
    # The subscription was made by a custom app, which has a secret of its own.
    custom = [app.client_secret for app in desk.shopify.apps.values() if not app.public]
    digest = hmac.new((secret or custom[0]).encode(), received.body, hashlib.sha256).digest()
    return received.headers["x-shopify-hmac-sha256"] == base64.b64encode(digest).decode()


async def test_a_new_order_is_announced_with_a_signature_over_the_raw_body(desk, receiver, subscribe):
    await subscribe("ORDERS_CREATE")
    placed = desk.place_order(SHOP, NewOrder(note="ring & wait <bell>"))
    await desk.drain()
    (got,) = receiver.received
    assert signed(desk, got)
    assert not signed(desk, got, "another secret")
    assert got.headers["x-shopify-topic"] == "orders/create"
    assert got.headers["x-shopify-shop-domain"] == SHOP
    assert got.headers["x-shopify-api-version"] == "2026-10"
    assert got.headers["user-agent"] == "Shopify-Captain-Hook"
    assert got.headers["x-shopify-webhook-id"] != got.headers["x-shopify-event-id"]
    assert b"ring \\u0026 wait" in got.body, "as a Rails application escapes it"
    assert got.json["note"] == "ring & wait <bell>"
    assert json.dumps(got.json).encode() != got.body, "re-serialising breaks the signature"
    assert (got.json["id"], got.json["name"]) == (placed.id, placed.name)


async def test_the_payload_has_the_shape_of_the_old_rest_api(desk, receiver, subscribe):
    await subscribe("ORDERS_CREATE")
    address = NewAddress(first_name="मीरा", last_name="जोशी", address1="१२, गांधी मार्ग", city="पुणे", zip="411001")
    lines = (NewLine(sku="BOT-1L-BLU", quantity=2),)
    desk.place_order(SHOP, NewOrder(payment=Payment.cod, lines=lines, shipping_address=address, shipping_fee="80.00"))
    await desk.drain()
    body = receiver.received[0].json
    assert body["financial_status"] == "pending"
    assert body["fulfillment_status"] is None
    assert body["payment_gateway_names"] == ["Cash on Delivery (COD)"]
    assert (body["total_price"], body["total_outstanding"]) == ("1078.00", "1078.00")
    assert body["total_shipping_price_set"]["shop_money"]["amount"] == "80.00"
    assert body["created_at"].endswith("+05:30")
    assert body["shipping_address"]["name"] == "मीरा जोशी"
    assert body["shipping_address"]["phone"] is None
    line = body["line_items"][0]
    assert (line["sku"], line["price"], line["grams"]) == ("BOT-1L-BLU", "499.00", 420)
    assert line["tax_lines"] == [{"title": "IGST", "rate": 0.18, "price": "152.24"}]


async def test_two_subscriptions_share_the_event_but_not_the_delivery(desk, receiver, subscribe):
    await subscribe("ORDERS_CREATE")
    await subscribe("ORDERS_CREATE", url="https://app.example/other")
    desk.place_order(SHOP)
    await desk.drain()
    one, two = receiver.received
    assert one.headers["x-shopify-event-id"] == two.headers["x-shopify-event-id"]
    assert one.headers["x-shopify-webhook-id"] != two.headers["x-shopify-webhook-id"]


async def test_a_failed_delivery_is_repeated_to_the_byte(desk, receiver, subscribe):
    desk.set_knobs(Knobs(webhook_retry_seconds=(0,) * 8))
    await subscribe("ORDERS_CREATE")
    receiver.answers = [500, 302, 404]
    desk.place_order(SHOP)
    await desk.drain()
    assert len(receiver.received) == 4
    assert len({(one.body, one.headers["x-shopify-webhook-id"]) for one in receiver.received}) == 1
    assert desk.letters()[0].answers == ("500", "302", "404", "200")


async def test_a_retry_waits_its_time_unless_it_is_hurried(desk, receiver, subscribe):
    desk.set_knobs(Knobs(webhook_retry_seconds=(300,) * 8))
    await subscribe("ORDERS_CREATE")
    receiver.answers = [503]
    desk.place_order(SHOP)
    await desk.drain()
    assert len(receiver.received) == 1
    assert desk.retry_webhooks() == 1
    await desk.drain()
    assert len(receiver.received) == 2


async def test_eight_failures_in_a_row_delete_the_subscription(desk, receiver, subscribe, shopify):
    desk.set_knobs(Knobs(webhook_retry_seconds=(0,) * 8))
    await subscribe("ORDERS_CREATE", "ORDERS_UPDATED")
    receiver.answers = [500] * 8
    desk.place_order(SHOP)
    await desk.drain()
    assert len(receiver.received) == 8
    assert desk.letters()[0].state == "failed"
    left = (await shopify.data("Hooks"))["webhookSubscriptions"]["nodes"]
    assert [one["topic"] for one in left] == ["ORDERS_UPDATED"]


async def test_who_takes_longer_than_the_limit_has_not_answered(desk, subscribe):
    calls = 0

    async def sleepy(scope, receive, send):
        nonlocal calls
        calls += 1
        await asyncio.sleep(5)

    desk.postman.receivers["slow.example"] = sleepy
    desk.set_knobs(Knobs(webhook_timeout_seconds=0.05, webhook_retry_seconds=()))
    await subscribe("ORDERS_CREATE", url="https://slow.example/hooks")
    desk.place_order(SHOP)
    await desk.drain()
    assert calls == 1
    assert desk.letters()[0].state == "failed"
    assert "no answer" in desk.letters()[0].answers[0]


async def test_a_delivery_can_be_doubled(desk, receiver, subscribe):
    desk.set_knobs(Knobs(duplicate=1.0))
    await subscribe("ORDERS_CREATE")
    desk.place_order(SHOP)
    await desk.drain()
    assert len(receiver.received) == 2
    assert len({one.headers["x-shopify-webhook-id"] for one in receiver.received}) == 1


async def test_an_update_can_overtake_the_creation(desk, receiver, subscribe):
    await subscribe("ORDERS_CREATE", "ORDERS_UPDATED", "ORDERS_CANCELLED")
    desk.set_knobs(Knobs(reorder=1.0))
    placed = desk.place_order(SHOP)
    desk.set_knobs(Knobs(reorder=0.0))
    desk.cancel_order(SHOP, placed.name)
    await desk.drain()
    assert receiver.topics[0] == "orders/updated"
    assert sorted(receiver.topics) == ["orders/cancelled", "orders/create", "orders/updated"]


async def test_a_delivery_can_be_lost(desk, receiver, subscribe):
    desk.set_knobs(Knobs(lose=1.0))
    await subscribe("ORDERS_CREATE")
    desk.place_order(SHOP)
    await desk.drain()
    assert receiver.received == []
    assert desk.letters()[0].state == "lost"


async def test_nothing_is_ever_sent_off_this_machine(desk, subscribe, shopify):
    await subscribe("ORDERS_CREATE", url="https://hooks.elsewhere.example/in")
    desk.place_order(SHOP)
    await desk.drain()
    assert desk.letters()[0].state == "kept"
    plain = await shopify.data("Hook", topic="ORDERS_CREATE", s={"uri": "http://hooks.elsewhere.example/in"})
    assert plain["webhookSubscriptionCreate"]["userErrors"][0]["field"] == ["webhookSubscription", "callbackUrl"]


async def test_subscriptions_are_listed_refused_twice_and_deleted(shopify, subscribe):
    await subscribe("ORDERS_CREATE")
    twice = await shopify.data("Hook", topic="ORDERS_CREATE", s={"uri": "https://app.example/hooks"})
    assert (
        twice["webhookSubscriptionCreate"]["userErrors"][0]["message"]
        == "Address for this topic has already been taken"
    )
    (one,) = (await shopify.data("Hooks"))["webhookSubscriptions"]["nodes"]
    assert (one["topic"], one["uri"], one["apiVersion"]) == (
        "ORDERS_CREATE", "https://app.example/hooks", {"handle": "2026-10"},
    )  # fmt: skip
    gone = (await shopify.data("Unhook", id=one["id"]))["webhookSubscriptionDelete"]
    assert gone["deletedWebhookSubscriptionId"] == one["id"]
    again = (await shopify.data("Unhook", id=one["id"]))["webhookSubscriptionDelete"]
    assert again["userErrors"][0]["message"] == "Webhook subscription does not exist"


async def test_what_the_app_does_comes_back_as_webhooks(desk, receiver, subscribe):
    await subscribe("FULFILLMENTS_CREATE", "ORDERS_FULFILLED", "ORDERS_PAID", "INVENTORY_LEVELS_UPDATE")
    placed = desk.place_order(SHOP, NewOrder(payment=Payment.prepaid, lines=(NewLine(sku="CHAI-250"),)))
    desk.fulfil_elsewhere(SHOP, placed.name, "AWB-77")
    await desk.drain()
    assert receiver.topics == ["inventory_levels/update", "orders/paid", "fulfillments/create", "orders/fulfilled"]
    assert receiver.received[0].json["available"] == 99
    assert receiver.received[2].json["tracking_numbers"] == ["AWB-77"]


async def test_an_uninstall_is_announced_and_takes_the_subscriptions_along(desk, receiver, http):
    callback = desk.approve(
        f"https://{SHOP}/admin/oauth/authorize?client_id=sandbox-client-id&redirect_uri=https://app.example/callback"
    )
    granted = (
        await http.post(
            f"https://{SHOP}/admin/oauth/access_token",
            json={
                "client_id": "sandbox-client-id",
                "client_secret": "sandbox-client-secret",
                "code": dict(parse_qsl(urlsplit(callback).query))["code"],
                "expiring": 1,
            },
        )
    ).json()
    query = 'mutation { webhookSubscriptionCreate(topic: APP_UNINSTALLED, webhookSubscription: {uri: "https://app.example/hooks"}) { userErrors { message } } }'  # noqa: E501
    url = f"https://{SHOP}/admin/api/2026-10/graphql.json"
    await http.post(url, headers={"X-Shopify-Access-Token": granted["access_token"]}, json={"query": query})
    desk.uninstall(SHOP)
    await desk.drain()
    assert receiver.topics == ["app/uninstalled"]
    assert signed(desk, receiver.received[0], "sandbox-client-secret")
    assert receiver.received[0].json["myshopify_domain"] == SHOP
    assert desk.shops()[0].subscriptions == ()


async def test_compliance_webhooks_go_to_the_apps_configured_address(desk, receiver):
    desk.set_compliance_url("https://app.example/privacy")
    placed = desk.place_order(SHOP)
    for topic in ("customers/data_request", "customers/redact", "shop/redact"):
        desk.privacy(SHOP, topic, placed.name)
    await desk.drain()
    assert receiver.topics == ["customers/data_request", "customers/redact", "shop/redact"]
    assert receiver.received[0].json["orders_requested"] == [placed.id]
    assert receiver.received[1].json["orders_to_redact"] == [placed.id]
    assert set(receiver.received[2].json) == {"shop_id", "shop_domain"}
    assert all(signed(desk, one, "sandbox-client-secret") for one in receiver.received)


async def test_an_orders_webhook_can_be_sent_afresh(desk, receiver, subscribe):
    await subscribe("ORDERS_UPDATED")
    placed = desk.place_order(SHOP)
    assert desk.resend_webhook(SHOP, placed.name) == 1
    await desk.drain()
    assert receiver.topics == ["orders/updated"]
