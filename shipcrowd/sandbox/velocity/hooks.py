"""Webhooks of the courier. Undocumented: the headers and both shapes are those other programs are known to expect."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from shipcrowd.kernel import clock
from shipcrowd.kernel.ids import new_id
from shipcrowd.sandbox.letters import Letter
from shipcrowd.sandbox.schemas import WebhookShape
from shipcrowd.sandbox.velocity.state import Parcel, Scan, Velocity

CODES = {
    "PICKED UP": "PKP",
    "IN TRANSIT": "IT",
    "OUT FOR DELIVERY": "OFD",
    "DELIVERED": "DEL",
    "DELIVERY ATTEMPTED": "NDR",
    "RTO INITIATED": "RTO",
}


def moved(world: Velocity, parcel: Parcel, scan: Scan) -> None:
    """Announce a scan."""
    if world.knobs.webhook_shape is WebhookShape.flat:
        body: dict[str, object] = {
            "awb_code": parcel.awb,
            "order_id": parcel.order_id,
            "shipment_status": scan.status,
            "activity": scan.activity,
            "location": scan.location,
            "date": _ist(scan.at),
        }
        _send(world, "SHIPMENT_STATUS_UPDATE", body)
        return
    event = "REVERSE_SHIPMENT_STATUS_UPDATE" if parcel.flow == "return" else "SHIPMENT_STATUS_UPDATE"
    if scan.status == "CANCELLED":
        event = "SHIPMENT_CANCELLED"
    data = _shipment_data(parcel) | {
        "status": scan.status,
        "status_code": CODES.get(scan.status, scan.status.replace(" ", "_")),
        "current_location": scan.location,
        "updated_at": scan.at.isoformat(),
        "description": scan.activity,
        "delivery_date": scan.at.date().isoformat() if scan.status == "DELIVERED" else None,
        "pod_details": {"receiver_name": parcel.to_name, "image_url": None, "signature_url": None}
        if scan.status == "DELIVERED"
        else None,
    }
    _send(world, event, _typed(event, shipment_data=data))


def created(world: Velocity, parcel: Parcel) -> None:
    if world.knobs.webhook_shape is WebhookShape.typed:
        data = _shipment_data(parcel) | {"status": "NEW", "updated_at": clock.now().isoformat()}
        _send(world, "SHIPMENT_CREATED", _typed("SHIPMENT_CREATED", shipment_data=data))


def weighed(world: Velocity, parcel: Parcel, grams: int, where: str) -> None:
    """The courier put the parcel on its own scale."""
    weight = {
        "scanned_weight": grams,
        "unit": "g",
        "scan_location": where,
        "scan_timestamp": clock.now().isoformat(),
        "scan_photo_url": None,
    }
    event = "SHIPMENT_WEIGHT_SCANNED"
    _send(world, event, _typed(event, shipment_data=_shipment_data(parcel), weight_data=weight))


def remitted(world: Velocity, parcels: Sequence[Parcel], utr: str, on: date) -> None:
    """The courier paid out the cash it collected."""
    rows = [
        {
            "awb": one.awb,
            "cod_amount": float(one.cod),
            "shipping_deduction": 0.0,
            "cod_charge": 0.0,
            "rto_charge": 0.0,
            "net_amount": float(one.cod),
        }
        for one in parcels
    ]
    data = {
        "settlement_id": world.code("SET"),
        "settlement_date": on.isoformat(),
        "total_amount": float(sum(one.cod for one in parcels)),
        "currency": "INR",
        "utr_number": utr,
        "bank_details": None,
        "shipments": rows,
    }
    _send(world, "SETTLEMENT_COMPLETED", _typed("SETTLEMENT_COMPLETED", settlement_data=data))


def _shipment_data(parcel: Parcel) -> dict[str, object]:
    return {
        "awb": parcel.awb,
        "order_id": parcel.order_id,
        "courier_name": parcel.carrier.name if parcel.carrier else None,
        "payment_mode": "COD" if parcel.cod else "PREPAID",
        "cod_amount": float(parcel.cod),
        "estimated_delivery": None,
    }


def _typed(event: str, **parts: Mapping[str, object]) -> dict[str, object]:
    return {"event_type": event, "webhook_id": str(new_id()), "timestamp": clock.now().isoformat(), **parts}


def _send(world: Velocity, event: str, body: Mapping[str, object]) -> None:
    target = world.webhook
    if target is None:
        return
    raw = json.dumps(body, ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Velocity-Shipping-Webhook",
        "X-Velocity-Signature": hmac.new(target.secret.encode(), raw, hashlib.sha256).hexdigest(),
        "X-Velocity-Timestamp": str(int(clock.now().timestamp())),
        "X-Velocity-Event-Type": event,
    }
    if target.api_key:
        headers["X-Api-Key"] = target.api_key
    world.postman.post(Letter("velocity", event, target.url, headers, raw))


def _ist(at: datetime) -> str:
    return clock.ist(at).strftime("%Y-%m-%d %H:%M:%S")
