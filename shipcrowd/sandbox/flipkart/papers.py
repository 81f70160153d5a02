"""Labels, invoices, way-bill forms and manifests as pages."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart import wire
from shipcrowd.sandbox.flipkart.state import Location, Seller, Shipment, World
from shipcrowd.sandbox.pdf import Line, document

Pages = Sequence[Sequence[Line]]
ROWS_A_PAGE = 12
MARK = (8, "SANDBOX - NOT FOR SHIPPING")

__all__ = ["Pages", "document", "form", "invoice", "label", "manifest"]


def label(world: World, it: Shipment) -> list[Line]:
    """The only place where the buyer of a standard shipment is named."""
    printed = it.label_at or clock.now()
    cash = sum((item.customer_price for item in it.live if item.cod), Decimal(0))
    return [
        (18, it.courier or ""),
        (22, it.awb or ""),
        (16, f"COD  Rs {wire.rupees(cash)}" if cash else "PREPAID"),
        (12, f"To: {it.buyer.first_name} {it.buyer.last_name}"),
        (12, f"{it.buyer.city} {it.buyer.pincode}"),
        (10, f"Order {it.order_id}"),
        (8, f"Shipment {it.id}"),
        (10, f"From: {it.location.name} {it.location.address.pincode}"),
        (8, f"Printed {_when(printed)}, good until {_when(printed + timedelta(hours=world.knobs.label_hours))}"),
        MARK,
    ]


def invoice(seller: Seller, it: Shipment) -> list[Line]:
    items = [
        (9, f"{item.listing.sku}  {item.quantity} x  Rs {wire.rupees(item.total)}") for item in it.live[:ROWS_A_PAGE]
    ]
    return [
        (16, "TAX INVOICE"),
        (10, f"{it.invoice_number}  {it.invoice_date}"),
        (10, f"Sold by {seller.name}"),
        (10, f"Order {it.order_id}"),
        *items,
        MARK,
    ]


def form(it: Shipment) -> list[Line]:
    return [(16, it.form or ""), (10, f"Order {it.order_id}"), (8, f"Shipment {it.id}"), MARK]


def manifest(seller: Seller, location: Location, vendor: str, shipments: Sequence[Shipment]) -> list[list[Line]]:
    parts = [shipments[start : start + ROWS_A_PAGE] for start in range(0, len(shipments), ROWS_A_PAGE)]
    head: list[Line] = [(16, f"MANIFEST {vendor}"), (10, f"{seller.name}, {location.name}"), (10, _when(clock.now()))]
    return [[*head, *((9, f"{one.awb}  {one.order_id}") for one in part), MARK] for part in parts]


def _when(at: datetime) -> str:
    return clock.ist(at).strftime("%d %b %Y %H:%M")
