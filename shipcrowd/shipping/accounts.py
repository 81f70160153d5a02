"""Which courier accounts a company may book with, and how one is opened.

An account is a connection of kind courier: the company's own, or the platform's shared one. A marketplace's own courier
has none beside the store it belongs to, and one that needs no credentials (manual) is there for everyone.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select

from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Kind, Status
from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import Courier, CourierAccount, CourierVendor
from shipcrowd.kernel import outbound, pace, tenancy
from shipcrowd.kernel.errors import NotFound
from shipcrowd.kernel.outbound import Disconnected
from shipcrowd.orders.schemas import Fulfilment

NO_ACCOUNT = UUID(int=0)
"""The account of couriers that have none: the seller types the AWB."""


class NoCourierAccount(NotFound):
    """There is no such courier account, or it must be connected again."""


class BilledBy(StrEnum):
    """Who asks the seller for the freight: we, from the wallet, or the courier itself, for an account of the
    seller's own (and for manual and marketplace couriers)."""

    wallet = "wallet"
    courier = "courier"


@dataclass(frozen=True)
class Account:
    """A courier account a company may use. `company_id` is its owner: the company itself (`own`) or the platform."""

    vendor: CourierVendor
    company_id: UUID
    id: UUID
    name: str
    status: str
    reason: str
    own: bool

    @property
    def usable(self) -> bool:
        return self.status == Status.connected

    @property
    def billed_by(self) -> BilledBy:
        return BilledBy.wallet if self.vendor.carries_charge and not self.own else BilledBy.courier

    def carries(self, fulfilment: str, connection_id: UUID | None, source: str) -> bool:
        """Whether orders that go this way, from this store (of the channel `source`), are for this account.

        A marketplace's own courier and its store's orders belong to each other. A courier that has stores for accounts
        and carries other orders too carries those of its channel for the store that sold them.
        """
        if fulfilment == Fulfilment.marketplace_logistics:
            return self.vendor.marketplace and self.id == connection_id
        if self.vendor.marketplace:
            return False
        return self.vendor.channel != source or self.id == connection_id


async def accounts(company_id: UUID) -> list[Account]:
    """Own accounts first, then the platform's for couriers the company has none of, then those without accounts.

    An own account that must be signed in to again still keeps the platform's away: nobody starts paying from the
    wallet because a password changed. One that was paused on purpose does not.

    Not for use inside a transaction: it opens its own, one after the other. Ten requests that each held a connection
    while they waited for a second one would wait for each other.
    """
    own = [account for row in await open_rows(company_id) for account in _accounts_at(row, own=True)]
    having = {account.vendor.slug for account in own if account.status != Status.paused}
    found = list(own)
    if company_id != tenancy.PLATFORM_COMPANY:
        rows = await open_rows(tenancy.PLATFORM_COMPANY)
        shared = [account for row in rows for account in _accounts_at(row, own=False)]
        found += [each for each in shared if each.vendor.shared and each.vendor.slug not in having]
    found += [
        Account(vendor, company_id, NO_ACCOUNT, vendor.name, Status.connected, "", own=True)
        for vendor in vendors.vendors()
        if not vendor.credentials.model_fields
    ]
    return found


async def open_rows(company_id: UUID) -> Sequence[Connection]:
    """A company's courier accounts that were not closed, oldest first: connected, paused, or to be signed in to again.
    A store is an account of every courier of its marketplace. In a transaction of its own."""
    async with tenancy.acting_for(company_id) as session:
        found = await connections.list_connections(session)
    return [row for row in found if _couriers_of(row)]


def _couriers_of(row: Connection) -> list[CourierVendor]:
    if row.kind == Kind.channel:
        return [vendor for vendor in vendors.vendors() if vendor.channel == row.vendor]
    return [vendor for vendor in vendors.vendors() if vendor.channel is None and vendor.slug == row.vendor]


def _accounts_at(row: Connection, *, own: bool) -> list[Account]:
    return [
        Account(vendor, row.company_id, row.id, row.name, row.status, row.reason, own) for vendor in _couriers_of(row)
    ]


@contextlib.asynccontextmanager
async def using(courier: str, company_id: UUID, account_id: UUID) -> AsyncGenerator[Courier]:
    """Open an account for calls. `company_id` owns it; no transaction stays open.

    When the courier says meanwhile that it no longer takes the credentials, the account is marked: it must be signed
    in to again. Raises NoCourierAccount.
    """
    vendor = vendors.vendor(courier)
    if account_id == NO_ACCOUNT:
        yield vendor.open(CourierAccount(f"{courier}:none", vendor.credentials(), outbound.http(courier)))
        return
    async with tenancy.acting_for(company_id) as session:
        row = await session.scalar(select(Connection).where(Connection.id == account_id))
    of_stores = vendor.channel is not None
    if row is None or row.vendor != (vendor.channel or courier) or row.status in (Status.disconnected, Status.left):
        raise NoCourierAccount(f"connect {vendor.name} again", field="account_id")
    handle = await vendors.open_at_store(courier, company_id, row.id) if of_stores else _opened(vendor, row)
    try:
        yield handle
    except Disconnected as failure:
        async with tenancy.acting_for(company_id) as session:
            await connections.lost(session, account_id, failure.reason, connected_at=row.connected_at)
        raise


def _opened(vendor: CourierVendor, row: Connection) -> Courier:
    credentials = connections.credentials(row, vendor.credentials)
    settings: Mapping[str, str] = {key: str(value) for key, value in row.settings.items()}
    version = row.credentials_version

    async def remember(changed: BaseModel) -> None:
        nonlocal version
        version = await connections.remember(row.company_id, row.id, changed, version=version) or version

    async def turn(operation: str) -> None:
        if (allowed := vendor.paces.get(operation)) is not None:
            calls, seconds = allowed
            bucket = f"{vendor.slug}:{row.id}:{operation}"
            await pace.turn(bucket, capacity=calls, refill_per_second=calls / seconds)

    return vendor.open(
        CourierAccount(f"{vendor.slug}:{row.id}", credentials, outbound.http(vendor.slug), remember, settings, turn)
    )
