"""A company's own courier accounts: connected, changed, paused, cut, and how they fare.

Credentials are tried at the courier before anything is kept: load, call, record. What a courier refuses leaves no
trace. Parcels stay with the account they were booked with until they have ended.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, SecretStr
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.connections import forms
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Kind, Status
from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import ABILITIES, CourierAccount, CourierVendor, TestsConnection
from shipcrowd.kernel import audit, outbound, pace, tenancy
from shipcrowd.kernel.errors import Conflict, Invalid, NotFound, TooMany
from shipcrowd.kernel.jobs import enqueue_many
from shipcrowd.kernel.outbound import Disconnected, Refused
from shipcrowd.locations import service as locations
from shipcrowd.settings import settings
from shipcrowd.shipping import jobs, webhooks
from shipcrowd.shipping.accounts import using
from shipcrowd.shipping.models import ENDED, Shipment

WEBHOOK_SECRET = "webhook_secret"  # noqa: S105 - the name of a field
"""What a credentials model calls the secret its courier signs webhooks with."""

TRIES, TRIES_PER = 10, timedelta(hours=1)
"""Sign-ins a company may try: couriers count them too, and lock accounts."""

PLACES_TOLD = 200

Level = Literal["ok", "attention", "broken"]


class NoSuchAccount(NotFound):
    """There is no such courier account."""


class CannotConnect(Invalid):
    """The courier did not accept this account."""


class NothingToConnect(Invalid):
    """This courier needs no account of its own."""


class OtherLogin(Invalid):
    """This is another account at the courier; connect it beside this one."""


class TooManyTries(TooMany):
    """Too many sign-ins were tried at this courier; wait a little."""


class ParcelsUnderWay(Conflict):
    """Parcels booked with this account are still under way."""


class NoWebhooks(Invalid):
    """This courier sends no webhooks."""


@dataclass(frozen=True)
class Connected:
    """An account's id, and the webhook secret where we made one: it can be shown this one time."""

    id: UUID
    webhook_secret: str | None


@dataclass(frozen=True)
class Standing:
    """An account and how it fares. `level`: ok | attention | broken; `words` say why and what to do."""

    connection: Connection
    under_way: int
    level: Level
    words: str
    has_webhook_secret: bool

    @property
    def masked_login(self) -> str:
        return f"…{self.connection.external_id[-4:]}"


# --- reading --------------------------------------------------------------------------------------------------------


def abilities(vendor: CourierVendor) -> list[str]:
    """What a courier can do besides the minimum: what is declared is what is done."""
    blank = CourierAccount(f"{vendor.slug}:none", vendor.credentials.model_construct(), outbound.http(vendor.slug))
    handle = vendor.open(blank)
    found = [name for name, ability in ABILITIES if isinstance(handle, ability)]
    return found + (["sends_webhooks"] if vendor.webhooks is not None else [])


async def standings(session: AsyncSession) -> Sequence[Standing]:
    """The acting company's own accounts that were not closed, oldest first: two queries."""
    known = {vendor.slug for vendor in vendors.vendors()}
    rows = [row for row in await connections.list_connections(session, kind=Kind.courier) if row.vendor in known]
    counts = await _under_way(session, [row.id for row in rows])
    return [_standing(row, counts.get(row.id, 0)) for row in rows]


async def standing(session: AsyncSession, account_id: UUID, *, courier: str) -> Standing:
    """One account. Raises UnknownCourier, NoSuchAccount."""
    row = await _got(session, account_id, courier)
    return _standing(row, (await _under_way(session, [row.id])).get(row.id, 0))


async def own(session: AsyncSession, account_id: UUID) -> Standing:
    """One account of the acting company, whichever courier's it is. Raises NoSuchAccount."""
    row = await session.scalar(select(Connection).where(Connection.id == account_id, Connection.kind == Kind.courier))
    if row is None or row.vendor not in {vendor.slug for vendor in vendors.vendors()}:
        raise NoSuchAccount
    return await standing(session, account_id, courier=row.vendor)


def _standing(row: Connection, under_way: int) -> Standing:
    has_secret = False
    if row.credentials is not None:
        held = connections.credentials(row, vendors.vendor(row.vendor).credentials)
        has_secret = getattr(held, WEBHOOK_SECRET, None) is not None
    return Standing(row, under_way, *verdict(row, under_way), has_secret)


def verdict(row: Connection, under_way: int) -> tuple[Level, str]:
    """How an account fares, in a word and in words. Pure."""
    parcels = f"{under_way} parcel{'' if under_way == 1 else 's'} under way"
    match Status(row.status):
        case Status.connected:
            return "ok", "Connected. New parcels are booked with it, and the courier bills you for them."
        case Status.paused:
            followed = f" Its {parcels} {'is' if under_way == 1 else 'are'} still followed." if under_way else ""
            return "attention", f"Paused: no new parcel is booked with it.{followed}"
        case Status.disconnected if row.closed_at is None:
            unseen = f" Until then we cannot see its {parcels}." if under_way else ""
            return "broken", f"Sign in again: {row.reason or 'the courier no longer takes the credentials'}.{unseen}"
        case _:
            return "broken", "Disconnected. Connect it again to use it."


def webhook_url(row: Connection) -> str | None:
    """Where the courier is to send its news of this account; None for one that sends none."""
    if vendors.vendor(row.vendor).webhooks is None:
        return None
    own = "" if row.company_id == tenancy.PLATFORM_COMPANY else f"/{row.id}"
    return f"{settings().public_url.rstrip('/')}/api/v1/webhooks/{row.vendor}{own}"


async def _under_way(session: AsyncSession, account_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    query = (
        select(Shipment.account_id, func.count())
        .where(Shipment.account_id.in_(account_ids), Shipment.state.not_in(ENDED))
        .group_by(Shipment.account_id)
    )
    return {row[0]: row[1] for row in await session.execute(query)}


async def _got(session: AsyncSession, account_id: UUID, courier: str) -> Connection:
    slug = vendors.vendor(courier).slug
    query = select(Connection).where(
        Connection.id == account_id, Connection.vendor == slug, Connection.kind == Kind.courier
    )
    row = (await session.execute(query)).scalar_one_or_none()
    if row is None:
        raise NoSuchAccount
    return row


# --- connecting -----------------------------------------------------------------------------------------------------


async def connect(
    company_id: UUID, *, courier: str, given: Mapping[str, str | None], name: str = "", actor: str
) -> Connected:
    """Connect an account with what was typed into its form, once the courier has accepted it.

    The same login again is the same account, revived. Where the courier sends webhooks and no secret was typed, one
    is made. Raises UnknownCourier, NothingToConnect, Invalid (the fields at fault), CannotConnect (nothing is kept),
    TooManyTries, and the outside failures Unavailable and Malformed.
    """
    vendor = vendors.vendor(courier)
    if vendor.channel is not None:
        raise NothingToConnect(f"{vendor.name} comes with its store; connect that")
    if not vendor.credentials.model_fields:
        raise NothingToConnect(f"{vendor.name} is there for everyone")
    typed = forms.read(vendor.credentials, given)
    made = secrets.token_urlsafe(32) if _wants_secret(vendor, typed) else None
    if made is not None:
        typed = forms.read(vendor.credentials, {WEBHOOK_SECRET: made}, kept=typed)
    accepted = await _accepted(company_id, vendor, typed)
    login = _login(vendor, accepted)
    async with tenancy.acting_for(company_id) as session:
        known = await connections.find(session, vendor=vendor.slug, external_id=login)
        row = await connections.connect(
            session,
            vendor=vendor.slug,
            kind=Kind.courier,
            external_id=login,
            name=name.strip() or (known.name if known is not None else vendor.name),
            credentials=accepted,
        )
        await _audit(session, actor, "courier.connected" if known is None else "courier.reconnected", row)
        await _tell_places(session, company_id)
    webhooks.forget_secrets()
    return Connected(row.id, made)


async def change(
    company_id: UUID,
    account_id: UUID,
    *,
    courier: str,
    given: Mapping[str, str | None],
    name: str | None = None,
    actor: str,
) -> None:
    """Change an account's credentials, once the courier has accepted them, or its name. What is left out stays.

    An account that had to be signed in to again is connected afterwards; a paused one stays paused. Raises
    NoSuchAccount, OtherLogin, and what `connect` raises; nothing is changed then.
    """
    vendor = vendors.vendor(courier)
    async with tenancy.acting_for(company_id) as session:
        row = await _got(session, account_id, courier)
        _not_closed(row)
        held = connections.credentials(row, vendor.credentials)
    accepted: BaseModel | None = None
    if given:
        typed = forms.read(vendor.credentials, given, kept=held)
        if _login(vendor, typed) != row.external_id:
            raise OtherLogin("its parcels can be followed with the login they were booked with", field="credentials")
        accepted = await _accepted(company_id, vendor, typed)
    async with tenancy.acting_for(company_id) as session:
        row = await _got(session, account_id, courier)
        _not_closed(row)
        if accepted is not None:
            was_paused = row.status == Status.paused
            row = await connections.connect(
                session,
                vendor=vendor.slug,
                kind=Kind.courier,
                external_id=row.external_id,
                name=row.name,
                credentials=accepted,
            )
            if was_paused:
                await connections.pause(session, account_id, reason="Paused by the seller")
            await _audit(session, actor, "courier.credentials_changed", row, fields=sorted(given))
        if name is not None and name.strip() and name.strip() != row.name:
            row.name = name.strip()
            await _audit(session, actor, "courier.renamed", row)
    webhooks.forget_secrets()


async def new_webhook_secret(session: AsyncSession, account_id: UUID, *, courier: str, actor: str) -> str:
    """Make a new secret for the courier to sign with, in place of the old one at once; shown this one time.

    Raises NoSuchAccount, NoWebhooks, Disconnected (the account was closed).
    """
    vendor = vendors.vendor(courier)
    await _got(session, account_id, courier)
    row = await connections.locked(session, account_id)
    if vendor.webhooks is None or WEBHOOK_SECRET not in vendor.credentials.model_fields:
        raise NoWebhooks(f"{vendor.name} sends none")
    _not_closed(row)
    made = secrets.token_urlsafe(32)
    held = connections.credentials(row, vendor.credentials)
    # The token that is no field of the form stays as well: nothing is tried here.
    connections.keep(row, held.model_copy(update={WEBHOOK_SECRET: SecretStr(made)}))
    await _audit(session, actor, "courier.webhook_secret_made", row)
    webhooks.forget_secrets()
    return made


async def test(company_id: UUID, account_id: UUID, *, courier: str) -> None:
    """Sign in at the courier now, and note how that went. Raises NoSuchAccount, NoCourierAccount (it must be signed
    in to again), TooManyTries and the outside failures."""
    async with tenancy.acting_for(company_id) as session:
        row = await _got(session, account_id, courier)
    await _not_too_often(company_id, row.vendor)
    async with using(row.vendor, company_id, account_id) as handle:
        if isinstance(handle, TestsConnection):
            await handle.check()
    async with tenancy.acting_for(company_id) as session:
        await connections.worked(session, account_id)


async def pause(session: AsyncSession, account_id: UUID, *, courier: str, actor: str) -> None:
    """Book no new parcel with the account; those under way are followed to their end, and can be cancelled.

    Raises NoSuchAccount, WrongConnectionState.
    """
    await _got(session, account_id, courier)
    await _audit(session, actor, "courier.paused", await connections.pause(session, account_id))


async def resume(session: AsyncSession, account_id: UUID, *, courier: str, actor: str) -> None:
    """Use a paused account again. Raises NoSuchAccount, WrongConnectionState (it must be signed in to again)."""
    await _got(session, account_id, courier)
    await _audit(session, actor, "courier.resumed", await connections.resume(session, account_id))


async def disconnect(company_id: UUID, account_id: UUID, *, courier: str, anyway: bool = False, actor: str) -> None:
    """Cut the account: nothing is booked, followed or cancelled with it any more. What was shipped stays.

    Refused while parcels are under way, unless `anyway`: then nobody follows them from here on. Raises NoSuchAccount,
    ParcelsUnderWay.
    """
    under_way = await _not_arrived(company_id, account_id)
    async with tenancy.acting_for(company_id) as session:
        await _got(session, account_id, courier)
        if under_way and not anyway:
            raise ParcelsUnderWay(
                f"{under_way} booked with it {'has' if under_way == 1 else 'have'} not arrived; pause the account "
                "instead, and disconnect it when they have, or say that nobody need follow them",
                under_way=under_way,
            )
        row = await connections.disconnect(session, account_id)
        await _audit(session, actor, "courier.disconnected", row, under_way=under_way)
    webhooks.forget_secrets()


# --- inside ---------------------------------------------------------------------------------------------------------


async def _not_arrived(company_id: UUID, account_id: UUID) -> int:
    """Parcels of the account that have not ended. The platform's account carries those of all companies."""
    if company_id == tenancy.PLATFORM_COMPANY:
        async with tenancy.acting_for_platform(why="parcels of the shared courier account") as session:
            return (await _under_way(session, [account_id])).get(account_id, 0)
    async with tenancy.acting_for(company_id) as session:
        return (await _under_way(session, [account_id])).get(account_id, 0)


async def _accepted(company_id: UUID, vendor: CourierVendor, typed: BaseModel) -> BaseModel:
    """The credentials, and what the courier gave us on the way (a session token), once it let us in with them."""
    await _not_too_often(company_id, vendor.slug)
    accepted = typed

    async def remember(changed: BaseModel) -> None:
        nonlocal accepted
        accepted = changed

    handle = vendor.open(CourierAccount(f"{vendor.slug}:trial", typed, outbound.http(vendor.slug), remember))
    if isinstance(handle, TestsConnection):
        try:
            await handle.check()
        except Disconnected as failure:
            raise CannotConnect(failure.reason, field="credentials", reason="disconnected") from failure
        except Refused as refusal:
            raise CannotConnect(refusal.message, field="credentials", reason=refusal.code) from refusal
    return accepted


async def _not_too_often(company_id: UUID, slug: str) -> None:
    bucket = {"capacity": TRIES, "refill_per_second": TRIES / TRIES_PER.total_seconds()}
    key = f"{slug}:sign-in:{company_id}"
    async with tenancy.unowned() as session:
        wait = await pace.peek(session, key, **bucket)
        if wait:
            raise TooManyTries(f"try again in {max(round(wait.total_seconds() / 60), 1)} minutes")
        await pace.take(session, key, **bucket)


def _wants_secret(vendor: CourierVendor, typed: BaseModel) -> bool:
    return (
        vendor.webhooks is not None
        and WEBHOOK_SECRET in vendor.credentials.model_fields
        and getattr(typed, WEBHOOK_SECRET) is None
    )


def _login(vendor: CourierVendor, credentials: BaseModel) -> str:
    return vendor.login(credentials) if vendor.login is not None else vendor.slug


def _not_closed(row: Connection) -> None:
    if row.closed_at is not None:
        raise connections.WrongConnectionState("The account was disconnected; connect it again.")


async def _tell_places(session: AsyncSession, company_id: UUID) -> None:
    """A new account has to know where parcels are picked up; what it does not accept is shown at the place."""
    active, _ = await locations.places(session, active=True, limit=PLACES_TOLD)
    payloads = [{"company_id": company_id, "place_id": place.id} for place in active]
    await enqueue_many(session, jobs.register_place, payloads)


async def _audit(session: AsyncSession, actor: str, action: str, row: Connection, **details: Any) -> None:
    await audit.record(
        session,
        actor=actor,
        action=action,
        subject=f"connection:{row.id}",
        details={"courier": row.vendor} | details,
    )
