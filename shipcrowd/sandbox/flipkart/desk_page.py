"""Flipkart's part of the desk's page: what it shows, and what its forms do."""

from shipcrowd.sandbox.flipkart import web
from shipcrowd.sandbox.flipkart.desk import FlipkartDesk
from shipcrowd.sandbox.flipkart.schemas import (
    Kind,
    NewReturn,
    NewSeller,
    NewShipment,
    NotificationTarget,
    ReturnSource,
    ShipmentView,
)
from shipcrowd.sandbox.refusals import Unknown

OPERATIONS = ("*", *web.OPERATIONS)
SHOWN = 20


def context(desk: FlipkartDesk) -> dict[str, object]:
    """What the page shows of Flipkart: the shipments changed last, and the returns opened last."""
    sellers = desk.sellers()
    shipments = [it for one in sellers for it in desk.latest(one.id, SHOWN)]
    return {
        "sellers": sellers,
        "kinds": list(Kind),
        "shipments": sorted(shipments, key=lambda it: it.updated_at, reverse=True)[:SHOWN],
        "returns": [(one.id, it) for one in sellers for it in desk.returns(one.id)[-SHOWN:]][::-1][:SHOWN],
        "stats": desk.stats(),
    }


def do(desk: FlipkartDesk, what: str, form: dict[str, str]) -> str:
    """One form of the page; what to tell the person. Raises Unknown for a form there is not."""
    seller_id, shipment_id, return_id = (form.get(name, "") for name in ("seller", "shipment", "return"))
    match what:
        case "flipkart-seller":
            return f"{desk.create_seller(NewSeller(name=form.get('name', '').strip())).name} sells on Flipkart."
        case "flipkart-place":
            placed = desk.place(seller_id, NewShipment(kind=Kind(form.get("kind", Kind.standard_prepaid.value))))
            return f"Order {placed.order_id} was placed."
        case "flipkart-move":
            return _tell(desk.move(seller_id, shipment_id))
        case "flipkart-move-all":
            return f"{desk.move_all(seller_id)} shipments moved one step."
        case "flipkart-hold":
            return _tell(desk.hold(seller_id, shipment_id))
        case "flipkart-release":
            return _tell(desk.release(seller_id, shipment_id))
        case "flipkart-cancel":
            return _tell(desk.cancel(seller_id, shipment_id))
        case "flipkart-return":
            source = ReturnSource(form.get("source", ReturnSource.customer_return.value))
            opened = desk.open_return(seller_id, shipment_id, NewReturn(source=source))
            return f"Return {', '.join(one.id for one in opened)} was opened."
        case "flipkart-move-return":
            moved = desk.move_return(seller_id, return_id)
            return f"Return {moved.id} is {moved.status}, its goods {moved.shipment_status}."
        case "flipkart-notify":
            url = form.get("url", "").strip()
            desk.notify(seller_id, NotificationTarget(url=url) if url else None)
            return f"Notifications go to {url}." if url else "Notifications go nowhere."
        case "flipkart-revoke":
            desk.revoke(seller_id)
            return f"{desk.seller(seller_id).name} withdrew the application's access."
        case _:
            raise Unknown(f"the desk cannot {what}")


def _tell(shipment: ShipmentView) -> str:
    return f"{shipment.order_id} is {shipment.status}{' and on hold' if shipment.hold else ''}."
