"""How far each store has been read, what could not be read, what was done, and what stores were told of parcels."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel.db import Base, Owned, owned_key


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

    `what`: orders | order | subscribe | unsubscribe | test | data_request."""

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
        CheckConstraint(
            f"state IN ({', '.join(repr(state.value) for state in AnnouncementState)})",
            name="state",
        ),
        Index("ix_announcements_store", "company_id", "connection_id", "state", "created_at", "id"),
    )

    shipment_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    order_ref: Mapped[str]
    dispatch_ref: Mapped[str | None]
    state: Mapped[str] = mapped_column(default=AnnouncementState.pending.value)
    last_milestone: Mapped[str | None]
    last_milestone_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(default="")
    busy_until: Mapped[datetime | None]
    """The lease of whoever talks to the store about this parcel just now."""
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
