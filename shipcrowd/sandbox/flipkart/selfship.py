"""Shipments the seller sends with a courier of its own: told when they leave, arrive, fail to arrive, or change."""

import re
from collections.abc import Callable
from datetime import date, datetime

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart import batches, trade, wire
from shipcrowd.sandbox.flipkart.batches import Failed
from shipcrowd.sandbox.flipkart.state import Seller, Shipment, World, touch
from shipcrowd.sandbox.flipkart.wire import Json, NotTaken

MOST = 100
MOST_ATTEMPTS = 50  # remembered of one shipment
TRACKING = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{4,39}")

Act = Callable[[World, Seller, Shipment, Json], None]


def dispatch(world: World, seller: Seller, body: Json) -> Json:
    """`POST …/selfShip/dispatch`."""
    return _each(world, seller, body, _dispatched)


def delivery(world: World, seller: Seller, body: Json) -> Json:
    """`POST …/selfShip/delivery`."""
    return _each(world, seller, body, _delivered)


def attempt(world: World, seller: Seller, body: Json) -> Json:
    """`POST …/selfShip/deliveryAttempt`."""
    return _each(world, seller, body, _attempted)


def update(world: World, seller: Seller, shipment_id: str, body: Json) -> Json:
    """`POST …/{id}/update`: another number, courier or date. Its body is the only one in snake case."""
    shipment = seller.shipments.get(shipment_id)
    if shipment is None:
        raise NotTaken(404, "INVALID_SHIPMENTS", "Shipment not found for seller")
    entry = {"shipmentId": shipment_id, "locationId": shipment.location.id, **body}
    if body.get("shipment_id") != shipment_id:
        raise NotTaken(400, "INVALID_REQUEST_JSON", "shipment_id differs from the address", "shipment_id")
    if body.get("seller_id") not in (None, "", seller.id):
        raise NotTaken(400, "INVALID_REQUEST_JSON", "seller_id is not valid", "seller_id")

    def change(it: Shipment, told: Json) -> None:
        _on_its_way(it)
        if told.get("tracking_id") is not None:
            _tracking(told["tracking_id"])
        promised = _not_before_today(told, "tentative_delivery_date") if told.get("tentative_delivery_date") else None
        it.awb = str(told.get("tracking_id") or it.awb)
        it.courier = str(told.get("delivery_partner") or it.courier)
        it.promised = promised or it.promised
        touch(seller, it)

    return batches.each(world, seller, [entry], change, key="processingStatus")["shipments"][0]


def _each(world: World, seller: Seller, body: Json, act: Act) -> Json:
    entries = wire.objects(body.get("shipments"), "shipments", most=MOST)

    def one(shipment: Shipment, entry: Json) -> None:
        if not shipment.self_ship:
            raise Failed("OPERATION_NOT_ALLOWED", "Shipment is not a self ship shipment")
        act(world, seller, shipment, entry)

    return batches.each(world, seller, entries, one, key="processingStatus")


def _dispatched(world: World, seller: Seller, shipment: Shipment, entry: Json) -> None:
    if shipment.status not in ("APPROVED", "CANCELLED"):
        raise Failed("ORDER_ITEM_ALREADY_DISPATCHED", f"Shipment is in {shipment.status} state")
    if shipment.status == "CANCELLED":
        raise Failed("ORDER_ITEM_ALREADY_CANCELLED", "Shipment is cancelled")
    if shipment.hold:
        raise Failed("OPERATION_NOT_ALLOWED", "Shipment is on hold")
    _not_after_today(entry, "dispatchDate")
    promised = _not_before_today(entry, "tentativeDeliveryDate")
    tracking = _tracking(entry.get("trackingId"))
    if not entry.get("deliveryPartner"):
        raise Failed("INVALID_REQUEST_JSON", "deliveryPartner is mandatory")
    if entry.get("deliveryPartnerCode") not in world.knobs.partner_codes:
        raise Failed("INVALID_REQUEST_JSON", "deliveryPartnerCode is not in the list of vendors")
    invoice = _invoice(shipment, entry.get("invoice"))
    shipment.awb, shipment.courier, shipment.promised = tracking, str(entry["deliveryPartner"]), promised
    shipment.invoice_number, shipment.invoice_date = str(invoice["invoiceNumber"]), str(invoice["invoiceDate"])
    trade.send_off(seller, shipment)
    trade.advance(world, seller, shipment, "SHIPPED")


def _delivered(world: World, seller: Seller, shipment: Shipment, entry: Json) -> None:
    _on_its_way(shipment)
    _not_after_today(entry, "deliveryDate")
    trade.advance(world, seller, shipment, "DELIVERED")


def _attempted(world: World, seller: Seller, shipment: Shipment, entry: Json) -> None:
    _on_its_way(shipment)
    why = wire.part(entry.get("failureAttributes"))
    if not why.get("reason"):
        raise Failed("INVALID_REQUEST_JSON", "failureAttributes.reason is mandatory")
    if why.get("newDeliveryDate"):
        shipment.promised = _not_before_today(why, "newDeliveryDate")
    shipment.attempts.append((clock.now(), str(why["reason"])))
    del shipment.attempts[:-MOST_ATTEMPTS]
    touch(seller, shipment)


def _on_its_way(shipment: Shipment) -> None:
    if shipment.status != "SHIPPED":
        raise Failed("INVALID_ITEM_STATE", f"Shipment is in {shipment.status} state")


def _tracking(value: object) -> str:
    if not isinstance(value, str) or not TRACKING.fullmatch(value):
        raise Failed("INVALID_REQUEST_JSON", "trackingId is not valid")
    return value


def _invoice(shipment: Shipment, value: object) -> Json:
    invoice = wire.part(value)
    if not invoice.get("invoiceNumber") or not invoice.get("invoiceDate"):
        raise Failed("INVALID_REQUEST_JSON", "invoiceNumber and invoiceDate are mandatory")
    told = {str(row.get("orderItemId")): row.get("quantity") for row in wire.parts(invoice.get("items"))}
    if told != {item.id: item.quantity for item in shipment.live}:
        raise Failed("QUANTITY_MISMATCH_ERROR", "The items of the invoice are not those of the shipment")
    return invoice


def _day(entry: Json, name: str) -> tuple[datetime, date]:
    at = wire.read_moment(entry.get(name))
    if at is None:
        raise Failed("INVALID_REQUEST_DATE_FORMAT", f"{name} is not a date")
    return at, clock.ist(at).date()


def _not_after_today(entry: Json, name: str) -> datetime:
    at, day = _day(entry, name)
    if day > clock.today():
        raise Failed("INVALID_REQUEST_JSON", f"{name} lies in the future")
    return at


def _not_before_today(entry: Json, name: str) -> datetime:
    at, day = _day(entry, name)
    if day < clock.today():
        raise Failed("INVALID_REQUEST_JSON", f"{name} lies in the past")
    return at
