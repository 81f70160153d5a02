"""Which courier accounts a company may book with, and how one is opened.

An account is a connection of kind courier: the company's own, or the platform's shared one. A courier that needs no
credentials (manual) is there for everyone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Kind, Status
from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import Courier, CourierAccount, CourierVendor
from shipcrowd.kernel import outbound, pace, tenancy
from shipcrowd.kernel.errors import NotFound
from shipcrowd.orders.schemas import Fulfilment

NO_ACCOUNT = UUID(int=0)
"""The account of couriers that have none: the seller types the AWB."""


class NoCourierAccount(NotFound):
    """There is no such courier account, or it must be connected again."""


@dataclass(frozen=True)
class Account:
    """A courier account a company may use. `company_id` is its owner: the company or the platform."""

    vendor: CourierVendor
    company_id: UUID
    id: UUID
    name: str
    status: str

    @property
    def usable(self) -> bool:
        return self.status == Status.connected

    def carries(self, fulfilment: str, connection_id: UUID | None) -> bool:
        """Whether orders that go this way, from this store, are for this account: a marketplace's courier and its
        store's orders belong to each other."""
        if fulfilment == Fulfilment.marketplace_logistics:
            return self.vendor.marketplace and self.id == connection_id
        return not self.vendor.marketplace


async def accounts(company_id: UUID) -> list[Account]:
    """Own accounts first, then the platform's for couriers the company has none of, then those without accounts.

    Not for use inside a transaction: it opens its own, one after the other. Ten requests that each held a connection
    while they waited for a second one would wait for each other.
    """
    async with tenancy.acting_for(company_id) as session:
        own = [_account(row) for row in await _rows(session)]
    having = {account.vendor.slug for account in own}
    found = list(own)
    if company_id != tenancy.PLATFORM_COMPANY:
        async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as platform:
            found += [
                account
                for account in map(_account, await _rows(platform))
                if account.vendor.shared and account.vendor.slug not in having
            ]
    found += [
        Account(vendor, company_id, NO_ACCOUNT, vendor.name, Status.connected)
        for vendor in vendors.vendors()
        if not vendor.credentials.model_fields
    ]
    return found


async def _rows(session: AsyncSession) -> Sequence[Connection]:
    query = select(Connection).where(Connection.status.in_([Status.connected, Status.paused]))
    # A marketplace's own courier is reached through the store.
    known = {vendor.slug: Kind.channel if vendor.marketplace else Kind.courier for vendor in vendors.vendors()}
    return [row for row in (await session.execute(query)).scalars() if known.get(row.vendor) == row.kind]


def _account(row: Connection) -> Account:
    return Account(vendors.vendor(row.vendor), row.company_id, row.id, row.name, row.status)


async def opened(courier: str, company_id: UUID, account_id: UUID) -> Courier:
    """Open an account for calls. `company_id` owns it. Raises NoCourierAccount; holds no transaction afterwards."""
    vendor = vendors.vendor(courier)
    if vendor.marketplace:
        return await vendors.open_at_store(company_id, account_id)
    if account_id == NO_ACCOUNT:
        return vendor.open(CourierAccount(f"{courier}:none", vendor.credentials(), outbound.http(courier)))
    async with tenancy.acting_for(company_id) as session:
        row = await session.get(Connection, (company_id, account_id))
        if row is None or row.vendor != courier or row.status in (Status.disconnected, Status.left):
            raise NoCourierAccount(f"connect {vendor.name} again", field="account_id")
        credentials = connections.credentials(row, vendor.credentials)
        settings: Mapping[str, str] = {key: str(value) for key, value in row.settings.items()}

    async def remember(changed: BaseModel) -> None:
        await connections.remember(company_id, account_id, changed)

    async def turn(operation: str) -> None:
        if (allowed := vendor.paces.get(operation)) is not None:
            calls, seconds = allowed
            bucket = f"{courier}:{account_id}:{operation}"
            await pace.turn(bucket, capacity=calls, refill_per_second=calls / seconds)

    return vendor.open(
        CourierAccount(f"{courier}:{account_id}", credentials, outbound.http(courier), remember, settings, turn)
    )
