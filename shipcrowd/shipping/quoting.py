"""What shipping an order would cost, courier beside courier.

Load, call, record: the order and the accounts are read, the couriers are asked side by side without a transaction
open, and the priced options are stored as a quote a booking can name.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.connections.models import Status
from shipcrowd.couriers.contract import Parcel, Payment, ServiceOffer
from shipcrowd.identity import service as identity
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.errors import Conflict, Invalid, ShipcrowdError
from shipcrowd.kernel.outbound import Disconnected, OutsideFailure, Refused
from shipcrowd.locations.schemas import PlaceDetails
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order
from shipcrowd.orders.schemas import Fulfilment
from shipcrowd.pincodes.address import Address
from shipcrowd.pincodes.states import state_code
from shipcrowd.ratecards import service as ratecards
from shipcrowd.ratecards.quoting import Quote as Price
from shipcrowd.ratecards.schemas import PricedOffer
from shipcrowd.shipping import places, preferences
from shipcrowd.shipping.accounts import NO_ACCOUNT, Account, BilledBy, NoCourierAccount, accounts, using
from shipcrowd.shipping.models import Quote
from shipcrowd.shipping.preferences import Box

log = structlog.get_logger(__name__)

GOOD_FOR = timedelta(minutes=30)
ASK_SECONDS = 12.0


class NotMeasured(Invalid):
    """The parcel's weight and size are needed; we never guess them."""


class NoPickupPlace(Invalid):
    """Add a pickup address first."""


class NotServiceable(Invalid):
    """No courier of yours delivers to this pincode."""


class CouriersUnavailable(ShipcrowdError):
    """No courier answers just now; try again in a few minutes."""

    status = 503


class NoCourierToAsk(Conflict):
    """No courier account can be used just now."""


class NotBookable(Invalid):
    """The order cannot be shipped as it stands."""


@dataclass(frozen=True)
class Package:
    """Grams and millimetres; what is None is taken from the order."""

    weight_grams: int | None = None
    length_mm: int | None = None
    breadth_mm: int | None = None
    height_mm: int | None = None


class Option(BaseModel):
    """One way to ship the parcel. `price_paise` is what the wallet pays, tax included; None with `reason` when it
    cannot be booked. It is zero when the freight is `billed_by` the courier itself, for an account of the seller's own:
    `courier_cost_paise` is then what that courier says it will ask, before tax, where it says so.
    """

    model_config = ConfigDict(frozen=True)

    account_company_id: UUID
    account_id: UUID
    account_name: str
    billed_by: BilledBy
    courier: str
    courier_name: str
    service: str
    name: str
    carrier: str
    mode: str
    min_days: int | None
    max_days: int | None
    zone: str | None
    price_paise: int | None
    price: Price | None
    reason: str | None
    courier_cost_paise: int | None = None
    tags: tuple[str, ...] = ()

    @property
    def cost_paise(self) -> int | None:
        """What the parcel costs the seller, by whomever it is billed; None where nobody can say before booking."""
        return self.price_paise if self.billed_by is BilledBy.wallet else self.courier_cost_paise


@dataclass(frozen=True)
class Ask:
    """Everything the couriers must be told, read in one transaction."""

    order_id: UUID
    package: Package
    place: PlaceDetails
    parcel: Parcel


def measured(order: Order, package: Package, box: Box | None = None) -> Package:
    """The parcel's weight and size: as given, else the order's, else (size only) the seller's chosen box.

    Raises NotMeasured naming what is missing.
    """
    found = {
        name: getattr(package, name) or getattr(order, name) or getattr(box, name, None)
        for name in ("weight_grams", "length_mm", "breadth_mm", "height_mm")
    }
    missing = [name for name, value in found.items() if not value]
    if missing:
        raise NotMeasured(
            f"order {order.number} has no {', '.join(name.split('_')[0] for name in missing)}; enter it, for couriers "
            "charge by what they weigh and measure",
            field=missing[0],
        )
    return Package(**found)


def parcel_of(order: Order, package: Package, origin: Address) -> Parcel:
    return Parcel(
        from_pincode=origin.pincode,
        to_pincode=order.pincode,
        weight_grams=package.weight_grams or 0,
        length_mm=package.length_mm or 0,
        breadth_mm=package.breadth_mm or 0,
        height_mm=package.height_mm or 0,
        payment=Payment(order.payment),
        declared_value=order.total_paise,
        to_collect=order.to_collect_paise,
        from_city=origin.city,
        from_state=origin.state,
        to_city=order.city,
        to_state=order.province,
        sold_at=order.source,
        order_external_id=order.external_id,
    )


async def prepare(session: AsyncSession, order: Order, *, place_id: UUID | None, package: Package) -> Ask:
    """Raises NotBookable, NotMeasured, NoPickupPlace."""
    if problems := orders.why_not_bookable(order):
        raise NotBookable.naming(problems)
    place = await places.pickup(session, place_id)
    if place is None:
        raise NoPickupPlace("parcels are picked up somewhere: add a pickup address and make it the default")
    whole = measured(order, package, (await preferences.of(session)).box)
    return Ask(order.id, whole, place, parcel_of(order, whole, place.address))


async def ask_all(
    asked: Ask, usable: Sequence[Account]
) -> list[tuple[Account, Sequence[ServiceOffer] | OutsideFailure]]:
    """Ask every account at once; one that fails or is too slow does not keep the others back."""

    async def one(account: Account) -> tuple[Account, Sequence[ServiceOffer] | OutsideFailure]:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                async with using(account.vendor.slug, account.company_id, account.id) as courier:
                    return account, await courier.offers(asked.parcel)
        except NoCourierAccount:
            return account, OutsideFailure(f"{account.vendor.name} must be connected again")
        except TimeoutError:
            return account, OutsideFailure(f"{account.vendor.name} did not answer in time")
        except Refused as refusal:  # an answer like another, and with every quote the same
            log.info("courier gave no offers", courier=account.vendor.slug, error=refusal.code)
            return account, refusal
        except OutsideFailure as failure:
            log.warning("courier gave no offers", courier=account.vendor.slug, error=str(failure))
            return account, failure

    return list(await asyncio.gather(*(one(account) for account in usable)))


async def quote(
    company_id: UUID, order_id: UUID, *, place_id: UUID | None = None, package: Package | None = None
) -> Quote:
    """Quote an order with every courier account of the company; the stored quote.

    Raises NotBookable, NotMeasured, NoPickupPlace, NoCourierToAsk, NotServiceable, CouriersUnavailable,
    orders.OrderNotFound.
    """
    async with tenancy.acting_for(company_id) as session:
        order = await orders.got(session, order_id)
        asked = await prepare(session, order, place_id=place_id, package=package or Package())
        goes = (order.fulfilment, order.connection_id, order.source)
    every = [account for account in await accounts(company_id) if account.id != NO_ACCOUNT]
    known = [account for account in every if account.carries(*goes)]
    usable = [account for account in known if account.usable]
    if not usable:
        raise NoCourierToAsk(_why_none(known, order.fulfilment))
    answers = await ask_all(asked, usable)
    async with tenancy.acting_for(company_id) as session:
        options = [option for answer in answers for option in await _priced(session, company_id, asked, *answer)]
        if not any(option.price_paise is not None for option in options):
            failures = [answer for _, answer in answers if isinstance(answer, OutsideFailure)]
            if failures and all(isinstance(failure, Disconnected) for failure in failures):
                raise NoCourierToAsk(_why_none([account for account, _ in answers], order.fulfilment))
            if away := [failure for failure in failures if not isinstance(failure, Refused)]:
                raise CouriersUnavailable("; ".join(str(failure) for failure in away))
            lane = f"no courier takes this parcel from {asked.parcel.from_pincode} to {asked.parcel.to_pincode}"
            said = [failure.message for failure in failures if isinstance(failure, Refused)]
            raise NotServiceable("; ".join([lane, *said]), field="pincode")
        made = Quote(
            company_id=company_id,
            order_id=order_id,
            place_id=asked.place.id,
            weight_grams=asked.parcel.weight_grams,
            length_mm=asked.parcel.length_mm,
            breadth_mm=asked.parcel.breadth_mm,
            height_mm=asked.parcel.height_mm,
            options=[option.model_dump(mode="json") for option in tagged(options)],
            expires_at=clock.now() + GOOD_FOR,
        )
        session.add(made)
    return made


def _why_none(known: Sequence[Account], fulfilment: str) -> str:
    """What to do when no account can be asked. Pure."""
    if not known and fulfilment == Fulfilment.marketplace_logistics:
        return "the marketplace's own courier carries this order, and it cannot be asked from here"
    if not known:
        return "connect a courier account first"
    names = " or ".join(dict.fromkeys(account.vendor.name for account in known))
    paused = all(account.status == Status.paused for account in known)
    return f"resume {names}, or connect another account" if paused else f"sign in again at {names}"


async def _priced(
    session: AsyncSession,
    company_id: UUID,
    asked: Ask,
    account: Account,
    answer: Sequence[ServiceOffer] | OutsideFailure,
) -> list[Option]:
    if isinstance(answer, OutsideFailure):
        return []
    if account.billed_by is BilledBy.courier:
        return [_option(account, PricedOffer(offer)) for offer in answer]
    seller = await identity.company(session)
    priced = await ratecards.price(
        session,
        company_id=company_id,
        courier=account.vendor.slug,
        offers=answer,
        parcel=asked.parcel,
        on=clock.today(),
        place_of_supply=state_code(seller.state) if seller.state else None,
    )
    return [_option(account, offer) for offer in priced]


def _option(account: Account, priced: PricedOffer) -> Option:
    offer, free = priced.offer, account.billed_by is BilledBy.courier
    return Option(
        account_company_id=account.company_id,
        account_id=account.id,
        account_name=account.name,
        billed_by=account.billed_by,
        courier=account.vendor.slug,
        courier_name=account.vendor.name,
        service=offer.service,
        name=offer.name,
        carrier=offer.carrier,
        mode=offer.mode,
        min_days=offer.min_days,
        max_days=offer.max_days,
        zone=priced.quote.zone if priced.quote else offer.zone,
        price_paise=0 if free else (priced.price.paise if priced.price is not None else None),
        price=priced.quote,
        reason=priced.reason,
        # What a courier asks of the platform is the platform's affair; what it asks of the seller is the seller's.
        courier_cost_paise=offer.cost.paise if offer.cost is not None and account.own else None,
    )


def tagged(options: Sequence[Option]) -> list[Option]:
    """The seller's own accounts of unknown cost first, then cheapest first, unbookable last, with the cheapest and the
    fastest named. None is called the cheapest while the cost of one is unknown. Pure."""
    ranked = sorted(options, key=lambda o: (o.price_paise is None, o.cost_paise or 0, o.max_days or 99, o.name))
    bookable = [option for option in ranked if option.price_paise is not None]
    comparable = bool(bookable) and all(option.cost_paise is not None for option in bookable)
    fastest = min((o.max_days for o in bookable if o.max_days is not None), default=None)
    return [
        option.model_copy(
            update={
                "tags": tuple(
                    tag
                    for tag, has in (
                        ("cheapest", comparable and option is bookable[0]),
                        ("fastest", fastest is not None and option in bookable and option.max_days == fastest),
                    )
                    if has
                )
            }
        )
        for option in ranked
    ]


def options_of(made: Quote) -> list[Option]:
    return [Option.model_validate(option) for option in made.options]
