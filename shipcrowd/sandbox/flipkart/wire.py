"""The shapes of Flipkart's JSON. Its texts disagree in places: the `dialect` knob writes each the other way."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart.state import Item, Listing, PostalAddress, Return, Seller, Shipment, World

Json = dict[str, Any]


def moment(at: datetime | None) -> str | None:
    """`2026-11-20T18:15:57.000+05:30`."""
    return None if at is None else clock.ist(at).isoformat(timespec="milliseconds")


def read_moment(text: object) -> datetime | None:
    """A date-time as callers send it, any offset or none (then IST); None for what is none."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=clock.IST)).astimezone(UTC)


def other(world: World) -> bool:
    return world.knobs.dialect == "other"


def item_result(
    world: World, shipment_id: str, error: tuple[str, str] | None, *, key: str = "status", name: str = "shipmentId"
) -> Json:
    """What became of one shipment (or return) of a batch; `key` is how the endpoint calls the outcome."""
    code, message = error or (None, None)
    word = ("processingStatus" if key == "status" else "status") if other(world) else key
    return {name: shipment_id, word: "FAILURE" if error else "SUCCESS", "errorCode": code, "errorMessage": message}


# --- shipments ------------------------------------------------------------------------------------------------


def shipment(world: World, it: Shipment) -> Json:
    """A shipment as the searches list it: the order, without addresses."""
    if it.malformed:
        return {"shipmentId": it.id, "updatedAt": "yesterday", "orderItems": None, "hold": "perhaps"}
    return {
        "shipmentId": it.id,
        "dispatchAfterDate": moment(it.dispatch_after),
        "dispatchByDate": moment(it.dispatch_by),
        "updatedAt": moment(it.updated_at),
        "locationId": it.location.id,
        "hold": it.hold,
        "mps": it.mps,
        "packagingPolicy": "DEFAULT",
        "shipmentType": it.kind,
        "subShipments": sub_shipments(world, it),
        "orderItems": [order_item(world, it, item) for item in it.items],
        "forms": [{"name": it.form, "ackNumber": it.form_acknowledged}] if it.form else [],
    }


def sub_shipments(world: World, it: Shipment) -> list[Json]:
    return [{"subShipmentId": "SS-1", "packages": [_package(world, n, item) for n, item in enumerate(it.items, 1)]}]


def _package(world: World, number: int, item: Item) -> Json:
    length, breadth, height, weight = item.listing.dimensions
    size = {"length": length, "breadth": breadth, "height": height, "weight": weight}
    if other(world):
        rest: Json = {"notional_value": {"amount": float(item.customer_price), "unit": "INR"}, "handling": {}}
        return {"id": f"PKG-{number}", "name": item.listing.title, "dimensions": size, "description": "", **rest}
    return {
        "packageId": f"PKG-{number}",
        "packageTitle": item.listing.title,
        "packageSku": item.listing.sku,
        "dimensions": size,
    }


def order_item(world: World, it: Shipment, item: Item) -> Json:
    def shown(text: str) -> str:
        return f"&quot;{text}&quot;" if it.quoted_sku else text

    return {
        "orderItemId": item.id,
        "orderId": item.order_id,
        "cancellationGroupId": item.group_id,
        "orderDate": moment(item.ordered_at),
        "cancellationDate": moment(item.cancelled_at),
        "paymentType": "COD" if item.cod else "PREPAID",
        "status": item.status,
        "cancellationReason": item.reason,
        "cancellationSubReason": item.sub_reason,
        "courierReturn": item.courier_return or None,
        "quantity": item.quantity,
        "fsn": shown(item.listing.fsn),
        "sku": shown(item.listing.sku),
        "listingId": item.listing.listing_id,
        "hsn": item.listing.hsn,
        "title": item.listing.title,
        "packageIds": [f"PKG-{it.items.index(item) + 1}"],
        "priceComponents": {
            "sellingPrice": float(item.selling_price),
            "shippingCharge": float(item.shipping),
            "totalPrice": float(item.total),
            "flipkartDiscount": float(item.discount),
            "customerPrice": float(item.customer_price),
        },
        "serviceProfile": item.service_profile,
        ("isReplacement" if other(world) else "is_replacement"): item.replacement,
    }


def details(world: World, seller: Seller, it: Shipment) -> Json:
    """The addresses, the buyer and the courier. Buyers' names and phones only where the seller ships."""
    leg = {"trackingId": it.awb, "vendorName": it.courier}
    courier: Json | None = {"pickupDetails": leg, "deliveryDetails": leg} if it.awb else None
    on_shipment: Json = {"courierDetails": courier} if other(world) else {}
    in_sub: Json = {} if other(world) else {"courierDetails": courier}
    origin = address(world, it.location.address, personal=True)
    buyer = address(world, it.buyer, personal=it.self_ship)
    return {
        "orderId": it.order_id,
        "shipmentId": it.id,
        "locationId": it.location.id,
        "orderItems": [{"orderItemId": item.id, "quantity": item.quantity} for item in it.items],
        "weighingRequired": False,
        "deliveryAddress": buyer,
        "billingAddress": buyer,
        "sellerAddress": {**origin, "firstName": seller.name, "lastName": ""},
        "returnAddress": origin,
        "buyerDetails": {"firstName": buyer["firstName"], "lastName": buyer["lastName"]},
        "subShipments": [{"subShipmentId": "SS-1", **in_sub}],
        **on_shipment,
    }


def address(world: World, it: PostalAddress, *, personal: bool) -> Json:
    masked = world.knobs.personal_data == "masked"

    def name(text: str) -> str | None:
        return text if personal else f"{text[:1]}{'*' * 4}" if masked else None

    shown: Json = {
        "firstName": name(it.first_name),
        "lastName": name(it.last_name),
        "addressLine1": it.line1,
        "addressLine2": it.line2,
        "landmark": it.landmark,
        "city": it.city,
        "state": it.state,
        "stateCode": it.state_code,
        ("pincode" if other(world) else "pinCode"): it.pincode,
    }
    if personal:
        shown["contactNumber"] = it.phone
    elif masked:
        shown["contactNumber"] = f"xxxxxx{it.phone[-4:]}"
    return shown


def invoice(it: Shipment) -> Json:
    """Tax as on the seller's invoice: halves within a state, whole across states. A rate told as 0 is Flipkart's."""
    within = it.buyer.state_code == it.location.address.state_code

    def line(item: Item) -> Json:
        rate = it.tax_rates.get(item.id) or float(item.listing.gst_percent)
        half = rate / 2 if within else 0.0
        return {
            "orderItemId": item.id,
            "invoiceAmount": float(item.total),
            "taxRate": rate,
            "serialNumbers": [],
            "taxDetails": {"cgstRate": half, "sgstRate": half, "igstRate": 0.0 if within else rate},
        }

    return {
        "shipmentId": it.id,
        "invoiceDate": it.invoice_date,
        "invoiceNumber": it.invoice_number,
        "fssaiLicenseNo": None,
        "orderItems": [line(item) for item in it.live],
    }


# --- returns and listings -------------------------------------------------------------------------------------


def returned(seller: Seller, it: Return) -> Json:
    return {
        "returnId": it.id,
        "orderItemId": it.item.id,
        "orderId": it.item.order_id,
        "shipmentId": it.shipment.id,
        "locationId": it.shipment.location.id,
        "sellerId": seller.id,
        "quantity": it.quantity,
        "type": it.source.value,
        "status": it.status,
        "reason": it.reason,
        "subReason": it.sub_reason,
        "comments": it.comments,
        "trackingId": it.awb,
        "courierName": it.courier,
        "shipmentStatus": it.shipment_status,
        "serviceProfile": it.item.service_profile,
        "orderDate": moment(it.item.ordered_at),
        "createdDate": moment(it.created_at),
        "updatedDate": moment(it.updated_at),
        "approvedOn": moment(it.approved_at),
        "expectedDate": moment(it.expected_at),
        "services": [
            {
                "serviceFulfilmentId": it.fulfilment_id,
                "description": "PICKUP",
                "serviceByDate": moment(it.expected_at),
                "createdAt": moment(it.created_at),
            }
        ],
    }


def listing(it: Listing, pending: Mapping[tuple[str, str], int], *, dialect_other: bool) -> Json:
    length, breadth, height, weight = it.dimensions
    price = "flipkart_selling_price" if dialect_other else "selling_price"
    shown: Json = {
        "listing_id": it.listing_id,
        "product_id": it.fsn,
        "price": {"mrp": it.mrp, price: it.selling_price, "currency": "INR"},
        "tax": {"hsn": it.hsn, "tax_code": f"GST_{it.gst_percent}"},
        "listing_status": it.status,
        "shipping_fees": {"local": 40, "zonal": 60, "national": 80, "currency": "INR"},
        "fulfillment_profile": "NON_FBF",
        "fulfillment": {"dispatch_sla": 1, "shipping_provider": "FLIPKART", "procurement_type": "REGULAR"},
        "packages": [
            {
                "id": "PKG-1",
                "name": it.title,
                "dimensions": {"length": length, "breadth": breadth, "height": height},
                "weight": weight,
            }
        ],
        "archived_status": "ARCHIVED" if it.archived else "NONE",
    }
    if it.stock is not None:
        shown["locations"] = [
            {
                "id": location,
                "status": at.status,
                "inventory": at.inventory,
                "pending_inventory": pending.get((it.sku, location), 0),
            }
            for location, at in it.stock.items()
        ]
    return shown


# --- errors ---------------------------------------------------------------------------------------------------


class NotTaken(Exception):
    """Flipkart refuses the call as a whole: an HTTP status and a body."""

    def __init__(self, status: int, code: str, description: str, path: str | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.body: Json = {
            "errors": [{"severity": "ERROR", "code": code, "description": description, "path": path}],
        }


def part(value: object) -> Json:
    """`value` where it is an object, else an empty one."""
    return cast(Json, value) if isinstance(value, dict) else {}


def parts(value: object) -> list[Json]:
    """The objects in `value`; none where it is no list."""
    listed = cast(list[object], value) if isinstance(value, list) else []
    return [cast(Json, one) for one in listed if isinstance(one, dict)]


def objects(value: object, path: str, *, most: int, least: int = 1) -> list[Json]:
    """`value` as a list of objects of an allowed length; raises NotTaken(400)."""
    listed = texts_or_objects(value, path, most=most, least=least)
    if not all(isinstance(one, dict) for one in listed):
        raise NotTaken(400, "INVALID_REQUEST_JSON", f"{path} must hold objects", path)
    return list(listed)


def texts(value: object, path: str, *, most: int, least: int = 1) -> list[str]:
    """`value` as a list of texts of an allowed length; raises NotTaken(400)."""
    listed = texts_or_objects(value, path, most=most, least=least)
    if not all(isinstance(one, str) and one for one in listed):
        raise NotTaken(400, "INVALID_REQUEST_JSON", f"{path} must hold texts", path)
    return list(listed)


def texts_or_objects(value: object, path: str, *, most: int, least: int) -> Sequence[Any]:
    if not isinstance(value, list):
        raise NotTaken(400, "INVALID_REQUEST_JSON", f"{path} must be a list", path)
    listed = cast(list[Any], value)
    if not least <= len(listed) <= most:
        raise NotTaken(400, "INVALID_REQUEST_JSON", f"{path} must hold {least} to {most} entries", path)
    return listed


def rupees(amount: Decimal) -> str:
    return f"{amount:.2f}"
