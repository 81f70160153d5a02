"""A page of a store's orders into `orders`, so that one bad order costs itself and nothing else."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import failures
from shipcrowd.channels.contract import Page
from shipcrowd.kernel.errors import ShipcrowdError
from shipcrowd.kernel.outbound import Json, Malformed
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders import privacy
from shipcrowd.orders import service as orders
from shipcrowd.orders.schemas import IncomingOrder

log = structlog.get_logger(__name__)

UNREADABLE: tuple[type[Exception], ...] = (
    Malformed,
    ShipcrowdError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    DataError,
    IntegrityError,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
)
"""What one record may do to whoever reads it. Trouble with the network or the database is not among them: that passes
and is tried again."""


@dataclass(frozen=True)
class Source:
    """Where orders come from."""

    company_id: UUID
    connection_id: UUID
    vendor: str


@dataclass(frozen=True)
class Taken:
    """What became of a page. `changed` are the ids at the store of what was inserted or updated."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    changed: frozenset[str] = frozenset()

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.failed + other.failed,
            self.changed | other.changed,
        )


Also = Callable[[AsyncSession, Taken], Awaitable[None]]


ROWS = 100
"""Pages that came together are stored together up to about so many orders."""


def together(pages: Sequence[Page]) -> list[tuple[Page, int]]:
    """Small pages as fewer larger ones, each with how many it was."""
    joined: list[tuple[Page, int]] = []
    for page in pages:
        if joined and len(joined[-1][0].orders) + len(page.orders) <= ROWS:
            before, count = joined.pop()
            through = before.through if page.through is None else page.through
            page, count = Page(before.orders + page.orders, before.failed + page.failed, through), count + 1
            joined.append((page, count))
        else:
            joined.append((page, 1))
    return joined


async def take_page(source: Source, page: Page, also: Also) -> Taken:
    """Import a page and keep what failed of it. `also` runs last, in the transaction that brings the page to rest.

    A page that cannot be imported as a whole is imported order by order; those at fault become failed items.
    """
    whole = await _as_a_whole(source, page, also)
    return whole if whole is not None else await _one_by_one(source, page, also)


async def _as_a_whole(source: Source, page: Page, also: Also) -> Taken | None:
    try:
        async with acting_for(source.company_id) as session:
            taken = await take(session, source, page.orders)
            taken += await _keep_failed(session, source, page)
            await also(session, taken)
    except UNREADABLE as error:
        if not page.orders:
            raise
        log.warning("a page is imported order by order", vendor=source.vendor, because=type(error).__name__)
        return None
    return taken


async def _one_by_one(source: Source, page: Page, also: Also) -> Taken:
    taken = Taken()
    for order in page.orders:
        try:
            async with acting_for(source.company_id) as session:
                taken += await take(session, source, [order])
        except UNREADABLE as error:
            async with acting_for(source.company_id) as session:
                await keep_order(session, source, order, error)
            taken += Taken(failed=1)
    async with acting_for(source.company_id) as session:
        taken += await _keep_failed(session, source, page)
        await also(session, taken)
    return taken


async def take(session: AsyncSession, source: Source, incoming: Sequence[IncomingOrder]) -> Taken:
    """Import these in the session's transaction. Raises what is wrong with them, one of UNREADABLE."""
    if not incoming:
        return Taken()
    imported = await orders.import_orders(
        session, connection_id=source.connection_id, source=source.vendor, incoming=incoming
    )
    await failures.resolve(session, source.connection_id, [order.external_id for order in incoming])
    return Taken(len(imported.inserted), len(imported.updated), imported.unchanged, changed=imported.external_ids)


async def keep_order(session: AsyncSession, source: Source, order: IncomingOrder, error: Exception) -> None:
    """Keep an order that was read but could not be imported."""
    await keep(session, source, order.external_id, words(error), order.model_dump(mode="json"))


async def keep(session: AsyncSession, source: Source, external_id: str, reason: str, raw: Json = None) -> None:
    """Keep what could not be taken in; without what it looked like where its buyer is forgotten."""
    if raw is not None and await privacy.forgotten(session, source.connection_id, [external_id]):
        raw = None
    await failures.keep(
        session,
        connection_id=source.connection_id,
        vendor=source.vendor,
        external_id=external_id,
        reason=reason,
        raw=raw,
    )


async def _keep_failed(session: AsyncSession, source: Source, page: Page) -> Taken:
    for item in page.failed:
        await keep(session, source, item.external_id, item.reason, item.raw)
    return Taken(failed=len(page.failed))


def words(error: Exception) -> str:
    """What is wrong, for the seller. Errors of the database and of plain Python may repeat a buyer's data: of those
    only the kind is told."""
    if isinstance(error, (Malformed, ShipcrowdError)):
        return str(error) or type(error).__name__
    return f"the order could not be stored ({type(error).__name__})"
