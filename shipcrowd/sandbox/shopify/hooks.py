"""Webhooks of a shop: who hears a topic, how a letter is signed, and what happens to who does not answer."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

from shipcrowd.kernel import clock
from shipcrowd.kernel.ids import new_id
from shipcrowd.sandbox.letters import Letter
from shipcrowd.sandbox.shopify.orders import App
from shipcrowd.sandbox.shopify.state import Shop, Shopify, Subscription

FAILURES_UNTIL_DROPPED = 8
COMPLIANCE_TOPICS = ("customers/data_request", "customers/redact", "shop/redact")


class NoComplianceUrl(ValueError):
    """The app has no address for compliance webhooks; Shopify takes it from the app's configuration."""


def header_topic(enum: str) -> str:
    """`ORDERS_PARTIALLY_FULFILLED` → `orders/partially_fulfilled`."""
    for noun in ("FULFILLMENT_ORDERS", "FULFILLMENT_EVENTS", "INVENTORY_LEVELS", "INVENTORY_ITEMS", "BULK_OPERATIONS"):
        if enum.startswith(noun + "_"):
            return f"{noun}/{enum.removeprefix(noun + '_')}".lower()
    noun, _, verb = enum.partition("_")
    return f"{noun}/{verb}".lower()


def publish(world: Shopify, shop: Shop, topic: str, payload: Mapping[str, object]) -> None:
    """Tell every subscription to `topic` (as in the header). One event id, one webhook id for each delivery."""
    event_id = str(new_id())
    for subscription in list(shop.subscriptions.values()):
        if header_topic(subscription.topic) == topic:
            trimmed = payload
            if subscription.include_fields:
                trimmed = {key: value for key, value in payload.items() if key in subscription.include_fields}
            _post(world, shop, subscription.app, subscription.uri, topic, trimmed, event_id, subscription)


def publish_compliance(world: Shopify, shop: Shop, topic: str, payload: Mapping[str, object]) -> None:
    """Send a compliance webhook to the app's configured address; raises NoComplianceUrl."""
    if not world.app.compliance_url:
        raise NoComplianceUrl("set the app's compliance address first")
    _post(world, shop, world.app, world.app.compliance_url, topic, payload, str(new_id()), None)


def encode(payload: Mapping[str, object]) -> bytes:
    """JSON as a Rails application writes it: compact, `&`, `<` and `>` escaped, other scripts left as they are."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").encode()


def sign(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def _post(
    world: Shopify,
    shop: Shop,
    app: App,
    uri: str,
    topic: str,
    payload: Mapping[str, object],
    event_id: str,
    subscription: Subscription | None,
) -> None:
    body = encode(payload)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Shopify-Captain-Hook",
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": sign(app.client_secret, body),
        "X-Shopify-Shop-Domain": shop.domain,
        "X-Shopify-API-Version": app.webhook_version,
        "X-Shopify-Webhook-Id": str(new_id()),
        "X-Shopify-Event-Id": event_id,
        "X-Shopify-Triggered-At": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
    }
    if subscription and subscription.name:
        headers["X-Shopify-Name"] = subscription.name

    def answered(worked: bool) -> None:
        if subscription is None:
            return
        subscription.failures = 0 if worked else subscription.failures + 1
        if subscription.failures >= FAILURES_UNTIL_DROPPED:
            subscription.dropped = True
            shop.subscriptions.pop(subscription.id, None)

    def wanted() -> bool:
        return subscription is None or not subscription.dropped

    world.postman.post(Letter(f"shopify {shop.domain}", topic, uri, headers, body, answered, wanted))
