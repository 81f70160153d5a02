"""Amazon's part of the desk's page: what it shows, and what its forms do."""

from shipcrowd.sandbox.amazon import parcels
from shipcrowd.sandbox.amazon.desk import AmazonDesk
from shipcrowd.sandbox.amazon.limits import PLANS
from shipcrowd.sandbox.amazon.orders import EASY_SHIP
from shipcrowd.sandbox.amazon.schemas import NewAmazonOrder, NewSeller, OrderKind, StockChange
from shipcrowd.sandbox.refusals import Unknown

OPERATIONS = ("*", "lwa.token", "document.put", "document.get", *sorted(PLANS))
SHOWN = 20


def context(desk: AmazonDesk) -> dict[str, object]:
    """What the page needs to know of Amazon, newest first."""
    sellers = desk.sellers()
    orders = [order for seller in sellers for order in desk.orders(seller.id)[-SHOWN:]]
    feeds = [feed for seller in sellers for feed in desk.feeds(seller.id)[-SHOWN:]]
    return {
        "sellers": sellers,
        "orders": sorted(orders, key=lambda one: one.updated_at, reverse=True)[:SHOWN],
        "feeds": sorted(feeds, key=lambda one: one.created_at, reverse=True)[:5],
        "parcels": desk.parcels()[::-1][:SHOWN],
        "stats": desk.stats(),
        "kinds": list(OrderKind),
        "easy_ship": list(EASY_SHIP),
        "events": list(parcels.STATUS),
    }


def do(desk: AmazonDesk, what: str, form: dict[str, str]) -> str:
    """One form of the page; what to tell the person. Raises Unknown for a form there is not."""
    order_id, seller_id = form.get("order", ""), form.get("seller", "")
    match what:
        case "amazon-seller":
            made = desk.create_seller(NewSeller(name=form.get("name", "").strip() or "Asha Crafts"))
            return f"{made.name} sells at Amazon as {made.id}."
        case "amazon-order":
            new = NewAmazonOrder(
                kind=OrderKind(form.get("kind", "prepaid")),
                pending="pending" in form,
                personal_data="no_personal_data" not in form,
                broken="broken" in form,
                cancel_reason="Ordered by mistake" if "cancel" in form else None,
            )
            placed = desk.place_order(seller_id, new)
            return f"Order {placed.id} of ₹{placed.total} was placed at Amazon."
        case "amazon-release":
            return f"Order {desk.release(order_id).id} may be shipped."
        case "amazon-ask-to-cancel":
            return f"The buyer of {desk.ask_to_cancel(order_id).id} asks to cancel."
        case "amazon-cancel":
            return f"Order {desk.cancel(order_id).id} was cancelled."
        case "amazon-ship-fba":
            return f"Amazon shipped order {desk.ship_fba(order_id).id}."
        case "amazon-mend":
            return f"Order {desk.mend(order_id).id} can be read again."
        case "amazon-easy-ship":
            moved = desk.move_easy_ship(order_id, form.get("status", ""))
            return f"Easy Ship has order {moved.id} as {moved.easy_ship_status}."
        case "amazon-parcel":
            parcel = desk.move_parcel(form.get("tracking", ""), form.get("event", ""))
            return f"{parcel.tracking_id} is {parcel.status}."
        case "amazon-stock":
            sku, quantity = form.get("sku", "").strip(), int(form.get("quantity", "0"))
            set_to = desk.set_stock(seller_id, StockChange(sku=sku, quantity=quantity, by_amazon="by_amazon" in form))
            return f"{set_to.sku} stands at {set_to.quantity}."
        case "amazon-feeds":
            return f"{desk.advance_feeds()} feeds and reports were finished."
        case "amazon-revoke":
            desk.revoke(seller_id)
            return "The seller disabled the application."
        case "amazon-rotate":
            desk.rotate_secret()
            return "Amazon made a new client secret; the old one works seven days more."
        case _:
            raise Unknown(f"the desk cannot {what}")
