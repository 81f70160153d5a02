"""Velocity's webhooks in their assumed form: the vendor publishes none and has not confirmed it.

Nothing depends on them alone: tracking is polled in any case. Two payload shapes are read, a flat one and one that
nests `shipment_data`, `weight_data` and `settlement_data`.

The signature covers the raw body and not the timestamp header, so the five-minute window alone does not stop a
replay; the delivery id does, being part of (or the hash of) the signed body.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import cast

from shipcrowd.couriers.contract import CourierEvent, Flow, Pod, Scan
from shipcrowd.integrations.velocity import reading, tracking
from shipcrowd.integrations.velocity.reading import first
from shipcrowd.kernel import clock
from shipcrowd.kernel.errors import Unauthenticated
from shipcrowd.kernel.outbound import Json, Malformed, read_json

SIGNATURE = "x-velocity-signature"
TIMESTAMP = "x-velocity-timestamp"
TOPIC = "x-velocity-event-type"
REPLAY_WINDOW = timedelta(minutes=5)

STATUS_UPDATE = "SHIPMENT_STATUS_UPDATE"
SETTLEMENT = "SETTLEMENT_COMPLETED"

STATUS_OF_TOPIC: Mapping[str, str] = {"SHIPMENT_CREATED": "NEW", "SHIPMENT_CANCELLED": "CANCELLED"}
"""What a topic says by itself, where the body names no status."""


class VelocityWebhooks:
    """Implements `couriers.contract.CourierWebhooks`."""

    def verify(self, secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """Raises Unauthenticated unless the body carries our signature and a timestamp within five minutes."""
        given = headers.get(SIGNATURE, "").strip().lower().removeprefix("sha256=")
        if not secret or not hmac.compare_digest(given.encode(), _signature(secret, body).encode()):
            raise Unauthenticated("the webhook's signature is not ours")
        sent = reading.moment(headers.get(TIMESTAMP, ""))
        if sent is None or abs(now - sent) > REPLAY_WINDOW:
            raise Unauthenticated("the webhook's timestamp is missing or more than five minutes off")

    def delivery_id(self, headers: Mapping[str, str], body: bytes) -> str:
        """The body's `webhook_id`, else the body's hash. Never a header: those are not signed."""
        try:
            named = first(reading.record(read_json(body)), "webhook_id")
        except Malformed:
            named = ""
        return named[:200] or hashlib.sha256(body).hexdigest()

    def topic(self, headers: Mapping[str, str], body: bytes) -> str:
        """The event type of the body, else of the header; the flat shape is a status update."""
        try:
            named = first(reading.record(read_json(body)), "event_type")
        except Malformed:
            named = ""
        return (named or headers.get(TOPIC, "").strip() or STATUS_UPDATE).upper()

    def read(self, topic: str, body: bytes) -> list[CourierEvent]:
        """The news in a delivery; none in a settlement, which COD reconciliation reads from the raw body."""
        if topic == SETTLEMENT:
            return []
        whole = read_json(body)
        items = cast(list[Json], whole) if isinstance(whole, list) else [whole]
        return [_event(topic, item) for item in items]


def sign(secret: str, topic: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers under which `body` passes `verify`: for tests and for driving a running system."""
    return {SIGNATURE: _signature(secret, body), TIMESTAMP: str(int(now.timestamp())), TOPIC: topic}


def _signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _event(topic: str, item: Json) -> CourierEvent:
    whole = reading.record(item)
    shipment = reading.record(whole.get("shipment_data")) or whole
    weight = reading.record(whole.get("weight_data"))
    awb = next((found for at in (shipment, whole, weight) if (found := _awb(at))), "")
    if not awb:
        raise Malformed("a Velocity webhook names no AWB", str(item))
    order_id = first(shipment, "order_id")
    scan = _scan(topic, whole, shipment)
    return CourierEvent(
        awb=awb,
        scans=(scan,) if scan else (),
        reference=order_id if order_id and not tracking.is_theirs(order_id) else None,
        pod=_pod(reading.record(shipment.get("pod_details"))),
        weight_grams=reading.grams(weight.get("scanned_weight"), first(weight, "unit")),
        raw=item,
    )


def _awb(source: Mapping[str, Json]) -> str:
    return first(source, "awb", "awb_code", "tracking_number")


def _scan(topic: str, whole: Mapping[str, Json], shipment: Mapping[str, Json]) -> Scan | None:
    said, code = first(shipment, "shipment_status", "status"), first(shipment, "status_code")
    status = said or code or STATUS_OF_TOPIC.get(topic, "")
    if not status:
        return None
    progress, flow = tracking.meaning(status)
    if progress is None:
        progress, flow = tracking.meaning(code)
    times = [shipment.get(name) for name in ("updated_at", "status_time", "scan_time", "date")] + [
        whole.get("timestamp")
    ]
    return Scan(
        # The flat shape tells no time; it is sent as things happen.
        at=next((at for value in times if (at := reading.moment(value))), None) or clock.now(),
        status=status,
        progress=progress,
        flow=Flow.reverse if topic.startswith("REVERSE_") else flow,
        location=first(shipment, "current_location", "location"),
        remark=first(shipment, "description", "activity"),
        raw=dict(shipment),
    )


def _pod(details: Mapping[str, Json]) -> Pod | None:
    pod = Pod(
        receiver=first(details, "receiver_name") or None,
        image_url=first(details, "image_url") or None,
        signature_url=first(details, "signature_url") or None,
    )
    return pod if pod != Pod() else None
