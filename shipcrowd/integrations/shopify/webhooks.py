"""Shopify's webhooks: whether one is real, and what it tells us.

They come at least once, in no order, with delays and now and then not at all, and are worth acting on only as a
hint: apart from a new order, which is taken as it stands, an order is read afresh.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from shipcrowd.channels.contract import ChannelEvent, NothingToDo, OrderChanged, OrderTouched, PrivacyAsk, StoreLeft
from shipcrowd.integrations.shopify import mapping, watch
from shipcrowd.integrations.shopify.raw import entries, obj, shown
from shipcrowd.integrations.shopify.words import tail
from shipcrowd.kernel.errors import BadRequest, Unauthenticated
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Json, Malformed, read_json

_ORDER_ID_AT: Mapping[str, tuple[str, ...]] = {
    "orders/updated": ("id",),
    "orders/cancelled": ("id",),
    "orders/fulfilled": ("id",),
    "orders/partially_fulfilled": ("id",),
    "orders/paid": ("id",),
    "orders/delete": ("id",),
    "orders/edited": ("order_edit", "order_id"),
    "fulfillments/create": ("order_id",),
    "fulfillments/update": ("order_id",),
    "fulfillment_events/create": ("order_id",),
    "refunds/create": ("order_id",),
    "returns/request": ("order", "id"),
    "returns/approve": ("order", "id"),
    "returns/close": ("order", "id"),
}
"""Topic → where its payload names the order."""

_PRIVACY: Mapping[str, tuple[str, str]] = {
    "customers/data_request": ("data_request", "orders_requested"),
    "customers/redact": ("redact_buyer", "orders_to_redact"),
    "shop/redact": ("redact_store", ""),
}
"""Compliance topic → our word for it, and where it lists orders."""


class ForgedWebhook(Unauthenticated):
    """The signature of this webhook is missing or wrong."""


class NamelessWebhook(BadRequest):
    """This webhook does not say which store or topic it is of."""


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Raises ForgedWebhook unless one of `secrets` signed the raw body. Shopify signs no time, so `now` is unused."""
    given = headers.get("x-shopify-hmac-sha256", "")
    matches = [hmac.compare_digest(_signature(secret, body).encode(), given.encode()) for secret in secrets if secret]
    if not any(matches):
        raise ForgedWebhook("The signature of this webhook is missing or wrong.")


def sign(secret: str, topic: str, store: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers Shopify would send with `body`."""
    return {
        "content-type": "application/json",
        "user-agent": "Shopify-Captain-Hook",
        "x-shopify-hmac-sha256": _signature(secret, body),
        "x-shopify-shop-domain": store,
        "x-shopify-topic": topic,
        "x-shopify-triggered-at": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "x-shopify-webhook-id": str(new_id()),
        "x-shopify-event-id": str(new_id()),
    }


def delivery_id(headers: Mapping[str, str], body: bytes) -> str:
    """The same across retries of one delivery. Without the header, the digest of what came, so that a repeat is one."""
    if named := headers.get("x-shopify-webhook-id"):
        return named
    return "sha256:" + hashlib.sha256(headers.get("x-shopify-topic", "").encode() + b"\n" + body).hexdigest()


def topic(headers: Mapping[str, str], body: bytes) -> str:
    """Raises NamelessWebhook without one."""
    return _named(headers, "x-shopify-topic")


def store(headers: Mapping[str, str], body: bytes) -> str:
    """The store's myshopify.com domain. Raises NamelessWebhook without one."""
    return _named(headers, "x-shopify-shop-domain")


def read(topic: str, body: bytes, headers: Mapping[str, str]) -> list[ChannelEvent]:
    """What a delivery means for us. Raises Malformed."""
    found = obj(read_json(body))
    if topic == "orders/create":
        return [_new_order(found)]
    if topic in _ORDER_ID_AT:
        return [OrderTouched(_order_id(topic, found))]
    if topic == "app/uninstalled":
        return [StoreLeft(_triggered_at(headers))]
    if topic in _PRIVACY:
        return [_privacy(topic, found)]
    return [NothingToDo(topic)]


def _new_order(payload: Mapping[str, Json]) -> ChannelEvent:
    order = watch.notice(mapping.order_from_payload(payload))
    standing = mapping.payload_standing(payload.get("order") or payload)
    # What decides about money or the address is missing from this payload: the API may know it.
    if standing.outstanding is None or order.pii_withheld:
        return OrderTouched(order.external_id)
    return OrderChanged(order)


def _order_id(topic: str, payload: Mapping[str, Json]) -> str:
    found: Json = payload
    for step in _ORDER_ID_AT[topic]:
        found = obj(found).get(step)
    if found is None:
        found = obj(payload.get("order")).get("id")  # some senders wrap the payload
    if not isinstance(found, (int, str)) or not found:
        raise Malformed(f"the payload of {topic} names no order", shown(dict(payload)))
    return tail(found)


def _privacy(topic: str, payload: Mapping[str, Json]) -> PrivacyAsk:
    kind, listed = _PRIVACY[topic]
    customer = obj(payload.get("customer"))
    return PrivacyAsk(
        kind=kind,
        external_order_ids=tuple(tail(order) for order in entries(payload.get(listed))),
        email=customer.get("email") or None,
        phone=customer.get("phone") or None,
    )


def _triggered_at(headers: Mapping[str, str]) -> datetime | None:
    text = headers.get("x-shopify-triggered-at", "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def _signature(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def _named(headers: Mapping[str, str], header: str) -> str:
    name = headers.get(header, "").strip().lower()
    if not name:
        raise NamelessWebhook(f"The header {header} is missing.")
    return name
