"""The rate cards. A company without one of its own pays by the platform's (`tenancy.PLATFORM_COMPANY`)."""

from datetime import date
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import CheckConstraint, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.couriers.contract import Flow, Mode
from shipcrowd.kernel.db import Base, Dated, Owned

ANY: Literal["*"] = "*"
"""In `service` and `mode`: whichever. An exact word goes before it."""


class CardStatus(StrEnum):
    """A retired card stays in force until its end, and goes on pricing what was booked before."""

    active = "active"
    retired = "retired"


def _one_of(column: str, values: type[StrEnum], *more: str) -> CheckConstraint:
    allowed = [value.value for value in values] + list(more)
    return CheckConstraint(f"{column} IN ({', '.join(map(repr, allowed))})", name=column)


class RateCard(Dated, Owned, Base):
    """One price list of a company for a courier's services, in force from `effective_from` to before `effective_to`.

    On any one day at most one card covers the same courier, service, mode and flow: the database refuses a second.
    `version` counts the cards of that combination.
    """

    __tablename__ = "rate_cards"
    __table_args__ = (
        UniqueConstraint("company_id", "courier", "service", "mode", "flow", "version"),
        # Needs the extension btree_gist, for `=` beside `&&` in one index. A card ended on its first day has an empty
        # range, which overlaps nothing.
        ExcludeConstraint(
            ("company_id", "="),
            ("courier", "="),
            ("service", "="),
            ("mode", "="),
            ("flow", "="),
            (text("daterange(effective_from, effective_to, '[)')"), "&&"),
            name="ex_rate_cards_one_a_day",
            using="gist",
        ),
        CheckConstraint("effective_to >= effective_from", name="range"),
        CheckConstraint("currency = 'INR'", name="currency"),
        _one_of("flow", Flow),
        _one_of("mode", Mode, ANY),
        _one_of("status", CardStatus),
    )

    name: Mapped[str]
    courier: Mapped[str]
    """The vendor's slug."""
    service: Mapped[str]
    """The courier's service id as its offers name it, or `*`."""
    mode: Mapped[str]
    flow: Mapped[str]
    version: Mapped[int]
    effective_from: Mapped[date]
    effective_to: Mapped[date | None]
    """The first day the card is no longer in force; None while no end is set."""
    status: Mapped[str] = mapped_column(default=CardStatus.active.value)
    currency: Mapped[str] = mapped_column(default="INR")
    terms: Mapped[dict[str, Any]]
    """See `terms.Terms`."""
