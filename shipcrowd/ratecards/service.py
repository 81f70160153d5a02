"""Rate cards: which one is in force, what an offer costs by it, and how cards come and go.

The platform's default cards are few, read by every quote and seldom changed: each process keeps them for a minute.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, event, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from shipcrowd.couriers.contract import Flow, Mode, Parcel, ServiceOffer
from shipcrowd.kernel import clock, pages
from shipcrowd.kernel.errors import Conflict, Invalid, NotFound
from shipcrowd.kernel.tenancy import PLATFORM_COMPANY, acting_for_platform
from shipcrowd.pincodes import service as pincodes
from shipcrowd.pincodes.schemas import Place
from shipcrowd.ratecards.models import ANY, CardStatus, RateCard
from shipcrowd.ratecards.quoting import Quote, quote
from shipcrowd.ratecards.schemas import Card, NewCard, PricedOffer
from shipcrowd.ratecards.terms import Terms
from shipcrowd.ratecards.zones import zone

DEFAULTS_KEPT = timedelta(seconds=60)
"""How long another process may still price by a default card that was changed."""

MOST_CARDS = 2_000
"""Cards read at once: far more than a company has in force, or the platform has ever had."""


class OverlappingCard(Conflict):
    """Another rate card already covers this service on some of these days."""


class CardsChanged(Conflict):
    """Another rate card for this service was made at the same moment; try again."""


class NoSuchCard(NotFound):
    """There is no such rate card."""


class CardEnded(Conflict):
    """This rate card has ended already, or ends before that day."""


class EndsInThePast(Invalid):
    """A rate card ends today or later: what was priced by it stays as it is."""


# ---- prices


async def price(
    session: AsyncSession,
    *,
    company_id: UUID,
    courier: str,
    offers: Sequence[ServiceOffer],
    parcel: Parcel,
    on: date,
    place_of_supply: str | None = None,
) -> list[PricedOffer]:
    """What each offer of a courier costs the company, in the offers' order. Two queries.

    `place_of_supply` is the company's state of registration (two letters); without one it is the state where the
    parcel is handed over. An offer that no card covers comes back without a price. Raises NotMeasured.
    """
    places = await pincodes.places(session, (parcel.from_pincode, parcel.to_pincode))
    origin, destination = places.get(parcel.from_pincode), places.get(parcel.to_pincode)
    own = await in_force(session, company_id=company_id, courier=courier, flow=parcel.flow, on=on)
    shared = [
        card for card in await defaults() if card.courier == courier and card.flow is parcel.flow and card.in_force(on)
    ]
    priced: list[PricedOffer] = []
    for offer in offers:
        card = best(own, offer.service, offer.mode) or best(shared, offer.service, offer.mode)
        if card is None:
            priced.append(PricedOffer(offer, reason="no_rate_card"))
            continue
        priced.append(
            PricedOffer(
                offer,
                quote=quote_between(card.terms, parcel, origin, destination, place_of_supply=place_of_supply),
                card_id=card.id,
                card_version=card.version,
                default=card.company_id == PLATFORM_COMPANY,
            )
        )
    return priced


def quote_between(
    terms: Terms, parcel: Parcel, origin: Place | None, destination: Place | None, *, place_of_supply: str | None
) -> Quote:
    """The price of a parcel between two places. Pure. See `price` for `place_of_supply`."""
    return quote(
        terms,
        parcel,
        zone(
            origin,
            destination,
            b_before_e=terms.b_before_e,
            kl_hp_in_e=terms.kl_hp_in_e,
            metros=terms.metros,
        ),
        place_of_supply=place_of_supply or (origin.state if origin else None),
    )


def best(cards: Collection[Card], service: str, mode: Mode) -> Card | None:
    """Of one owner's cards in force, the one for a service: the exact service goes before `*`, then the exact mode.

    No two can tie: the database allows one card a day for each combination.
    """
    fitting = [card for card in cards if card.service in {service, ANY} and card.mode in {mode, ANY}]
    return max(fitting, key=lambda card: (card.service != ANY, card.mode != ANY), default=None)


async def in_force(session: AsyncSession, *, company_id: UUID, courier: str, flow: Flow, on: date) -> list[Card]:
    """A company's own cards for a courier on a day. One query."""
    rows = await session.scalars(
        select(RateCard)
        .where(
            RateCard.company_id == company_id,
            RateCard.courier == courier,
            RateCard.flow == flow.value,
            RateCard.effective_from <= on,
            or_(RateCard.effective_to.is_(None), RateCard.effective_to > on),
        )
        .limit(MOST_CARDS)
    )
    return [Card.model_validate(row) for row in rows]


# ---- the platform's default cards


@dataclass
class _Kept:
    cards: tuple[Card, ...]
    read_at: datetime


class _Defaults:
    """The process's copy. A stale one is still used while another task reads it anew: a quote holds a connection
    already, and many of them waiting for a second one at the same moment could wait for each other."""

    kept: ClassVar[_Kept | None] = None
    reading: ClassVar[bool] = False


async def defaults() -> tuple[Card, ...]:
    """The platform's cards of all couriers and days. Read at most once in `DEFAULTS_KEPT`, outside the caller's
    transaction. Call it when the process starts, so that no quote is the first to."""
    kept = _Defaults.kept
    if kept is not None and (_Defaults.reading or abs(clock.now() - kept.read_at) < DEFAULTS_KEPT):
        return kept.cards
    _Defaults.reading = True
    try:
        async with acting_for_platform(why="default rate card") as session:
            rows = await session.scalars(
                select(RateCard)
                .where(RateCard.company_id == PLATFORM_COMPANY)
                .order_by(RateCard.effective_from.desc(), RateCard.id.desc())
                .limit(MOST_CARDS)
            )
            cards = tuple(Card.model_validate(row) for row in rows)
        _Defaults.kept = _Kept(cards, clock.now())
        return cards
    finally:
        _Defaults.reading = False


def forget_defaults() -> None:
    """Read the platform's cards anew at the next quote of this process."""
    if _Defaults.kept is not None:
        _Defaults.kept = _Kept(_Defaults.kept.cards, datetime.min.replace(tzinfo=UTC))


def _forget_when_committed(session: AsyncSession, company_id: UUID) -> None:
    def committed(_: Session) -> None:  # a savepoint's release calls it too, which does no harm
        forget_defaults()

    if company_id == PLATFORM_COMPANY:
        event.listen(session.sync_session, "after_commit", committed)


# ---- the cards themselves

_UNIQUE, _EXCLUSION = "23505", "23P01"  # PostgreSQL's error codes for the two constraints


async def create_card(session: AsyncSession, *, company_id: UUID, card: NewCard) -> Card:
    """Add a card to a company's. Raises OverlappingCard when another covers the same courier, service, mode and flow
    on any of its days (retire that one first), CardsChanged when two were made at the same moment."""
    same = _same_combination(company_id, card)
    latest = await session.scalar(select(func.max(RateCard.version)).where(*same))
    row = RateCard(
        company_id=company_id,
        **card.model_dump(include=set(NewCard.model_fields) - {"terms"}),
        terms=card.terms.model_dump(mode="json"),
        version=(latest or 0) + 1,
        status=CardStatus.active.value,
        currency="INR",
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        code = getattr(error.orig, "sqlstate", None)
        if code == _UNIQUE:
            raise CardsChanged from error
        if code != _EXCLUSION:
            raise
        raise OverlappingCard(await _overlapped(session, company_id, card), field="effective_from") from error
    _forget_when_committed(session, company_id)
    return Card.model_validate(row)


async def retire_card(session: AsyncSession, *, company_id: UUID, card_id: UUID, on: date) -> Card:
    """End a card: `on` is the first day it is no longer in force. A card that has not begun never will.

    Raises NoSuchCard, EndsInThePast, or CardEnded when it ends before that day anyway.
    """
    if on < clock.today():
        raise EndsInThePast(field="on")
    row = await session.scalar(
        select(RateCard).where(RateCard.company_id == company_id, RateCard.id == card_id).with_for_update()
    )
    if row is None:
        raise NoSuchCard()
    if row.effective_to is not None and row.effective_to <= max(on, row.effective_from):
        raise CardEnded(f"it ends on {row.effective_to.isoformat()}")
    row.effective_to = max(on, row.effective_from)
    row.status = CardStatus.retired.value
    await session.flush()
    _forget_when_committed(session, company_id)
    return Card.model_validate(row)


async def cards(
    session: AsyncSession,
    *,
    company_id: UUID,
    courier: str | None = None,
    on: date | None = None,
    after: str | None = None,
    limit: int = 50,
) -> tuple[list[Card], str | None]:
    """A company's own cards, newest first, and the cursor of the next page. `on` keeps those in force on a day."""
    query = select(RateCard).where(RateCard.company_id == company_id)
    if courier is not None:
        query = query.where(RateCard.courier == courier)
    if on is not None:
        query = query.where(
            RateCard.effective_from <= on, or_(RateCard.effective_to.is_(None), RateCard.effective_to > on)
        )
    if after is not None:
        query = query.where(pages.older_than(RateCard.created_at, RateCard.id, after))
    rows = await session.scalars(query.order_by(RateCard.created_at.desc(), RateCard.id.desc()).limit(limit + 1))
    kept, following = pages.page(rows.all(), limit, lambda row: (row.created_at, row.id))
    return [Card.model_validate(row) for row in kept], following


def _same_combination(company_id: UUID, card: NewCard) -> tuple[ColumnElement[bool], ...]:
    return (
        RateCard.company_id == company_id,
        RateCard.courier == card.courier,
        RateCard.service == card.service,
        RateCard.mode == card.mode,
        RateCard.flow == card.flow.value,
    )


async def _overlapped(session: AsyncSession, company_id: UUID, card: NewCard) -> str:
    """Which card is in the way, in words."""
    other = await session.scalar(
        select(RateCard)
        .where(
            *_same_combination(company_id, card),
            func.daterange(RateCard.effective_from, RateCard.effective_to, "[)").op("&&")(
                func.daterange(card.effective_from, card.effective_to, "[)")
            ),
        )
        .limit(1)
    )
    if other is None:
        return "it was just changed; look at the cards again"
    end = f"to before {other.effective_to.isoformat()}" if other.effective_to else "without an end"
    return f"“{other.name}” (version {other.version}) is in force from {other.effective_from.isoformat()} {end}"
