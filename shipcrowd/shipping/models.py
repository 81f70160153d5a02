"""A shipment and what belongs to it; the one table of legal moves for every courier and every leg."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.couriers.contract import Progress
from shipcrowd.kernel import db
from shipcrowd.kernel.money import Money


class State(StrEnum):
    """Our own states of a booking, and behind them the courier's progress (`couriers.contract.Progress`)."""

    booking = "booking"  # paid for (held), not yet asked of the courier or being asked
    unconfirmed = "unconfirmed"  # asked, and no answer came: the parcel may exist
    refused = "refused"
    cancelling = "cancelling"  # the courier took our cancellation; tracking confirms it

    pickup_pending = "pickup_pending"
    pickup_failed = "pickup_failed"
    picked_up = "picked_up"
    in_transit = "in_transit"
    out_for_delivery = "out_for_delivery"
    delivered = "delivered"
    delivery_failed = "delivery_failed"
    rto_initiated = "rto_initiated"
    rto_in_transit = "rto_in_transit"
    rto_out_for_delivery = "rto_out_for_delivery"
    rto_delivered = "rto_delivered"
    cancelled = "cancelled"
    lost = "lost"
    damaged = "damaged"


_GONE_WRONG = {State.lost, State.damaged}
_RETURNING = {State.rto_initiated, State.rto_in_transit, State.rto_out_for_delivery, State.rto_delivered}
_AHEAD_OF_PICKUP = {
    State.picked_up, State.in_transit, State.out_for_delivery, State.delivery_failed, State.delivered,
    *_RETURNING, *_GONE_WRONG,
}  # fmt: skip

MOVES: dict[State, frozenset[State]] = {
    State.booking: frozenset({State.unconfirmed, State.refused, State.pickup_pending}),
    State.unconfirmed: frozenset({State.pickup_pending, State.refused}),
    State.refused: frozenset(),
    State.pickup_pending: frozenset({State.pickup_failed, State.cancelling, State.cancelled, *_AHEAD_OF_PICKUP}),
    State.pickup_failed: frozenset({State.pickup_pending, State.cancelling, State.cancelled, *_AHEAD_OF_PICKUP}),
    State.cancelling: frozenset({State.cancelled, *_AHEAD_OF_PICKUP}),
    State.picked_up: frozenset(
        {State.cancelling, State.cancelled, State.in_transit, State.out_for_delivery, State.delivery_failed,
         State.delivered, *_RETURNING, *_GONE_WRONG}
    ),
    State.in_transit: frozenset(
        {State.out_for_delivery, State.delivery_failed, State.delivered, *_RETURNING, *_GONE_WRONG}
    ),
    State.out_for_delivery: frozenset(
        {State.in_transit, State.delivery_failed, State.delivered, *_RETURNING, *_GONE_WRONG}
    ),
    State.delivery_failed: frozenset(
        {State.in_transit, State.out_for_delivery, State.delivered, *_RETURNING, *_GONE_WRONG}
    ),
    State.rto_initiated: frozenset(
        {State.rto_in_transit, State.rto_out_for_delivery, State.rto_delivered, *_GONE_WRONG}
    ),
    State.rto_in_transit: frozenset({State.rto_out_for_delivery, State.rto_delivered, *_GONE_WRONG}),
    State.rto_out_for_delivery: frozenset({State.rto_in_transit, State.rto_delivered, *_GONE_WRONG}),
    State.delivered: frozenset(),
    State.rto_delivered: frozenset(),
    State.cancelled: frozenset(),
    State.lost: frozenset(),
    State.damaged: frozenset(),
}  # fmt: skip

ENDED = frozenset(state for state, ahead in MOVES.items() if not ahead)
CANCELLABLE = frozenset({State.pickup_pending, State.pickup_failed, State.picked_up})
CAME_TO_NOTHING = frozenset({State.refused, State.cancelled})
HOLDS_MONEY = frozenset({State.booking, State.unconfirmed})
"""States of an open booking: what is held in the wallet belongs to exactly these."""

OF_PROGRESS: dict[Progress, State] = {progress: State(progress.value) for progress in Progress}

CHECK_EVERY_MINUTES: dict[State, int] = {
    State.cancelling: 15,
    State.pickup_pending: 120,
    State.pickup_failed: 120,
    State.picked_up: 120,
    State.in_transit: 180,
    State.out_for_delivery: 30,
    State.delivery_failed: 60,
    State.rto_initiated: 240,
    State.rto_in_transit: 240,
    State.rto_out_for_delivery: 60,
}
"""How long after a look at the courier's tracking we look again; a state that is not here is not looked at."""


class Quote(db.Owned, db.Dated, db.Base):
    """What shipping an order would cost, courier beside courier, good for half an hour."""

    __tablename__ = "quotes"
    __table_args__ = (db.owned_key("orders", "order_id", ondelete="CASCADE"),)

    order_id: Mapped[UUID]
    place_id: Mapped[UUID]
    weight_grams: Mapped[int]
    length_mm: Mapped[int]
    breadth_mm: Mapped[int]
    height_mm: Mapped[int]
    options: Mapped[list[dict[str, Any]]] = mapped_column(db.JSON)
    expires_at: Mapped[datetime]


TO_FORGET = (
    "redact_asked_at IS NOT NULL"
    " AND (redacted_at IS NULL OR label_key IS NOT NULL OR label_url IS NOT NULL OR invoice_key IS NOT NULL)"
)
"""Parcels whose receiver, or the label or invoice that shows them, is still to go."""


LYING = "late_told_at IS NULL AND state IN ('pickup_pending', 'pickup_failed')"
"""Parcels that wait for their courier, and of which nobody said yet that they wait too long."""


class Shipment(db.Owned, db.Dated, db.Base):
    """One parcel. The receiver is sealed in `pii`, as it was at booking."""

    __tablename__ = "shipments"
    __table_args__ = (
        db.owned_key("orders", "order_id"),
        UniqueConstraint("company_id", "number"),
        CheckConstraint("weight_grams > 0 AND length_mm > 0 AND breadth_mm > 0 AND height_mm > 0", name="measured"),
        CheckConstraint("charge_paise >= 0", name="charge"),
        Index(
            "uq_shipments_awb", "company_id", "courier", "awb", unique=True, postgresql_where=text("awb IS NOT NULL")
        ),
        Index("ix_shipments_newest", "company_id", "created_at", "id"),
        Index("ix_shipments_state", "company_id", "state", "created_at", "id"),
        Index("ix_shipments_order", "company_id", "order_id"),
        Index("ix_shipments_manifest", "company_id", "manifest_id", postgresql_where=text("manifest_id IS NOT NULL")),
        Index("ix_shipments_redact", "company_id", "id", postgresql_where=text(TO_FORGET)),
        Index("ix_shipments_due", "next_check_at", postgresql_where=text("next_check_at IS NOT NULL")),
        Index("ix_shipments_late", "booked_at", postgresql_where=text(LYING)),
        Index("ix_shipments_label", "label_until", postgresql_where=text("label_until IS NOT NULL")),
    )

    number: Mapped[str]
    order_id: Mapped[UUID]
    order_number: Mapped[str]
    source: Mapped[str]
    flow: Mapped[str]
    state: Mapped[str]
    courier: Mapped[str]
    account_company_id: Mapped[UUID]  # whose account at the courier: the company's own or the platform's
    account_id: Mapped[UUID]
    service: Mapped[str]
    service_name: Mapped[str]
    carrier: Mapped[str]
    mode: Mapped[str]
    zone: Mapped[str | None]
    awb: Mapped[str | None]
    awb_typed_by: Mapped[str | None]  # who typed it at the desk; None for one the courier gave
    courier_order_id: Mapped[str | None]
    courier_shipment_id: Mapped[str | None]
    routing_code: Mapped[str | None]
    payment: Mapped[str]
    to_collect_paise: Mapped[Money]
    declared_paise: Mapped[Money]
    charge_paise: Mapped[Money]
    charge: Mapped[dict[str, Any]]  # the quote it was booked at, whole
    courier_charge_paise: Mapped[Money | None]
    weight_grams: Mapped[int]
    length_mm: Mapped[int]
    breadth_mm: Mapped[int]
    height_mm: Mapped[int]
    scanned_weight_grams: Mapped[int | None]
    place_id: Mapped[UUID]
    return_place_id: Mapped[UUID]
    pii: Mapped[bytes] = mapped_column(LargeBinary)
    city: Mapped[str]
    province: Mapped[str]
    pincode: Mapped[str]
    attempted_at: Mapped[datetime | None]  # a request to the courier is on its way, or was when we last knew
    booked_at: Mapped[datetime | None]
    picked_up_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    moved_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    label_url: Mapped[str | None]
    label_key: Mapped[str | None]
    invoice_key: Mapped[str | None]  # the buyer's invoice, where the courier (a marketplace's) makes it
    label_until: Mapped[datetime | None]  # where the courier's label is good for some hours only; not once it left
    late_told_at: Mapped[datetime | None]  # when it was said that the parcel still lies there
    labels_printed: Mapped[int] = mapped_column(server_default=text("0"))
    reason_code: Mapped[str | None]
    reason: Mapped[str | None]  # why refused, unconfirmed or cancelled: words for the seller
    cancel_asked_at: Mapped[datetime | None]
    last_checked_at: Mapped[datetime | None]
    next_check_at: Mapped[datetime | None]
    last_location: Mapped[str] = mapped_column(server_default="")
    track_key: Mapped[bytes] = mapped_column(LargeBinary)  # the tracking link's secret, sealed
    courier_track_url: Mapped[str | None]
    pod: Mapped[bytes | None] = mapped_column(LargeBinary)
    manifest_id: Mapped[UUID | None]
    pickup_on: Mapped[date | None]
    booked_by: Mapped[str]
    redact_asked_at: Mapped[datetime | None]  # the receiver is to be forgotten, once the courier needs nothing more
    redacted_at: Mapped[datetime | None]


class ShipmentLine(db.Owned, db.Base):
    """Units of one order line in one parcel. A unit is in at most one active parcel (orders.allocate)."""

    __tablename__ = "shipment_lines"
    __table_args__ = (
        db.owned_key("shipments", "shipment_id", ondelete="CASCADE"),
        db.owned_key("order_lines", "order_line_id"),
        UniqueConstraint("company_id", "shipment_id", "order_line_id"),
        CheckConstraint("units > 0", name="units"),
    )

    shipment_id: Mapped[UUID]
    order_line_id: Mapped[UUID]
    units: Mapped[int]


class ScanRow(db.Owned, db.Base):
    """One scan, once: the same moment, status and place again is the same scan."""

    __tablename__ = "scans"
    __table_args__ = (
        db.owned_key("shipments", "shipment_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "shipment_id", "at", "status", "location"),
    )

    shipment_id: Mapped[UUID]
    at: Mapped[datetime]
    status: Mapped[str]
    progress: Mapped[str | None]
    location: Mapped[str]
    remark: Mapped[str]
    received_at: Mapped[datetime]
    via: Mapped[str]  # webhook, poll or person


class ShipmentRoute(db.Base):
    """How news of a parcel finds its company before any company is known: by AWB, by our reference, by link."""

    __tablename__ = "shipment_routes"
    __table_args__ = ({"info": {"unowned": "a courier's webhook and a buyer's link name a parcel, not a company"}},)

    kind: Mapped[str] = mapped_column(primary_key=True)  # "awb:<courier>", "reference" or "link" (hashed)
    key: Mapped[str] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    shipment_id: Mapped[UUID]
    made_at: Mapped[datetime]
    typed: Mapped[bool] = mapped_column(server_default=text("false"))  # by a person: what the courier gives outranks it


class Manifest(db.Owned, db.Dated, db.Base):
    """Parcels of one courier handed over at one place: open → closed → handed_over."""

    __tablename__ = "manifests"
    __table_args__ = (
        UniqueConstraint("company_id", "number"),
        Index("ix_manifests_newest", "company_id", "created_at", "id"),
    )

    number: Mapped[str]
    state: Mapped[str]
    courier: Mapped[str]
    carrier: Mapped[str]
    place_id: Mapped[UUID]
    closed_at: Mapped[datetime | None]
    handed_over_at: Mapped[datetime | None]
    handed_over_to: Mapped[str | None]
    parcels: Mapped[int] = mapped_column(server_default=text("0"))
    weight_grams: Mapped[int] = mapped_column(server_default=text("0"))
    to_collect_paise: Mapped[Money] = mapped_column(server_default=text("0"))


class PickupState(StrEnum):
    requested = "requested"
    confirmed = "confirmed"
    with_booking = "with_booking"  # the courier comes for every booking by itself
    failed = "failed"


class Pickup(db.Owned, db.Dated, db.Base):
    """A visit asked of a courier."""

    __tablename__ = "pickups"
    __table_args__ = (Index("ix_pickups_day", "company_id", "on_day", "id"),)

    place_id: Mapped[UUID]
    courier: Mapped[str]
    account_company_id: Mapped[UUID]
    account_id: Mapped[UUID]
    on_day: Mapped[date]
    parcels: Mapped[int]
    state: Mapped[str]
    token: Mapped[str | None]
    error: Mapped[str | None]


class BulkRun(db.Owned, db.Dated, db.Base):
    """Many orders shipped with one click; the result of each is in its items."""

    __tablename__ = "bulk_runs"

    actor: Mapped[str]
    choose: Mapped[str]
    place_id: Mapped[UUID | None]
    total: Mapped[int]


class BulkItem(db.Owned, db.Base):
    __tablename__ = "bulk_items"
    __table_args__ = (
        db.owned_key("bulk_runs", "run_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "run_id", "order_id"),
    )

    run_id: Mapped[UUID]
    order_id: Mapped[UUID]
    state: Mapped[str]  # waiting, preparing, booking, refused; a booked one is told by its shipment
    shipment_id: Mapped[UUID | None]
    code: Mapped[str | None]
    message: Mapped[str | None]
