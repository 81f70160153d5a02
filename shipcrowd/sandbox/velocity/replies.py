"""Parcels in the shapes the vendor's documents show. Each endpoint has its own envelope; that is theirs, not ours."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shipcrowd.kernel import clock
from shipcrowd.sandbox.velocity import booking, labels
from shipcrowd.sandbox.velocity.state import Parcel, Velocity

Reply = dict[str, object]

FORWARD_BUCKETS: dict[str, frozenset[str]] = {
    "pickup_pending": frozenset(
        ("NEW", "MANIFESTED", "PENDING", "PICKUP SCHEDULED", "OUT FOR PICKUP", "PICKUP FAILED")
    ),
    "in_transit": frozenset(
        (
            "PICKED UP",
            "IN TRANSIT",
            "REACHED HUB",
            "DISPATCHED",
            "OUT FOR DELIVERY",
            "DELIVERY ATTEMPTED",
            "DELIVERY FAILED",
            "UNDELIVERED",
            "NDR",
        )
    ),
    "delivered": frozenset(("DELIVERED",)),
    "rto_in_transit": frozenset(("RTO INITIATED", "RTO IN TRANSIT", "RTO OUT FOR DELIVERY")),
    "rto_delivered": frozenset(("RTO DELIVERED",)),
    "lost": frozenset(("LOST", "DAMAGED")),
    "cancelled": frozenset(("CANCELLED", "CANCELLATION REQUESTED")),
}
RETURN_BUCKETS: dict[str, frozenset[str]] = {
    "return_pickup_scheduled": frozenset(("NEW", "RETURN PICKUP SCHEDULED")),
    "return_in_transit": frozenset(("RETURN PICKED UP", "RETURN IN TRANSIT")),
    "return_delivered": frozenset(("RETURN DELIVERED",)),
    "cancelled": frozenset(("CANCELLED", "CANCELLATION REQUESTED")),
    "return_lost": frozenset(("LOST", "DAMAGED")),
}


def taken(parcel: Parcel) -> Reply:
    """An order without a courier."""
    if parcel.flow == "return":
        return {
            "order_created": 1,
            "awb_generated": 0,
            "pickup_generated": 0,
            "pickup_scheduled_date": None,
            "order_id": parcel.courier_order_id,
            "return_id": parcel.return_id,
            "assigned_date_time": _stamp(parcel.created_at),
            "cod": 0,
        }
    return {
        "pickup_location_added": 1,
        "order_created": 1,
        "awb_generated": 0,
        "pickup_generated": 0,
        "shipment_id": parcel.shipment_id,
        "order_id": parcel.courier_order_id,
        "assigned_date_time": _stamp(parcel.created_at),
        "applied_weight": None,
        "cod": int(bool(parcel.cod)),
        "label_url": None,
        "manifest_url": None,
        "routing_code": None,
        "rto_routing_code": None,
        "pickup_token_number": None,
    }


def booked(world: Velocity, parcel: Parcel) -> Reply:
    assert parcel.carrier
    assert parcel.charges
    assert parcel.booked_at
    url = labels.link(world, parcel)
    return {
        "pickup_location_added": 1,
        "order_created": 1,
        "awb_generated": 1,
        "label_generated": int(url is not None),
        "pickup_generated": 1,
        "manifest_generated": 0,
        "pickup_scheduled_date": None,
        "pickup_booked_date": None,
        "order_id": parcel.courier_order_id,
        "shipment_id": parcel.shipment_id,
        "awb_code": parcel.awb,
        "courier_company_id": parcel.carrier.id,
        "courier_name": parcel.carrier.name,
        "assigned_date_time": _stamp(parcel.booked_at),
        "applied_weight": float(parcel.applied_kg),
        "cod": int(bool(parcel.cod)),
        "label_url": url,
        "manifest_url": None,
        "routing_code": None,
        "rto_routing_code": None,
        "pickup_token_number": None,
        "charges": {
            "frwd_charges": {
                "shipping_charges": f"{parcel.charges.freight:.2f}",
                "cod_charges": f"{parcel.charges.cod:.2f}",
                "dead_weight_billing": parcel.applied_kg == parcel.weight_kg,
            },
            "rto_charges": {"rto_charges": f"{parcel.charges.rto:.2f}"},
        },
    }


def return_booked(parcel: Parcel, *, in_one_step: bool) -> Reply:
    assert parcel.carrier
    assert parcel.charges
    assert parcel.booked_at
    qc = "15.00" if booking.qc_applies(parcel) else "0.00"
    return {
        "order_created": int(in_one_step),
        "awb_generated": 1,
        "pickup_generated": 1,
        "pickup_scheduled_date": None,
        "order_id": parcel.courier_order_id if in_one_step else None,
        "shipment_id": parcel.shipment_id,
        "awb_code": parcel.awb,
        "courier_company_id": parcel.carrier.id,
        "courier_name": parcel.carrier.name,
        "assigned_date_time": _stamp(parcel.booked_at),
        "applied_weight": float(parcel.applied_kg),
        "cod": 0,
        "is_return": 1,
        "routing_code": None,
        "rto_routing_code": None,
        "pickup_token_number": None,
        "charges": {
            "reverse_charges": f"{parcel.charges.freight:.2f}",
            "qc": qc,
            "qc_leeway": "0.00",
            "dead_weight_billing": parcel.applied_kg == parcel.weight_kg,
            "platform_fee": 0.0,
        },
    }


def tracking(parcel: Parcel) -> Reply:
    """The current status in lower case, the history in capitals and newest first: so the documents show it."""
    current = parcel.status.lower().replace(" ", "_")
    return {
        "tracking_data": {
            "track_status": None,
            "shipment_status": current,
            "shipment_track": [
                {
                    "id": parcel.shipment_id.lower(),
                    "awb_code": parcel.awb,
                    "courier_company_id": parcel.carrier.id if parcel.carrier else None,
                    "shipment_id": parcel.shipment_id,
                    "order_id": parcel.courier_order_id,
                    "pickup_date": ist(parcel.first("PICKED UP", "RETURN PICKED UP")),
                    "delivered_date": ist(parcel.first("DELIVERED", "RETURN DELIVERED")),
                    "weight": float(parcel.applied_kg),
                    "packages": 1,
                    "current_status": current,
                    "delivered_to": parcel.to_city if parcel.first("DELIVERED") else None,
                    "destination": parcel.to_city,
                    "consignee_name": parcel.to_name,
                    "origin": parcel.warehouse.city,
                    "courier_agent_details": None,
                }
            ],
            "shipment_track_activities": [
                {"date": ist(scan.at), "activity": scan.activity, "location": scan.location}
                for scan in sorted(parcel.scans, key=lambda one: one.at, reverse=True)
            ],
            "track_url": f"https://shipfastt.in/track/{parcel.awb}",
        }
    }


def report(parcels: Sequence[Parcel], kind: str, start: str, end: str) -> Reply:
    buckets = RETURN_BUCKETS if kind == "return" else FORWARD_BUCKETS
    summary: dict[str, object] = {}
    for name, statuses in buckets.items():
        inside = [one for one in parcels if one.status in statuses]
        summary[name] = {
            "count": len(inside),
            "sum_of_prepaid_orders": float(sum(one.value for one in inside if not one.cod)),
            "sum_of_cod_orders": float(sum(one.value for one in inside if one.cod)),
        }
    summary["total_shipments"] = len(parcels)
    return {
        "date_range": {"start_date_time": start, "end_date_time": end},
        "shipment_type": kind,
        "summary": summary,
    }


def listed(parcel: Parcel) -> Reply:
    """An entry of the list endpoints, which follow another convention than the rest."""
    return {
        "id": parcel.shipment_id.lower(),
        "type": "return" if parcel.flow == "return" else "shipment",
        "attributes": {
            "display_id": parcel.order_id,
            "tracking_number": parcel.awb,
            "status": parcel.status.lower().replace(" ", "_"),
            "carrier": {"id": parcel.carrier.id, "name": parcel.carrier.name} if parcel.carrier else None,
            "created_at": parcel.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "payment_method": "COD" if parcel.cod else "PREPAID",
            "total_price": float(parcel.value),
            "order": {"id": parcel.courier_order_id, "display_id": parcel.order_id},
        },
    }


def remittance(parcel: Parcel) -> Reply:
    """`remittance_date` is filled although nothing was paid: then it is the next planned date, and `utr_no` is null."""
    delivered = parcel.first("DELIVERED")
    planned = (clock.ist(delivered) + timedelta(days=7)).date() if delivered else None
    return {
        "tracking_number": parcel.awb,
        "delivery_date": clock.ist(delivered).date().isoformat() if delivered else None,
        "cod_amount": float(parcel.cod),
        "remittance_date": _day(parcel.remitted_on or planned),
        "utr_no": parcel.utr,
    }


def ledger(parcel: Parcel) -> Reply:
    assert parcel.charges
    rows = [("shipment_debit", parcel.charges.freight), ("cod_charge", parcel.charges.cod)]
    return {
        "tracking_number": parcel.awb,
        "charges": [
            {
                "event_type": name,
                "transaction_type": "debit",
                "amount_without_gst": float(amount),
                "amount_with_gst": round(float(amount) * 1.18, 2),
            }
            for name, amount in rows
            if amount
        ],
    }


def _day(on: object) -> str | None:
    return str(on) if on else None


def _stamp(at: datetime) -> Reply:
    return {
        "date": clock.ist(at).isoformat(timespec="milliseconds"),
        "timezone_type": 3,
        "timezone": "Asia/Kolkata",
    }


def ist(at: datetime | None) -> str | None:
    return clock.ist(at).strftime("%Y-%m-%d %H:%M:%S") if at else None
