"""Going through many rows without holding them all: ids page by page, deletions transaction by transaction."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

from sqlalchemy import Select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

AT_ONCE = 1000


async def ids(
    session: AsyncSession, query: Select[UUID], column: InstrumentedAttribute[UUID], *, size: int = AT_ONCE
) -> AsyncIterator[Sequence[UUID]]:
    """Every id that `query` selects, page after page in the order of `column`, which is what it selects."""
    after: UUID | None = None
    while True:
        rest = query if after is None else query.where(column > after)
        page = (await session.execute(rest.order_by(column).limit(size))).scalars().all()
        if page:
            yield page
        if len(page) < size:
            return
        after = page[-1]


async def delete(
    transaction: Callable[[], AbstractAsyncContextManager[AsyncSession]],
    table: str,
    where: str,
    values: Mapping[str, Any],
    *,
    size: int = AT_ONCE,
) -> int:
    """Delete the rows of `table` that are so, `size` a transaction, so that no lock is held for long and what was
    deleted stays deleted when the job is cut short; how many. `table` and `where` are ours, never anybody's input."""
    statement = text(
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {table} WHERE {where} LIMIT :size))"
    )
    deleted = 0
    while True:
        async with transaction() as session:
            done: Any = await session.execute(statement, {**values, "size": size})
        deleted += done.rowcount
        if done.rowcount < size:
            return deleted
