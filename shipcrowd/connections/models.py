"""An account at an outside vendor, the table that leads from a vendor's account to it, and sign-ins under way."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel.db import Base, Dated, Owned


class Kind(StrEnum):
    channel = "channel"
    courier = "courier"


class Status(StrEnum):
    """`disconnected` with `closed_at`: the seller cut it; without: the vendor no longer takes our credentials."""

    connected = "connected"
    paused = "paused"
    disconnected = "disconnected"
    left = "left"  # removed at the vendor's side


MOVES: Mapping[Status, frozenset[Status]] = {
    Status.connected: frozenset({Status.paused, Status.disconnected, Status.left}),
    Status.paused: frozenset({Status.connected, Status.disconnected, Status.left}),
    Status.disconnected: frozenset({Status.connected, Status.left}),
    Status.left: frozenset({Status.connected, Status.disconnected}),
}
"""The legal moves. Connecting again is legal from everywhere; only a paused account is resumed."""


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value.value) for value in values)})", name=column)


class Connection(Dated, Owned, Base):
    """One account. `credentials` are sealed for this very row; `credentials_version` counts their changes."""

    __tablename__ = "connections"
    __table_args__ = (
        UniqueConstraint("company_id", "vendor", "external_id"),
        CheckConstraint("credentials_version >= 0", name="credentials_version"),
        _one_of("kind", Kind),
        _one_of("status", Status),
    )

    vendor: Mapped[str]
    kind: Mapped[str]
    external_id: Mapped[str]
    """What no two accounts of the vendor share: a shop's domain, a seller id."""
    name: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    """Why it stands as it does, in words for the seller."""
    credentials: Mapped[bytes | None]
    """Sealed JSON. None once a closed account's were forgotten."""
    credentials_version: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[datetime | None]
    renewing_until: Mapped[datetime | None]
    """The lease of whoever renews the credentials just now."""
    connected_at: Mapped[datetime]
    """The last (re)connect: what is older than this says nothing about the account as it stands."""
    closed_at: Mapped[datetime | None]
    last_ok_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(default="")
    last_error_at: Mapped[datetime | None]
    consecutive_errors: Mapped[int] = mapped_column(default=0)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What the module that uses the account keeps about it; that module knows the shape."""


class ConnectionRoute(Base):
    """From a vendor's account to the company that connected it. Only exclusive accounts have one.

    `released_at`: the account was closed. The route stands a while longer, for a vendor's last messages (a buyer's
    data must go), and another company may take the account over.
    """

    __tablename__ = "connection_routes"
    __table_args__ = (
        Index(None, "connection_id", unique=True),
        {"info": {"unowned": "a webhook leads from the vendor's account to the company that connected it"}},
    )

    vendor: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    released_at: Mapped[datetime | None]


class SignInState(Owned, Base):
    """A sign-in by redirect that was started and has not come back. Used once."""

    __tablename__ = "sign_in_states"
    __table_args__ = (UniqueConstraint("company_id", "state_hash"),)

    state_hash: Mapped[bytes]
    """SHA-256 of the nonce: whoever reads this table cannot finish a sign-in with it."""
    vendor: Mapped[str]
    external_id: Mapped[str]
    actor: Mapped[str]
    """Who started it; nobody else may finish it."""
    expires_at: Mapped[datetime]
