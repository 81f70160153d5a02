"""Orders read afresh by their ids: those a store said something of without saying what.

Those that were named together are read together, and what could not be read of them just now is read one by one, each
order by a job of its own that is tried again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import failures, importing, sweeps
from shipcrowd.channels.contract import FailedItem, Page, SalesChannel
from shipcrowd.channels.importing import UNREADABLE, Source, Taken
from shipcrowd.channels.open import connected, lost, opened
from shipcrowd.channels.orders_contract import ReadsSeveral
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection
from shipcrowd.kernel.jobs import Later, enqueue_many, job, on
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from shipcrowd.kernel.running import apart
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders.schemas import IncomingOrder

PATIENTLY = on(Exception, times=8, first=2.0)

TOGETHER = 20
"""Orders one job reads."""

CALLS_AT_ONCE = 5


async def have_read(session: AsyncSession, company_id: UUID, connection_id: UUID, external_ids: Sequence[str]) -> None:
    """Have these orders read, in the session's transaction."""
    of_store = {"company_id": company_id, "connection_id": connection_id}
    if len(external_ids) == 1:
        await _have_one_read(session, company_id, connection_id, external_ids[0])
        return
    some = [list(external_ids[start : start + TOGETHER]) for start in range(0, len(external_ids), TOGETHER)]
    await enqueue_many(session, read_orders, [{**of_store, "external_ids": ids} for ids in some])


async def _have_one_read(
    session: AsyncSession, company_id: UUID, connection_id: UUID, external_id: str, put_off: Later | None = None
) -> None:
    """One that waits already is read once. `put_off`: its place in the store's rate limit, which it keeps."""
    work = read_order.with_(key=f"{connection_id}:{external_id}", later=put_off)
    await work.enqueue(session, company_id=company_id, connection_id=connection_id, external_id=external_id)


# --- several --------------------------------------------------------------------------------------------------------


@dataclass
class _Answers:
    """What a store answered of some orders. `left` must be asked for again, where they were put off at that time."""

    orders: list[IncomingOrder] = field(default_factory=list[IncomingOrder])
    failed: list[FailedItem] = field(default_factory=list[FailedItem])
    gone: list[str] = field(default_factory=list[str])
    left: dict[str, Later | None] = field(default_factory=dict[str, Later | None])


@job(retry=PATIENTLY, name="channels.read_orders")
async def read_orders(company_id: UUID, connection_id: UUID, external_ids: list[str]) -> None:
    """Read some orders afresh from their store."""
    connection = await connected(company_id, connection_id)
    if connection is None:
        return  # the sweep after a resume or a reconnect starts where the last one ended
    try:
        answers = await _asked(opened(connection), external_ids)
    except Disconnected as failure:
        await lost(connection, failure)
        return
    await _take(connection, answers)


async def _asked(channel: SalesChannel, external_ids: Sequence[str]) -> _Answers:
    answers = _Answers()
    if isinstance(channel, ReadsSeveral):
        try:
            page = await channel.orders_named(external_ids)
        except (Refused, *UNREADABLE):  # which of them is at fault shows when each is read by itself
            answers.left |= dict.fromkeys(external_ids)
        else:
            answers.orders += page.orders
            answers.failed += page.failed
            answered = {order.external_id for order in page.orders} | {item.external_id for item in page.failed}
            answers.gone += [each for each in external_ids if each not in answered]
        return answers
    turns = asyncio.Semaphore(CALLS_AT_ONCE)

    async def ask(external_id: str) -> None:
        try:
            async with turns:
                with apart():
                    await _ask(channel, external_id, answers)
        except (Later, Unavailable) as failure:
            answers.left[external_id] = failure if isinstance(failure, Later) else None

    for failure in await asyncio.gather(*map(ask, external_ids), return_exceptions=True):
        if failure is not None:
            raise failure
    return answers


@read_orders.exhausted
async def _orders_not_read(company_id: UUID, connection_id: UUID, external_ids: list[str]) -> None:
    for external_id in external_ids:
        await _order_not_read(company_id, connection_id, external_id)


# --- one ------------------------------------------------------------------------------------------------------------


@job(retry=PATIENTLY, name="channels.read_order")
async def read_order(company_id: UUID, connection_id: UUID, external_id: str) -> None:
    """Read one order afresh from its store."""
    connection = await connected(company_id, connection_id)
    if connection is None:
        return  # as above
    answers = _Answers()
    try:
        await _ask(opened(connection), external_id, answers)
    except Disconnected as failure:
        await lost(connection, failure)
        return
    await _take(connection, answers)


@read_order.exhausted
async def _order_not_read(company_id: UUID, connection_id: UUID, external_id: str) -> None:
    async with acting_for(company_id) as session:
        connection = await connections.get(session, connection_id)
        await connections.failed(session, connection_id, "The store did not answer when asked for an order.")
        source = Source(company_id, connection_id, connection.vendor)
        await importing.keep(session, source, external_id, "The store did not answer when asked for this order.")


# --- both -----------------------------------------------------------------------------------------------------------


async def _ask(channel: SalesChannel, external_id: str, answers: _Answers) -> None:
    """Raises Later, Unavailable and Disconnected."""
    try:
        answers.orders.append(await channel.order(external_id))
    except Refused as refusal:
        if refusal.code == "not_found":
            answers.gone.append(external_id)
        else:
            answers.failed.append(FailedItem(external_id, refusal.message, None))
    except UNREADABLE as error:
        raw = error.raw if isinstance(error, Malformed) else None
        answers.failed.append(FailedItem(external_id, importing.words(error), raw))


async def _take(connection: Connection, answers: _Answers) -> None:
    source = Source(connection.company_id, connection.id, connection.vendor)

    async def also(session: AsyncSession, taken: Taken) -> None:
        if (answers.orders or answers.gone) and connections.worth_noting(connection):
            await connections.worked(session, connection.id)
        await sweeps.count(session, connection.id, taken.inserted)
        await failures.resolve(session, connection.id, answers.gone)
        for gone in answers.gone:
            await sweeps.note(session, connection, "order", error=f"The store has no order {gone} (any more).")
        for external_id, put_off in sorted(answers.left.items(), key=itemgetter(0)):  # as others lock their jobs
            await _have_one_read(session, connection.company_id, connection.id, external_id, put_off)

    await importing.take_page(source, Page(tuple(answers.orders), tuple(answers.failed)), also)
