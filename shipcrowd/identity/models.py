"""Companies, people, who works where, open sessions and API keys.

Four of the tables belong to no company, because each must be read before the company is known. They hold no personal
data in clear: an e-mail is a keyed hash to find it by, and a sealed value to show it. Row security does not guard
them, so every query on them in this module names the company or the person it is about.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.identity.permissions import Role
from shipcrowd.kernel.db import Base, Dated, Owned
from shipcrowd.kernel.ids import new_id


class CompanyStatus(StrEnum):
    """How far a company's papers are."""

    registered = "registered"
    profile_complete = "profile_complete"
    kyc_submitted = "kyc_submitted"
    approved = "approved"
    suspended = "suspended"
    rejected = "rejected"


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value.value) for value in values)})", name=column)


class Company(Dated, Owned, Base):
    """A company's own row: its id is its `company_id`, so row security shows a company itself and no other."""

    __tablename__ = "companies"
    __table_args__ = (CheckConstraint("id = company_id", name="own_row"), _one_of("status", CompanyStatus))

    name: Mapped[str]
    legal_name: Mapped[str | None]
    gstin: Mapped[str | None]
    pan: Mapped[str | None]
    state: Mapped[str | None]
    """The Indian state or union territory of its registration, which decides CGST + SGST or IGST."""
    status: Mapped[str] = mapped_column(default=CompanyStatus.registered.value)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """One object a module: `{"risk": {…}, "billing": {…}}`. Each module reads and writes its own."""
    logo_key: Mapped[str | None]


class User(Dated, Base):
    """A person who signs in. Unowned: sign-in finds the person first, and one person may work for many companies."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email_hash"),
        {"info": {"unowned": "sign-in finds the person before any company; one person may work for many"}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    email_hash: Mapped[bytes]
    pii: Mapped[bytes]
    """Sealed JSON `{"email", "name"}` about `user:<id>`."""
    password_hash: Mapped[str]
    failed_logins: Mapped[int] = mapped_column(default=0)
    """Attempts since the last success. One is counted before its password is looked at, see `signin`."""
    locked_until: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class Membership(Dated, Base):
    """A person works for a company in a role. Unowned: signing in lists a person's companies before one is chosen.

    `company_id` is a bare id: a routing table stays on every node when companies are spread over several.
    """

    __tablename__ = "memberships"
    __table_args__ = (
        _one_of("role", Role),
        Index(None, "company_id", "created_at", "user_id"),
        {"info": {"unowned": "sign-in lists a person's companies before one is chosen"}},
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    role: Mapped[str]


class Session(Dated, Base):
    """A browser that is signed in. Unowned: the cookie is all a request brings, and it leads to the company."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index(None, "user_id"),
        {"info": {"unowned": "a cookie leads to the company it acts for"}},
    )

    id: Mapped[bytes] = mapped_column(primary_key=True)
    """SHA-256 of the random token in the cookie: whoever reads this table cannot sign in with it."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    company_id: Mapped[UUID]
    """The company presently acted for."""
    csrf: Mapped[str]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    agent: Mapped[str]
    """The class of the browser (`desktop`, `mobile`, `other`), never its full name."""


class ApiKey(Dated, Base):
    """A program's key to one company. Unowned: the key's hash is all a request brings, and it leads to the company."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("prefix"),
        UniqueConstraint("secret_hash"),
        Index(None, "company_id", "created_at", "id"),
        {"info": {"unowned": "a key leads to the company it belongs to"}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    company_id: Mapped[UUID]
    name: Mapped[str]
    """What the seller calls it, to tell the keys apart."""
    prefix: Mapped[str]
    """The part that may be shown again."""
    secret_hash: Mapped[bytes]
    scopes: Mapped[list[str]]
    created_by: Mapped[str]
    """The actor: `user:<id>` or `api_key:<id>`."""
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
