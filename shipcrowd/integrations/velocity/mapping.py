"""Our words for a booking turned into Velocity's, and Velocity's answers into ours. Pure: no network, no clock.

What Velocity would refuse, or silently replace by a default and bill, is refused here before anything is sent.
Source of fields and units: Velocity Shipfast API, `/custom/api/v1`; weights in kg, lengths in cm, times in IST.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from shipcrowd.couriers.contract import Booking, BookingRequest, Flow, Parcel, Payment, PickupPoint, ServiceOffer
from shipcrowd.integrations.velocity import carriers, reading, refusals
from shipcrowd.integrations.velocity.reading import first
from shipcrowd.kernel.clock import ist
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Json, Malformed, Refused
from shipcrowd.pincodes.address import PINCODE, Address

COUNTRY = "India"
MAX_GRAMS = 30_000
SHIPMENT_TYPE: Mapping[Flow, str] = {Flow.forward: "forward", Flow.reverse: "return"}


# -- out: lanes, pickup points, orders ----------------------------------------------------------------------------


def lane(parcel: Parcel) -> dict[str, Json]:
    """The serviceability question for a parcel. A return is always prepaid."""
    cod = parcel.payment is Payment.cod and parcel.flow is Flow.forward
    return {
        "from": parcel.from_pincode,
        "to": parcel.to_pincode,
        "payment_mode": "cod" if cod else "prepaid",
        "shipment_type": SHIPMENT_TYPE[parcel.flow],
    }


def warehouse(point: PickupPoint) -> dict[str, Json]:
    """A pickup point for registration. Raises Refused("validation") naming what its address lacks."""
    address = point.address
    _require(address.model_copy(update={"name": address.name or point.contact}), "the pickup address")
    if not address.email:
        raise refusals.refused("validation", "the pickup address: the e-mail is missing")
    body: dict[str, Json] = {
        "name": point.name,
        "phone_number": address.mobile,
        "email": address.email,
        "contact_person": point.contact or address.name,
        "address_attributes": {
            "street_address": _street(address),
            "zip": address.pincode,
            "city": address.city,
            "state": address.state,
            "country": COUNTRY,
        },
    }
    return body | ({"gst_no": point.gstin} if point.gstin else {})


def forward_order(request: BookingRequest, channel_id: str) -> dict[str, Json]:
    """The body of a forward order. Raises Refused before anything is sent where Velocity could not carry it."""
    warehouse_id = registered(request.ship_from)
    _check(request)
    to = request.ship_to
    cod = request.payment is Payment.cod
    if cod and request.to_collect.paise <= 0:
        raise refusals.refused("validation", "a COD parcel needs an amount to collect")
    return {
        "order_id": request.reference,
        "order_date": ist(request.ordered_at).strftime("%Y-%m-%d %H:%M"),
        "channel_id": channel_id,
        "carrier_id": carriers.current(request.service),
        "billing_customer_name": to.name.strip(),
        "billing_last_name": "",
        "billing_address": _street(to),
        "billing_city": to.city.strip(),
        "billing_state": to.state.strip(),
        "billing_country": COUNTRY,
        "billing_pincode": to.pincode,
        "billing_phone": to.mobile,
        "billing_email": to.email or "",
        "shipping_is_billing": True,
        "print_label": True,
        "order_items": _items(request),
        "payment_method": "COD" if cod else "PREPAID",
        "sub_total": rupees(request.declared_value),
        "cod_collectible": rupees(request.to_collect) if cod else 0,
        **_size(request),
        "pickup_location": request.ship_from.name,
        "warehouse_id": warehouse_id,
        "vendor_details": _vendor(request.ship_from),
    }


def reverse_order(request: BookingRequest, channel_id: str) -> dict[str, Json]:
    """The body of a return: picked up at `ship_to` (the buyer's), brought to `return_to`. No QC is asked for."""
    warehouse_id = registered(request.return_to)
    _check(request)
    _require(_with_contact(request.return_to), "the return address")
    return {
        "order_id": request.reference,
        "order_date": ist(request.ordered_at).strftime("%Y-%m-%d %H:%M"),
        "channel_id": channel_id,
        "carrier_id": carriers.current(request.service),
        **_place("pickup", request.ship_to),
        **_place("shipping", _with_contact(request.return_to)),
        "warehouse_id": warehouse_id,
        "payment_method": "PREPAID",
        "total_discount": rupees(Money.total(line.discount for line in request.lines)),
        "sub_total": rupees(request.declared_value),
        **_size(request),
        "request_pickup": True,
        "order_items": [item | {"qc_enable": False} for item in _items(request)],
    }


def registered(point: PickupPoint) -> str:
    """The point's warehouse id at Velocity; raises Refused where it has none yet."""
    if not point.registered_as:
        raise refusals.refused("warehouse_not_registered", point.name)
    return point.registered_as


def kilograms(grams: int) -> Decimal:
    """Grams as kg, exactly: 1 g is 0.001 kg."""
    return Decimal(grams) / 1000


def centimetres(millimetres: int) -> Decimal:
    """Millimetres as cm, exactly: 1 mm is 0.1 cm."""
    return Decimal(millimetres) / 10


def rupees(money: Money) -> Decimal:
    """An amount as rupees with two decimals, exactly."""
    return Decimal(money.paise).scaleb(-2)


def _check(request: BookingRequest) -> None:
    _require(request.ship_to, "the buyer's address")
    if not request.lines:
        raise refusals.refused("validation", "the shipment has no items")
    if not 0 < request.weight_grams <= MAX_GRAMS:
        raise refusals.refused("validation", f"the weight must be above 0 and at most {MAX_GRAMS // 1000} kg")
    if min(request.length_mm, request.breadth_mm, request.height_mm) <= 0:
        # Velocity would take 20 × 15 × 10 cm and bill by it.
        raise refusals.refused("validation", "length, breadth and height must be given")


def _require(address: Address, whose: str) -> None:
    gaps = address.gaps()
    if not address.state.strip():
        gaps["state"] = "the state is missing"
    if gaps:
        raise refusals.refused("validation", f"{whose}: {'; '.join(gaps.values())}")


def _with_contact(point: PickupPoint) -> Address:
    return point.address.model_copy(update={"name": point.address.name or point.contact})


def _street(address: Address) -> str:
    return ", ".join(part for line in (address.line1, address.line2) if (part := line.strip()))


def _place(prefix: str, address: Address) -> dict[str, Json]:
    fields = {
        "customer_name": address.name.strip(),
        "address": _street(address),
        "city": address.city.strip(),
        "state": address.state.strip(),
        "country": COUNTRY,
        "pincode": address.pincode,
        "email": address.email or "",
        "phone": address.mobile,
        "isd_code": "91",
    }
    return {f"{prefix}_{name}": value for name, value in fields.items()}


def _vendor(point: PickupPoint) -> dict[str, Json]:
    address = point.address
    return {
        "email": address.email or "",
        "phone": address.mobile or "",
        "name": point.contact or address.name,
        "address": address.line1.strip(),
        "address_2": address.line2.strip(),
        "city": address.city.strip(),
        "state": address.state.strip(),
        "country": COUNTRY,
        "pin_code": address.pincode,
        "pickup_location": point.name,
    }


def _size(request: BookingRequest) -> dict[str, Json]:
    return {
        "length": centimetres(request.length_mm),
        "breadth": centimetres(request.breadth_mm),
        "height": centimetres(request.height_mm),
        "weight": kilograms(request.weight_grams),
    }


def _items(request: BookingRequest) -> list[dict[str, Json]]:
    return [
        {
            "name": line.name,
            "sku": line.sku,
            "units": line.units,
            "selling_price": rupees(line.unit_price),
            "discount": rupees(line.discount),
            "tax": rupees(line.tax),
        }
        for line in request.lines
    ]


# -- in: offers, bookings, totals ---------------------------------------------------------------------------------


def offers(result: Mapping[str, Json]) -> Sequence[ServiceOffer]:
    """The services that serve a lane, best ranked first. Retired services are left out; unknown ones are kept."""
    zone = reading.text(result.get("zone")).lower().removeprefix("zone_")
    listed = {
        id: carriers.service_for(id, reading.text(item.get("carrier_name")))
        for item in reading.records(result.get("serviceability_results"))
        if (id := carriers.current(reading.text(item.get("carrier_id"))))
    }
    offered = sorted((service for service in listed.values() if service.active), key=lambda s: (-s.rank, s.name))
    return tuple(
        ServiceOffer(
            service=service.id,
            name=service.name,
            carrier=service.carrier,
            mode=service.mode,
            zone=zone if zone in {"a", "b", "c", "d", "e"} else None,
        )
        for service in offered
    )


def awb_of(payload: Mapping[str, Json]) -> str:
    """The AWB of a booking reply; empty while none is assigned."""
    return first(payload, "awb_code", "awb")


def nothing_created(payload: Mapping[str, Json]) -> bool:
    """Velocity says outright that it made no order: then there is nothing to look for."""
    return reading.flag(payload.get("order_created")) is False and not first(payload, "shipment_id", "return_id")


def booking(payload: Mapping[str, Json]) -> Booking:
    """A booking reply with its AWB. Raises Malformed without one.

    `charged` adds freight and COD fee of a forward parcel, or freight and platform fee of a return; RTO charges
    fall due only with an RTO and stay in `raw`. What cannot be read is None, never zero.
    """
    awb = awb_of(payload)
    if not awb:
        raise Malformed("Velocity's booking holds no AWB")
    carrier_id = first(payload, "courier_company_id", "carrier_id")
    name = first(payload, "courier_name", "carrier_name")
    known = carriers.SERVICES.get(carrier_id)
    return Booking(
        awb=awb,
        carrier=known.carrier if known else carriers.carrier_of(name),
        courier_order_id=first(payload, "order_id", "return_id") or None,
        courier_shipment_id=first(payload, "shipment_id") or None,
        routing_code=first(payload, "routing_code") or None,
        rto_routing_code=first(payload, "rto_routing_code") or None,
        label_url=first(payload, "label_url") or None,
        manifest_url=first(payload, "manifest_url") or None,
        pickup_date=_day(payload.get("pickup_scheduled_date")),
        pickup_token=first(payload, "pickup_token_number") or None,
        charged=charges(reading.record(payload.get("charges"))),
        applied_weight_grams=reading.grams(payload.get("applied_weight"), "kg"),
        raw=dict(payload),
    )


def charges(charged: Mapping[str, Json]) -> Money | None:
    """What Velocity charges for carrying the parcel, before tax, from the `charges` object."""
    forward = reading.record(charged.get("frwd_charges"))
    if forward:
        parts = (forward.get("shipping_charges"), forward.get("cod_charges", "0"))
    else:
        parts = (charged.get("reverse_charges"), charged.get("platform_fee", "0"))
    freight = reading.amount(parts[0])
    fee = reading.amount("0" if parts[1] is None else parts[1])
    return None if freight is None or fee is None else freight + fee


def _day(value: Json) -> date | None:
    at = reading.moment(value)
    return ist(at).date() if at else None


def warehouse_id(payload: Mapping[str, Json]) -> str:
    """The id of a pickup point just registered. Raises Malformed where the reply holds none."""
    found = first(payload, "warehouse_id")
    if not found:
        raise Malformed("Velocity's answer holds no warehouse id")
    return found


def totals(payload: Mapping[str, Json]) -> Mapping[str, int]:
    """Velocity's summary bucket → number of parcels, `total_shipments` included where given."""
    found: dict[str, int] = {}
    for name, bucket in reading.record(payload.get("summary")).items():
        count = reading.number(reading.record(bucket).get("count") if isinstance(bucket, dict) else bucket)
        if count is not None and 0 <= count < 10**9:
            found[name] = int(count)
    return found


def report_moment(at: datetime) -> str:
    """ISO 8601 on the Indian clock with its offset, to the second."""
    return ist(at).isoformat(timespec="seconds")


def served(parcel: Parcel) -> bool:
    """Whether both ends are pincodes at all; otherwise there is nothing to ask."""
    return all(PINCODE.fullmatch(pincode) for pincode in (parcel.from_pincode, parcel.to_pincode))


def unserved(refusal: Refused) -> bool:
    """Velocity's ways of saying that nobody serves a lane."""
    return refusal.code in {"not_serviceable", "awb_not_assigned"}
