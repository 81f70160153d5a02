"""An order and its lines, as the seller ships them; the legal moves of an order's state."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel import db
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.money import Money


class OrderState(StrEnum):
    pending = "pending"  # waits for payment, or the channel holds it
    ready = "ready"  # some units are still to be booked
    booked = "booked"  # every unit has a parcel; none is picked up yet
    shipped = "shipped"
    delivered = "delivered"
    rto = "rto"  # on its way back, or back
    cancelled = "cancelled"
    ignored = "ignored"  # nothing to ship: digital goods, in-store pickup, the marketplace's own warehouse


MOVES: dict[OrderState, frozenset[OrderState]] = {
    OrderState.pending: frozenset(
        {OrderState.ready, OrderState.shipped, OrderState.delivered, OrderState.cancelled, OrderState.ignored}
    ),
    OrderState.ready: frozenset(
        {
            OrderState.pending,
            OrderState.booked,
            OrderState.shipped,
            OrderState.delivered,
            OrderState.cancelled,
            OrderState.ignored,
        }
    ),
    OrderState.booked: frozenset(
        {OrderState.ready, OrderState.shipped, OrderState.delivered, OrderState.rto, OrderState.cancelled}
    ),
    OrderState.shipped: frozenset({OrderState.ready, OrderState.delivered, OrderState.rto}),
    OrderState.delivered: frozenset(),
    OrderState.rto: frozenset({OrderState.delivered}),
    OrderState.cancelled: frozenset(),
    OrderState.ignored: frozenset({OrderState.pending, OrderState.ready, OrderState.cancelled}),
}

ENDED = (OrderState.delivered, OrderState.cancelled, OrderState.ignored)
"""States that end an order. One on its way back (`rto`) ends with its last parcel."""

UNTOUCHED = (OrderState.pending, OrderState.ready, OrderState.ignored)
"""States in which the channel's word alone decides: nothing of ours depends on the order yet."""


class IllegalMove(Conflict):
    """The order cannot go there from where it is."""


class Order(db.Owned, db.Dated, db.Base):
    """One order. Who ordered it is sealed in `pii`; the place it goes to, as far as prices need it, is clear."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("company_id", "connection_id", "external_id"),
        CheckConstraint("total_paise >= 0", name="total"),
        Index("ix_orders_newest", "company_id", "placed_at", "id"),
        Index("ix_orders_state", "company_id", "state", "placed_at", "id"),
        Index("ix_orders_pincode", "company_id", text('pincode COLLATE "C"'), "placed_at", "id"),
        Index("ix_orders_number", "company_id", text('number COLLATE "C"')),
        Index("ix_orders_external", "company_id", "external_id"),
        Index(
            "ix_orders_phone", "company_id", "phone_hash", "placed_at", postgresql_where=text("phone_hash IS NOT NULL")
        ),
        Index("ix_orders_email", "company_id", "email_hash", postgresql_where=text("email_hash IS NOT NULL")),
        # Not by when it ended or changed: an index over columns that every import writes would make each cost more.
        Index("ix_orders_buyer", "company_id", "created_at", "id", postgresql_where=text("redacted_at IS NULL")),
        Index("ix_orders_ship_by", "company_id", "ship_by", postgresql_where=text("state = 'ready'")),
    )

    source: Mapped[str]  # a channel's slug, "manual" or "api"
    connection_id: Mapped[UUID | None]
    external_id: Mapped[str | None]
    external_ref: Mapped[str | None]
    number: Mapped[str]
    placed_at: Mapped[datetime]
    source_updated_at: Mapped[datetime]
    source_hash: Mapped[str]
    """Of everything the channel said: channels date changes to the second, and two may share one."""
    source_state: Mapped[str]
    state: Mapped[str]
    payment: Mapped[str]
    currency: Mapped[str]
    subtotal_paise: Mapped[Money]
    discount_paise: Mapped[Money]
    shipping_paise: Mapped[Money]
    tax_paise: Mapped[Money]
    total_paise: Mapped[Money]
    to_collect_paise: Mapped[Money]
    taxes_included: Mapped[bool]
    fulfilment: Mapped[str]
    city: Mapped[str]
    province: Mapped[str]
    pincode: Mapped[str]
    country: Mapped[str]
    pii: Mapped[bytes] = mapped_column(LargeBinary)
    pii_withheld: Mapped[bool]
    phone_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    email_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    address_edited: Mapped[bool] = mapped_column(server_default=text("false"))
    gaps: Mapped[dict[str, Any]]  # what keeps it from being booked: field → words for the seller
    weight_grams: Mapped[int | None]
    length_mm: Mapped[int | None]
    breadth_mm: Mapped[int | None]
    height_mm: Mapped[int | None]
    units: Mapped[int]
    ship_by: Mapped[datetime | None]
    holds: Mapped[list[str]]
    tags: Mapped[list[str]]
    test: Mapped[bool]
    duplicate_of: Mapped[UUID | None]
    cancel_asked_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    """When it was delivered, came back, was lost or cancelled; None while something may still happen to it."""
    redacted_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class OrderLine(db.Owned, db.Base):
    """One line. `units` are wanted, `units_booked` of them are in parcels that are not cancelled or refused."""

    __tablename__ = "order_lines"
    __table_args__ = (
        db.owned_key("orders", "order_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "order_id", "external_id"),
        CheckConstraint(
            "units_booked >= 0 AND units_booked <= greatest(units, units_booked_before_edit)", name="booked"
        ),
        Index("ix_order_lines_sku", "company_id", text('sku COLLATE "C"'), postgresql_where=text("sku IS NOT NULL")),
    )

    order_id: Mapped[UUID]
    position: Mapped[int]
    external_id: Mapped[str]
    sku: Mapped[str | None]
    sku_id: Mapped[UUID | None]
    name: Mapped[str]
    variant: Mapped[str | None]
    units: Mapped[int]
    units_elsewhere: Mapped[int] = mapped_column(server_default=text("0"))
    """Units the channel says were shipped by other means."""
    units_booked: Mapped[int] = mapped_column(server_default=text("0"))
    units_booked_before_edit: Mapped[int] = mapped_column(server_default=text("0"))
    """A channel may lower `units` under what is booked already; the booked parcel stays legal."""
    unit_price_paise: Mapped[Money]
    discount_paise: Mapped[Money]
    tax_paise: Mapped[Money]
    tax_rate_bp: Mapped[int | None]
    hsn: Mapped[str | None]
    weight_grams: Mapped[int | None]
    requires_shipping: Mapped[bool]
    external_product_id: Mapped[str | None]
    external_variant_id: Mapped[str | None]


class OrderEvent(db.Owned, db.Base):
    """One thing that happened to an order, told to people: the timeline. Never holds personal data in clear."""

    __tablename__ = "order_events"
    __table_args__ = (
        db.owned_key("orders", "order_id", ondelete="CASCADE"),
        Index("ix_order_events_order", "company_id", "order_id", "at", "id"),
    )

    order_id: Mapped[UUID]
    at: Mapped[datetime]
    kind: Mapped[str]
    words: Mapped[str]
    actor: Mapped[str]
    details: Mapped[dict[str, Any]]


class OrderReference(db.Owned, db.Base):
    """Another number an order is found by: an AWB."""

    __tablename__ = "order_references"
    __table_args__ = (
        db.owned_key("orders", "order_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "reference", "order_id"),
    )

    order_id: Mapped[UUID]
    reference: Mapped[str]
