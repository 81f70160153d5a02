"""How far each store has been read, what could not be read, what was done, and what stores were told: of parcels, of
stock, of cancellations. And what stores say they have: listings, stock in the marketplace's own warehouses."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.channels.returns_contract import ReturnKind, ReturnState
from shipcrowd.kernel.db import Base, Owned, owned_key
from shipcrowd.kernel.money import Money


def one_of(states: Iterable[StrEnum]) -> str:
    """The CHECK that a column `state` holds one of these."""
    return f"state IN ({', '.join(repr(state.value) for state in states)})"


class AnnouncementState(StrEnum):
    pending = "pending"
    sent = "sent"
    refused = "refused"
    withdrawn = "withdrawn"


ANNOUNCEMENT_MOVES: Mapping[AnnouncementState, frozenset[AnnouncementState]] = {
    AnnouncementState.pending: frozenset(
        {AnnouncementState.sent, AnnouncementState.refused, AnnouncementState.withdrawn}
    ),
    AnnouncementState.refused: frozenset({AnnouncementState.pending, AnnouncementState.withdrawn}),
    AnnouncementState.sent: frozenset({AnnouncementState.withdrawn}),
    AnnouncementState.withdrawn: frozenset({AnnouncementState.pending}),
}
"""The legal moves. A refused one is tried again by hand; what was withdrawn stays so, unless it was because of a wrong
AWB: then the right one is told."""


class StoreSync(Owned, Base):
    """How far one store has been read; its id is the connection's.

    Everything changed at the store before `swept_through` has been seen. A sweep that is under way has
    `sweep_started_at` and goes on at `sweep_position`, which may lie behind `swept_through` (a sweep looks back a
    little); `sweeping_until` is the lease of the process that runs it.
    """

    __tablename__ = "store_syncs"
    __table_args__ = (
        owned_key("connections", "id", ondelete="CASCADE"),
        Index("ix_store_syncs_due", "next_sweep_at"),
    )

    swept_through: Mapped[datetime | None]
    sweep_started_at: Mapped[datetime | None]
    sweep_position: Mapped[datetime | None]
    sweeping_until: Mapped[datetime | None]
    last_sweep_at: Mapped[datetime | None]
    """When a sweep last reached its end."""
    next_sweep_at: Mapped[datetime]
    last_webhook_at: Mapped[datetime | None]
    orders_imported: Mapped[int] = mapped_column(default=0)
    topics: Mapped[list[str]] = mapped_column(default=list)
    """The webhooks in force at the store, as of the last look."""
    missing_scopes: Mapped[list[str]] = mapped_column(default=list)
    stock_busy_until: Mapped[datetime | None]
    """The lease of whoever sends this store its stock just now."""
    next_stock_at: Mapped[datetime | None]
    """Not before then is stock sent by the clock, after the store did not answer."""
    listings_read_at: Mapped[datetime | None]
    """When the listings were last read to their end; so for the marketplace's stock."""
    next_listings_at: Mapped[datetime | None]
    marketplace_read_at: Mapped[datetime | None]
    next_marketplace_at: Mapped[datetime | None]
    marketplace_error: Mapped[str] = mapped_column(default="")
    """Why the marketplace's stock could not be read the last time."""
    returns_through: Mapped[datetime | None]
    """Every return changed at the store before then has been seen."""
    next_returns_at: Mapped[datetime | None]


class FailedItem(Owned, Base):
    """One order (or delivery) that could not be taken in: why, and what it looked like. Its own trouble, no one's else.

    `external_id` is the order's at the store, or `webhook:<delivery id>` for a delivery that could not be read.
    """

    __tablename__ = "failed_items"
    __table_args__ = (
        owned_key("connections", "connection_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "connection_id", "external_id"),
        Index("ix_failed_items_open", "company_id", "failed_at", "id", postgresql_where=text("resolved_at IS NULL")),
    )

    connection_id: Mapped[UUID]
    external_id: Mapped[str]
    delivery_id: Mapped[UUID | None]
    reason: Mapped[str]
    raw: Mapped[bytes | None]
    """Sealed JSON: it holds a buyer's data. None once resolved or redacted."""
    times: Mapped[int] = mapped_column(default=1)
    failed_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]


class SyncEntry(Owned, Base):
    """One thing done with a store, for the seller to read.

    `what`: orders | order | subscribe | unsubscribe | test | data_request | stock | listings | marketplace_stock |
    returns | return | prices | dispatch | cancel. Of stock, `updated` were taken, `unchanged` superseded."""

    __tablename__ = "sync_entries"
    __table_args__ = (
        owned_key("connections", "connection_id", ondelete="CASCADE"),
        Index("ix_sync_entries_store", "company_id", "connection_id", "started_at", "id"),
    )

    connection_id: Mapped[UUID]
    what: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    pages: Mapped[int] = mapped_column(default=0)
    inserted: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")


class Announcement(Owned, Base):
    """What a store was told of one parcel. `dispatch_ref` is the store's own id of that."""

    __tablename__ = "announcements"
    __table_args__ = (
        owned_key("connections", "connection_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "shipment_id"),
        CheckConstraint(one_of(AnnouncementState), name="state"),
        Index("ix_announcements_store", "company_id", "connection_id", "state", "created_at", "id"),
        Index("ix_announcements_again", "again_at", postgresql_where=text("again_at IS NOT NULL")),
        Index(
            "ix_announcements_wishes",
            "company_id",
            "connection_id",
            "shipment_id",
            postgresql_where=text("expected_at IS NOT NULL OR ready_asked_at IS NOT NULL"),
        ),
    )

    shipment_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    order_ref: Mapped[str]
    dispatch_ref: Mapped[str | None]
    state: Mapped[str] = mapped_column(default=AnnouncementState.pending.value)
    last_milestone: Mapped[str | None]
    last_milestone_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(default="")
    failures: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    """How often in a row the store could not be told of this parcel."""
    again_at: Mapped[datetime | None]
    """When the clock tries again what could not be told, and how often it has (`untold.AGAIN`)."""
    agains: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    unsure_of: Mapped[str | None]
    """The milestone that is being told, or was when we last knew, where the store keeps no trace of it."""
    expected_at: Mapped[datetime | None]
    """The day the store has still to be told the parcel comes on."""
    ready_asked_at: Mapped[datetime | None]
    """Since when the marketplace is to be told that the parcel is ready to be dispatched."""
    wrong_awb: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    """The store knows the parcel by an AWB that was corrected here since."""
    busy_until: Mapped[datetime | None]
    """The lease of whoever talks to the store about this parcel just now."""
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


# --- stock out ------------------------------------------------------------------------------------------------------


class PushState(StrEnum):
    queued = "queued"
    sending = "sending"
    waiting = "waiting"  # all of it was handed over, some as a file the channel has not answered for yet
    done = "done"


class StockState(StrEnum):
    queued = "queued"
    waiting = "waiting"  # in a file at the channel
    accepted = "accepted"
    refused = "refused"
    superseded = "superseded"  # a newer push said otherwise before this was sent
    unknown = "unknown"  # sent, and the channel never said what came of it


class FeedState(StrEnum):
    waiting = "waiting"
    done = "done"
    failed = "failed"
    lost = "lost"  # the channel never said what came of it


class StockPush(Owned, Base):
    """Levels to be set at one store, given at once. `seq` grows with every push of the store: what a later one says
    of a variant and place holds, whatever was sent when. The counts are those of its items by state."""

    __tablename__ = "stock_pushes"
    __table_args__ = (
        owned_key("connections", "connection_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "connection_id", "seq"),
        CheckConstraint(one_of(PushState), name="state"),
        Index("ix_stock_pushes_store", "company_id", "connection_id", "created_at", "id"),
    )

    connection_id: Mapped[UUID]
    seq: Mapped[int]
    state: Mapped[str] = mapped_column(default=PushState.queued.value)
    total: Mapped[int]
    queued: Mapped[int]
    waiting: Mapped[int] = mapped_column(default=0)
    accepted: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    superseded: Mapped[int] = mapped_column(default=0)
    unknown: Mapped[int] = mapped_column(default=0)
    asked_by: Mapped[str]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class StockFeed(Owned, Base):
    """A file of levels at a channel, of one push or of several, and how often we asked what became of it."""

    __tablename__ = "stock_feeds"
    __table_args__ = (
        owned_key("connections", "connection_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "connection_id", "reference"),
        CheckConstraint(one_of(FeedState), name="state"),
        Index("ix_stock_feeds_due", "next_look_at", postgresql_where=text("state = 'waiting'")),
    )

    connection_id: Mapped[UUID]
    reference: Mapped[str]
    state: Mapped[str] = mapped_column(default=FeedState.waiting.value)
    looks: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime]
    first_asked_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]
    """When a channel at which it only lies was last asked to work it off; whether it heard is known by `started_at`."""
    started_at: Mapped[datetime | None]
    next_look_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(default="")


class StockItem(Owned, Base):
    """One level of a push and what became of it. Without `external_variant_id` no listing had its SKU."""

    __tablename__ = "stock_items"
    __table_args__ = (
        owned_key("stock_pushes", "push_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "push_id", "external_variant_id", "location"),
        CheckConstraint("available >= 0", name="available"),
        CheckConstraint(one_of(StockState), name="state"),
        Index("ix_stock_items_push", "company_id", "push_id", "id"),
        Index(
            "ix_stock_items_open",
            "company_id",
            "connection_id",
            "seq",
            "id",
            postgresql_where=text("state IN ('queued', 'waiting')"),
        ),
        Index("ix_stock_items_key", "company_id", "connection_id", "external_variant_id", "location", "seq"),
        Index("ix_stock_items_feed", "company_id", "feed_id", postgresql_where=text("feed_id IS NOT NULL")),
    )

    push_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    seq: Mapped[int]
    external_variant_id: Mapped[str | None]
    external_product_id: Mapped[str | None]
    sku: Mapped[str | None]
    location: Mapped[str]
    available: Mapped[int]
    state: Mapped[str] = mapped_column(default=StockState.queued.value)
    singly: Mapped[bool] = mapped_column(server_default=text("false"))
    """A file that held it failed as a whole: it goes once more, by itself."""
    feed_id: Mapped[UUID | None]
    code: Mapped[str | None]
    reason: Mapped[str | None]
    ended_at: Mapped[datetime | None]


# --- what stores have -----------------------------------------------------------------------------------------------


class MarketplaceStock(Owned, Base):
    """Units of one SKU in a marketplace's own warehouse. The marketplace counts them and we only read; they are apart
    from any warehouse of ours. `gone_at`: a complete read no longer found it."""

    __tablename__ = "marketplace_stock"
    __table_args__ = (
        owned_key("connections", "connection_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "connection_id", "sku", "location"),
    )

    connection_id: Mapped[UUID]
    sku: Mapped[str]
    location: Mapped[str]
    external_variant_id: Mapped[str | None]
    external_product_id: Mapped[str | None]
    sellable: Mapped[int]
    inbound: Mapped[int]
    reserved: Mapped[int]
    unfulfillable: Mapped[int]
    details: Mapped[dict[str, Any]]
    as_of: Mapped[datetime | None]
    seen_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]


class ListingRow(Owned, Base):
    """A thing on sale at a store, as the store has it. Which of our SKUs it is stands elsewhere."""

    __tablename__ = "listings"
    __table_args__ = (
        owned_key("connections", "connection_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "connection_id", "external_variant_id"),
        Index(
            "ix_listings_sku",
            "company_id",
            "connection_id",
            text('sku COLLATE "C"'),
            postgresql_where=text("sku IS NOT NULL"),
        ),
        Index("ix_listings_title", "company_id", "connection_id", text('title_key COLLATE "C"')),
    )

    connection_id: Mapped[UUID]
    external_variant_id: Mapped[str]
    external_product_id: Mapped[str]
    sku: Mapped[str | None]
    title: Mapped[str]
    title_key: Mapped[str]
    """The title as it is searched by: folded to one case."""
    price_paise: Mapped[Money | None]
    barcode: Mapped[str | None]
    hsn: Mapped[str | None]
    weight_grams: Mapped[int | None]
    stock_id: Mapped[str | None]
    fulfilment: Mapped[str | None]
    seen_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]


# --- cancelling at the store ----------------------------------------------------------------------------------------


class CancellationState(StrEnum):
    asked = "asked"
    done = "done"
    refused = "refused"


CANCELLATION_MOVES: Mapping[CancellationState, frozenset[CancellationState]] = {
    CancellationState.asked: frozenset({CancellationState.done, CancellationState.refused}),
    CancellationState.refused: frozenset({CancellationState.asked}),
    CancellationState.done: frozenset(),
}
"""The legal moves: a refused cancellation may be asked for again."""


class Cancellation(Owned, Base):
    """An order the seller wants cancelled at its store, and what the store said."""

    __tablename__ = "cancellations"
    __table_args__ = (
        owned_key("connections", "connection_id", ondelete="CASCADE"),
        owned_key("orders", "order_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "order_id"),
        CheckConstraint(one_of(CancellationState), name="state"),
    )

    connection_id: Mapped[UUID]
    order_id: Mapped[UUID]
    order_ref: Mapped[str]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(default=CancellationState.asked.value)
    code: Mapped[str | None]
    because: Mapped[str | None]
    """Why the store refused."""
    ticket: Mapped[str | None]
    """The file the store took it as, until it has answered."""
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


# --- what comes back ------------------------------------------------------------------------------------------------

RETURN_STEPS: Mapping[ReturnState, int] = {
    ReturnState.open: 0,
    ReturnState.approved: 1,
    ReturnState.picked_up: 2,
    ReturnState.rejected: 3,
    ReturnState.cancelled: 3,
    ReturnState.completed: 3,
}
"""How far a return is. It never goes back; of two ends the channel's later word holds."""


class DecisionState(StrEnum):
    asked = "asked"
    done = "done"
    refused = "refused"


class MarketplaceReturn(Owned, Base):
    """Units of one order line that come back to the seller, as the store tells it, and what the seller said last.

    `order_id` and `shipment_id` are filled in once the order is here. `state` is None while the store's own word,
    `status`, is unknown to us. `comment` is the buyer's: it goes with the buyer.
    """

    __tablename__ = "marketplace_returns"
    __table_args__ = (
        owned_key("connections", "connection_id", ondelete="CASCADE"),
        owned_key("orders", "order_id", ondelete="CASCADE"),
        owned_key("shipments", "shipment_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "connection_id", "external_id"),
        CheckConstraint(f"kind IN ({', '.join(repr(kind.value) for kind in ReturnKind)})", name="kind"),
        CheckConstraint(one_of(ReturnState), name="state"),
        CheckConstraint(f"decision_{one_of(DecisionState)}", name="decision_state"),
        CheckConstraint("units >= 0", name="units"),
        Index("ix_marketplace_returns_store", "company_id", "connection_id", "created_at", "id"),
        Index("ix_marketplace_returns_order", "company_id", "order_id"),
        Index(
            "ix_marketplace_returns_unlinked",
            "company_id",
            "connection_id",
            "order_external_id",
            postgresql_where=text("order_id IS NULL"),
        ),
    )

    connection_id: Mapped[UUID]
    external_id: Mapped[str]
    kind: Mapped[str]
    order_external_id: Mapped[str]
    line_external_id: Mapped[str | None]
    order_id: Mapped[UUID | None]
    shipment_id: Mapped[UUID | None]
    state: Mapped[str | None]
    status: Mapped[str]
    units: Mapped[int]
    reason: Mapped[str]
    comment: Mapped[str]
    awb: Mapped[str | None]
    carrier: Mapped[str | None]
    location: Mapped[str]
    service_id: Mapped[str]
    asked_at: Mapped[datetime | None]
    source_updated_at: Mapped[datetime | None]
    expected_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    decision: Mapped[str | None]
    decision_state: Mapped[str | None]
    decision_at: Mapped[datetime | None]
    """The day it is about: of the visit, of the new attempt."""
    decision_comment: Mapped[str] = mapped_column(default="")
    decision_because: Mapped[str] = mapped_column(default="")
    """Why the store refused."""
    decided_by: Mapped[str] = mapped_column(default="")
    decision_asked_at: Mapped[datetime | None]
    decision_sent_at: Mapped[datetime | None]
    """The store was asked, and may have heard; looked up before it is asked again."""
    decision_ended_at: Mapped[datetime | None]
