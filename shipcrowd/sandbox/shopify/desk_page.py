"""Shopify's part of the desk's page: what it shows, and what its forms do."""

from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.refusals import Unknown
from shipcrowd.sandbox.schemas import NewOrder, Payment

OPERATIONS = ("*", "oauth.token", "orders", "order", "fulfillmentCreate", "fulfillmentEventCreate")
SHOWN = 20


def context(desk: Desk) -> dict[str, object]:
    """What the page shows of shops, newest first."""
    shops = desk.shops()
    return {
        "shops": shops,
        "orders": [order for shop in shops for order in desk.orders(shop.domain)][::-1][:SHOWN],
        "payments": list(Payment),
    }


def do(desk: Desk, what: str, form: dict[str, str]) -> str:
    """One form of the page; what to tell the person. Raises Unknown for a form there is not."""
    shop, order = form.get("shop", ""), form.get("order", "")
    match what:
        case "shopify-shop":
            return f"{desk.create_shop(form.get('domain', '').strip().lower()).name} is open."
        case "shopify-order":
            new = NewOrder(
                payment=Payment(form.get("payment", "cod")),
                pincode=form.get("pincode", "").strip() or None,
                no_phone="no_phone" in form,
                no_shipping_address="no_shipping_address" in form,
            )
            placed = desk.place_order(shop, new)
            return f"Order {placed.name} of ₹{placed.total} was placed at {placed.shop}."
        case "shopify-cancel":
            return f"Order {desk.cancel_order(shop, order).name} was cancelled."
        case "shopify-hold":
            return f"Order {desk.hold_order(shop, order).name} is on hold."
        case _:
            raise Unknown(f"the desk cannot {what}")
