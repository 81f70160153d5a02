"""Who an order's buyer is: sealed in one column, searchable only by exact phone or e-mail through keyed hashes."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shipcrowd.kernel import crypto
from shipcrowd.orders.models import Order
from shipcrowd.orders.schemas import IncomingOrder
from shipcrowd.pincodes.address import Address, indian_mobile


class Buyer(BaseModel):
    """The personal part of an order."""

    model_config = ConfigDict(frozen=True)

    ship_to: Address | None = None
    bill_to: Address | None = None
    gstin: str | None = None
    note: str = ""
    attributes: dict[str, str] = {}


def of_incoming(order: IncomingOrder) -> Buyer:
    return Buyer(
        ship_to=order.ship_to,
        bill_to=order.bill_to,
        gstin=order.buyer_gstin,
        note=order.note,
        attributes=order.attributes,
    )


def kept(held: Buyer, order: IncomingOrder) -> IncomingOrder:
    """News that says less of the buyer than is held: the order with what is held in place of what is not said.

    Channels stop showing buyers (Amazon: numbers after the last day of delivery, everything without the role), which
    is no news of the buyer.
    """
    if not order.pii_withheld:
        if held.ship_to is None or not held.ship_to.phone or order.ship_to is None:
            return order
        return order.model_copy(update={"ship_to": order.ship_to.model_copy(update={"phone": held.ship_to.phone})})
    if held.ship_to is None:
        return order
    return order.model_copy(
        update={
            "ship_to": held.ship_to,
            "bill_to": order.bill_to or held.bill_to,
            "buyer_gstin": order.buyer_gstin or held.gstin,
            "note": order.note or held.note,
            "pii_withheld": False,
        }
    )


def contact(*given: Address | None) -> tuple[str | None, str | None]:
    """The buyer's mobile number (ten digits) and e-mail, from the first address that has them."""
    addresses = [address for address in given if address]
    mobile = next(filter(None, (address.mobile for address in addresses)), None)
    email = next((address.email for address in addresses if address.email), None)
    return mobile, email


def about(company_id: UUID, connection_id: UUID | None, key: str) -> str:
    """What a sealed value is bound to. `key` is the channel's order id, or ours for an order typed by hand.

    Not our id for a channel's order: two imports of one new order may run at once, and either may win.
    """
    return f"order:{company_id}:{connection_id}:{key}"


def seal(buyer: Buyer, bound_to: str) -> bytes:
    return crypto.keyring().seal(buyer.model_dump_json(exclude_defaults=True).encode(), bound_to)


def about_row(order: Order) -> str:
    return about(order.company_id, order.connection_id, order.external_id or str(order.id))


def buyer_of(order: Order) -> Buyer:
    """Raises crypto.CannotDecrypt."""
    return Buyer.model_validate_json(crypto.keyring().open(order.pii, about_row(order)))


def opened(sealed: bytes, company_id: UUID, connection_id: UUID, external_id: str) -> Buyer:
    """The buyer of a channel's order whose row was not read whole. Raises crypto.CannotDecrypt."""
    return Buyer.model_validate_json(crypto.keyring().open(sealed, about(company_id, connection_id, external_id)))


def seal_into(order: Order, buyer: Buyer) -> None:
    """Set the order's sealed part, and the hashes and clear columns that follow from it."""
    order.pii = seal(buyer, about_row(order))
    mobile, email = contact(buyer.ship_to, buyer.bill_to)
    order.phone_hash = phone_hash(order.company_id, mobile) if mobile else None
    order.email_hash = email_hash(order.company_id, email) if email else None


def phone_hash(company_id: UUID, mobile: str) -> bytes:
    return crypto.search_hash(mobile, f"phone:{company_id}")


def email_hash(company_id: UUID, email: str) -> bytes:
    return crypto.search_hash(email.strip().lower(), f"email:{company_id}")


def hashes(company_id: UUID, text: str) -> dict[str, Any]:
    """The hash columns a search text could match exactly: a phone number, an e-mail address, or neither."""
    if "@" in text:
        return {"email_hash": email_hash(company_id, text)}
    mobile = indian_mobile(text)
    return {"phone_hash": phone_hash(company_id, mobile)} if mobile else {}
