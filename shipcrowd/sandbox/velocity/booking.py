"""Taking orders: what must be in them, and what becomes of them. Refusals carry the vendor's status and body."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from shipcrowd.kernel import clock
from shipcrowd.sandbox.velocity import hooks, journey, lanes
from shipcrowd.sandbox.velocity.state import Carrier, Flow, Parcel, Velocity, Warehouse

Body = Mapping[str, Any]

PINCODE = re.compile(r"[1-9]\d{5}")
MOBILE = re.compile(r"[6-9]\d{9}")
QC_MAX_SKUS = 2


class NotTaken(Exception):
    """The vendor refuses: an HTTP status and a body."""

    def __init__(self, status: int, body: dict[str, object]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


# --- what a field must look like ------------------------------------------------------------------------------

Check = Callable[[Any], str | None]


def _text(value: Any) -> str | None:
    return None if str(value).strip() else "can't be blank"


def _pincode(value: Any) -> str | None:
    return None if PINCODE.fullmatch(str(value)) else "is not a valid pincode"


def _mobile(value: Any) -> str | None:
    return None if MOBILE.fullmatch(str(value)) else "should be a valid 10 digit number"


def _above_zero(value: Any) -> str | None:
    return None if number(value) > 0 else "must be greater than 0"


def _amount(value: Any) -> str | None:
    return None if number(value) >= 0 else "must be greater than or equal to 0"


def _moment(value: Any) -> str | None:
    return None if re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d)?", str(value)) else "must be YYYY-MM-DD HH:mm"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _payment(value: Any) -> str | None:
    return None if str(value).upper() in ("COD", "PREPAID") else "is not included in the list"


def _items(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "can't be blank"
    for item in cast(list[Any], value):
        if not isinstance(item, dict) or not {"name", "sku", "units", "selling_price"} <= set(cast(Body, item)):
            return "each item needs name, sku, units and selling_price"
        if number(cast(Body, item)["units"]) < 1:
            return "units must be at least 1"
    return None


def number(value: Any) -> Decimal:
    """A number, also when it came as text; -1 for what is none."""
    if isinstance(value, bool):
        return Decimal(-1)
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return Decimal(-1)


SIZES: dict[str, Check] = {"length": _above_zero, "breadth": _above_zero, "height": _above_zero, "weight": _above_zero}

FORWARD: dict[str, Check] = {
    "order_id": _text,
    "order_date": _moment,
    "billing_customer_name": _text,
    "billing_address": _text,
    "billing_city": _text,
    "billing_state": _text,
    "billing_country": _text,
    "billing_pincode": _pincode,
    "billing_phone": _mobile,
    "print_label": _flag,
    "order_items": _items,
    "payment_method": _payment,
    "sub_total": _amount,
    "cod_collectible": _amount,
    **SIZES,
    "pickup_location": _text,
    "warehouse_id": _text,
}

REVERSE: dict[str, Check] = {
    "order_id": _text,
    "order_date": _moment,
    **{
        f"{side}_{name}": check
        for side in ("pickup", "shipping")
        for name, check in {
            "customer_name": _text,
            "address": _text,
            "city": _text,
            "state": _text,
            "country": _text,
            "pincode": _pincode,
            "phone": _mobile,
        }.items()
    },
    "order_items": _items,
    "payment_method": _payment,
    "sub_total": _amount,
    **SIZES,
    "warehouse_id": _text,
}

WAREHOUSE: dict[str, Check] = {"name": _text, "phone_number": _mobile, "email": _text, "contact_person": _text}
WAREHOUSE_ADDRESS: dict[str, Check] = {
    "street_address": _text,
    "zip": _pincode,
    "city": _text,
    "state": _text,
    "country": _text,
}


def validate(body: Body, checks: Mapping[str, Check], under: str = "") -> None:
    """Raises NotTaken(400) naming every field at fault."""
    errors: dict[str, list[str]] = {}
    for name, check in checks.items():
        value = body.get(name)
        problem = "can't be blank" if value is None else check(value)
        if problem:
            errors[under + name] = [problem]
    if errors:
        first = next(iter(errors.items()))
        raise NotTaken(400, {"message": f"{first[0]} {first[1][0]}", "errors": errors})


# --- warehouses -----------------------------------------------------------------------------------------------


def register_warehouse(world: Velocity, account: str, body: Body) -> Warehouse:
    validate(body, WAREHOUSE)
    address: Body = body.get("address_attributes") or {}
    validate(address, WAREHOUSE_ADDRESS, under="address_attributes.")
    made = Warehouse(
        id=world.code("WH", 4),
        account=account,
        name=str(body["name"]),
        phone=str(body["phone_number"]),
        zip=str(address["zip"]),
        city=str(address["city"]),
        state=str(address["state"]),
    )
    world.warehouses[made.id] = made
    return made


def _warehouse(world: Velocity, account: str, body: Body) -> Warehouse:
    wanted = str(body["warehouse_id"])
    found = world.warehouses.get(wanted)
    if found is None or found.account != account:
        raise NotTaken(world.knobs.missing_warehouse_status, {"message": "Warehouse not found", "warehouse_id": wanted})
    return found


# --- orders ---------------------------------------------------------------------------------------------------


def take_forward(world: Velocity, account: str, body: Body) -> Parcel:
    """An order without a courier yet; raises NotTaken."""
    validate(body, FORWARD)
    cod = str(body["payment_method"]).upper() == "COD"
    if cod and number(body["cod_collectible"]) <= 0:
        raise _bad_field("cod_collectible", "must be greater than 0 for COD")
    warehouse = _warehouse(world, account, body)
    if str(body["pickup_location"]).strip().lower() != warehouse.name.strip().lower():
        raise _bad_field("pickup_location", "does not match the warehouse")
    name = " ".join(str(body.get(part) or "") for part in ("billing_customer_name", "billing_last_name")).strip()
    return _take(
        world,
        account,
        body,
        flow="forward",
        warehouse=warehouse,
        origin=warehouse.zip,
        destination=str(body["billing_pincode"]),
        to=(name, str(body["billing_city"])),
        cod=number(body["cod_collectible"]) if cod else Decimal(0),
    )


def take_reverse(world: Velocity, account: str, body: Body) -> Parcel:
    """A return without a courier yet; raises NotTaken."""
    validate(body, REVERSE)
    warehouse = _warehouse(world, account, body)
    for item in cast(Sequence[Body], body["order_items"]):
        if item.get("qc_enable") and not item.get("qc_product_image"):
            raise _bad_field("order_items", "qc_product_image is mandatory for a QC shipment")
    parcel = _take(
        world,
        account,
        body,
        flow="return",
        warehouse=warehouse,
        origin=str(body["pickup_pincode"]),
        destination=str(body["shipping_pincode"]),
        to=(str(body["shipping_customer_name"]), str(body["shipping_city"])),
        cod=Decimal(0),
    )
    parcel.return_id = world.code("RET")
    return parcel


def _take(
    world: Velocity,
    account: str,
    body: Body,
    *,
    flow: Flow,
    warehouse: Warehouse,
    origin: str,
    destination: str,
    to: tuple[str, str],
    cod: Decimal,
) -> Parcel:
    order_id = str(body["order_id"])
    if number(body["weight"]) > lanes.MAX_KG:
        raise _bad_field("weight", f"must be at most {lanes.MAX_KG} kg")
    if world.knobs.reject_duplicate_orders and parcels_of(world, order_id, account):
        raise NotTaken(422, {"message": "Order already exists", "order_id": order_id})
    if not lanes.carriers(world, origin, destination, cod=bool(cod), flow=flow):
        blocked = destination if destination in world.knobs.unserviceable | world.knobs.prepaid_only else origin
        text = f"Pincode {blocked} is not serviceable" + (" for COD" if blocked in world.knobs.prepaid_only else "")
        raise NotTaken(422, {"message": text, "pincode": blocked, "available_carriers": []})
    kg, length, breadth, height = (number(body[name]) for name in ("weight", "length", "breadth", "height"))
    parcel = Parcel(
        account=account,
        order_id=order_id,
        courier_order_id=world.code("ORD"),
        shipment_id=world.code("SHI"),
        flow=flow,
        body=dict(body),
        warehouse=warehouse,
        from_pincode=origin,
        to_pincode=destination,
        to_name=to[0],
        to_city=to[1],
        cod=cod,
        value=number(body["sub_total"]),
        weight_kg=kg,
        applied_kg=lanes.applied_kg(kg, length, breadth, height),
        created_at=clock.now(),
    )
    world.parcels.append(parcel)
    return parcel


def assign(world: Velocity, parcel: Parcel, carrier_id: str | None) -> None:
    """Give an order a courier and a number; raises NotTaken. A refused order stays, without a courier."""
    if parcel.awb:
        raise NotTaken(422, {"message": "AWB is already assigned to this shipment", "awb": parcel.awb})
    carrier = _carrier(world, parcel, (carrier_id or "").strip())
    parcel.carrier = carrier
    parcel.awb = world.number("R#########VEL" if parcel.flow == "return" else carrier.awb)
    parcel.booked_at = clock.now()
    parcel.charges = lanes.charges(carrier, parcel.from_pincode, parcel.to_pincode, parcel.applied_kg, parcel.cod)
    missing = world.knobs.label_missing > 0 and world.random.random() < world.knobs.label_missing
    if parcel.flow == "forward" and parcel.body.get("print_label") and not missing:
        parcel.label_key = world.code("", 28).lower()
    world.by_awb[parcel.awb] = parcel
    hooks.created(world, parcel)
    journey.scan(world, parcel, "RETURN PICKUP SCHEDULED" if parcel.flow == "return" else "MANIFESTED")


def _carrier(world: Velocity, parcel: Parcel, wanted: str) -> Carrier:
    able = lanes.carriers(world, parcel.from_pincode, parcel.to_pincode, cod=bool(parcel.cod), flow=parcel.flow)
    if not wanted:
        return able[0]
    if wanted in lanes.RETIRED:
        raise NotTaken(422, {"message": f"Courier assignment failed: carrier {wanted} is no longer active"})
    if wanted not in lanes.BY_ID:
        raise NotTaken(422, {"message": f"Courier assignment failed: unknown carrier {wanted}"})
    chosen = lanes.BY_ID[wanted]
    if chosen not in able:
        offered = [{"carrier_id": one.id, "carrier_name": one.name} for one in able]
        text = f"Carrier {chosen.name} does not service pincode {parcel.to_pincode}"
        raise NotTaken(422, {"message": text, "pincode": parcel.to_pincode, "available_carriers": offered})
    return chosen


def change(world: Velocity, account: str, body: Body) -> Parcel:
    """Correct the address of an order that is not picked up yet; raises NotTaken."""
    found = parcels_of(world, str(body.get("order_id", "")), account)
    if not found:
        raise NotTaken(404, {"message": "Order not found", "order_id": body.get("order_id")})
    parcel = found[-1]
    if parcel.status not in journey.BEFORE_PICKUP:
        raise NotTaken(422, {"message": "Order cannot be updated after pickup", "current_status": parcel.status})
    changed = {name: value for name, value in body.items() if name.startswith("billing_")}
    validate({**parcel.body, **changed}, {name: FORWARD[name] for name in changed if name in FORWARD})
    parcel.body.update(changed)
    parcel.to_name = " ".join(
        str(parcel.body.get(part) or "") for part in ("billing_customer_name", "billing_last_name")
    ).strip()
    return parcel


def parcels_of(world: Velocity, order_id: str, account: str) -> list[Parcel]:
    """By the seller's order id or the courier's."""
    return [one for one in world.parcels if one.account == account and order_id in (one.order_id, one.courier_order_id)]


def _bad_field(name: str, problem: str) -> NotTaken:
    return NotTaken(400, {"message": f"{name} {problem}", "errors": {name: [problem]}})


def made_between(parcel: Parcel, start: datetime, end: datetime) -> bool:
    return start <= parcel.created_at <= end


def qc_applies(parcel: Parcel) -> bool:
    """Whether goods are checked at pickup: more than two SKUs, or a carrier that cannot, silently means no."""
    items = cast(Sequence[Body], parcel.body["order_items"])
    wanted = any(item.get("qc_enable") for item in items)
    return bool(wanted and len(items) <= QC_MAX_SKUS and parcel.carrier and parcel.carrier.qc)
