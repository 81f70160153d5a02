"""Notifications of a seller: their words, their envelope, and both ways to sign them.

Flipkart's own signature is over the registered address, not the body. A group (a shipment, a return) is told in order,
and one that is not answered with 200 blocks all later ones of its group until it is.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart import wire
from shipcrowd.sandbox.flipkart.schemas import NotificationTarget
from shipcrowd.sandbox.flipkart.state import App, Item, Return, Seller, Shipment, World
from shipcrowd.sandbox.letters import Letter

TOPICS = {
    "shipment_created": "order.created",
    "shipment_unhold": "order.confirmed",
    "shipment_packed": "order.confirmed",
    "shipment_pickup_complete": "order.shipped",
    "shipment_shipped": "order.shipped",
    "shipment_delivered": "order.delivered",
    "shipment_cancelled": "order.cancelled",
    "return_created": "order.returned",
    "return_picked_up": "order.returned",
    "return_completed": "order.returned",
    "return_cancelled": "order.returned",
    "shipment_ready_to_dispatch": "shipment.tracking_updated",
    "shipment_dispatch_dates_changed": "shipment.tracking_updated",
    "return_item_tracking_id_update": "shipment.tracking_updated",
}
"""An event in the words of a target that wants topics; what is missing keeps its own name."""

ROUTES = {
    "shipment_created": "order-placed",
    "shipment_cancelled": "order-cancelled",
    "return_created": "return-initiated",
}


def moved(world: World, seller: Seller, shipment: Shipment) -> None:
    """Tell the state a shipment has come to."""
    status = shipment.status
    if status in ("PACKED", "READY_TO_DISPATCH", "PICKUP_COMPLETE", "SHIPPED", "DELIVERED"):
        tell(world, seller, shipment, f"shipment_{status.lower()}", {"status": status})
    elif status == "FORM_FAILED":
        tell(world, seller, shipment, "shipment_form_failed", {"status": status, "forms": [shipment.form]})


def created(world: World, seller: Seller, shipment: Shipment) -> None:
    whole = wire.shipment(world, shipment)
    kept = ("dispatchAfterDate", "dispatchByDate", "hold", "mps", "subShipments", "orderItems", "forms")
    body = {name: whole.get(name) for name in kept}
    tell(world, seller, shipment, "shipment_created", {**body, "dispatchLocation": {"id": shipment.location.id}})


def held(world: World, seller: Seller, shipment: Shipment) -> None:
    rows = [{"orderItemId": item.id, "holdQuantity": item.held} for item in shipment.live if item.held]
    tell(world, seller, shipment, "shipment_hold", {"orderItems": rows}, location=False)


def released(world: World, seller: Seller, shipment: Shipment) -> None:
    tell(world, seller, shipment, "shipment_unhold", {"status": shipment.status})


def dates_changed(world: World, seller: Seller, shipment: Shipment) -> None:
    dates = {
        "dispatchAfterDate": wire.moment(shipment.dispatch_after),
        "dispatchByDate": wire.moment(shipment.dispatch_by),
    }
    tell(world, seller, shipment, "shipment_dispatch_dates_changed", dates)


def cancelled(world: World, seller: Seller, shipment: Shipment, gone: Sequence[tuple[Item, int]]) -> None:
    """`gone` is what was cancelled just now, which may be a part."""
    rows = [
        {"orderItemId": item.id, "quantity": units, "reason": item.reason, "subReason": item.sub_reason}
        for item, units in gone
    ]
    tell(world, seller, shipment, "shipment_cancelled", {"status": "CANCELLED", "orderItems": rows})


def returned(world: World, seller: Seller, it: Return, event: str) -> None:
    """Any event of a return; its attributes are those the event is documented with."""
    row: dict[str, Any] = {"orderItemId": it.item.id}
    attributes: dict[str, Any] = {"returnItems": [row]}
    if event == "return_created":
        row |= {
            "returnId": it.id,
            "source": it.source.value,
            "action": it.action,
            "quantity": it.quantity,
            "reason": it.reason,
            "subReason": it.sub_reason,
            "trackingId": it.awb,
            "courierName": it.courier,
            "shipmentId": it.shipment.id,
            "expectedDate": wire.moment(it.expected_at),
            "replacementOrderItemId": None,
        }
        attributes["status"] = "RETURN_CREATED"
    elif event == "return_item_tracking_id_update":
        row |= {"trackingId": it.awb, "courierName": it.courier}
    elif event == "return_expected_date_changed":
        row["expectedDate"] = wire.moment(it.expected_at)
    else:
        attributes["status"] = event.upper()
    if seller.target and seller.target.returns:
        _send(world, seller, it.id, event, {"returnId": it.id, "locationId": it.shipment.location.id}, attributes)


def tell(
    world: World,
    seller: Seller,
    shipment: Shipment,
    event: str,
    attributes: Mapping[str, object],
    *,
    location: bool = True,
) -> None:
    """One event of a shipment. Some events come without a location."""
    where = {"locationId": shipment.location.id} if location else {}
    _send(world, seller, shipment.id, event, {"shipmentId": shipment.id, **where}, attributes)


def _send(
    world: World,
    seller: Seller,
    group: str,
    event: str,
    about: Mapping[str, object],
    attributes: Mapping[str, object],
) -> None:
    target = seller.target
    if target is None:
        return
    name = TOPICS.get(event, event) if target.words == "topics" else event
    body = {
        "eventType": name,
        "source": "flipkart",
        "version": "v3",
        "timestamp": clock.ist(clock.now()).isoformat(timespec="seconds"),
        **about,
        "attributes": attributes,
    }
    raw = json.dumps(body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Flipkart-Notification-Service"}
    # Where each event has an address of its own, each of them is the registered one.
    url = f"{target.url}/{ROUTES[event]}" if target.routes and event in ROUTES else target.url
    headers |= signature(seller.own_app if target.own_app else world.app, target, raw, clock.now(), url)
    world.postman.post(Letter(f"flipkart {seller.id} {group}", name, url, headers, raw, in_order=True, only_200=True))


def signature(app: App, target: NotificationTarget, raw: bytes, at: datetime, url: str) -> dict[str, str]:
    """The headers that prove who sent `raw` to the registered address `url` at `at`."""
    signed: dict[str, str] = {}
    if target.signing in ("fklogin", "both"):
        date, authorization = ("X-Date", "X-Authorization") if target.hyphens else ("X_Date", "X_Authorization")
        signed[date] = at.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        token = base64.b64encode(f"{app.id}:{fklogin_hash(app.secret, url, at)}".encode()).decode()
        signed[authorization] = f"FKLOGIN {token}"
    if target.signing in ("hmac", "both"):
        digest = hmac.new(target.secret.encode(), raw, hashlib.sha256).digest()
        shown = {"hex": digest.hex(), "base64": base64.b64encode(digest).decode(), "prefixed": f"sha256={digest.hex()}"}
        signed["X-Flipkart-Signature"] = shown[target.hmac_as]
    return signed


def fklogin_hash(secret: str, registered_url: str, at: datetime) -> str:
    """Hex SHA-1 over the time in whole seconds, the registered address, the method and the secret; not the body."""
    signed = f"{int(at.timestamp())}{registered_url}POST{secret}"
    return hashlib.sha1(signed.encode(), usedforsecurity=False).hexdigest()
