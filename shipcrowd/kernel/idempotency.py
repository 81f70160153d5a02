"""A client may send the same POST twice (`Idempotency-Key`); it gets the same answer, and the work is done once.

The answer is stored in the transaction that did the work. Keys belong to a company and a route; the same key with
another body is an error, because one of the two requests would be lost.
"""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel import batches, clock, crypto, db, tenancy
from shipcrowd.kernel.errors import Invalid

KEPT = timedelta(days=7)


class KeyReused(Invalid):
    """This Idempotency-Key was used before with another request."""


class Answer(db.Base):
    __tablename__ = "idempotency_answers"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


async def once(
    session: AsyncSession, *, route: str, key: str | None, body: bytes, work: Callable[[], Awaitable[Any]]
) -> Any:
    """`work()`'s JSON-able answer, or the stored one when this key was answered before.

    Two at the same moment: the second waits for the first to commit. Raises KeyReused.
    """
    if not key:
        return await work()
    if len(key) > 200:
        raise Invalid("Idempotency-Key is at most 200 characters", field="Idempotency-Key")
    company_id = tenancy.company_of(session)
    body_hash = hashlib.sha256(body).digest()
    about = f"idempotency:{company_id}:{route}:{key}"
    inserted = await session.execute(
        insert(Answer)
        .values(company_id=company_id, route=route, key=key, body_hash=body_hash, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(Answer.key)
    )
    if inserted.scalar_one_or_none() is None:
        stored = await session.get(Answer, (company_id, route, key))
        if stored is None or stored.answer is None or stored.body_hash != body_hash:
            raise KeyReused("use a new key for a new request", field="Idempotency-Key")
        return crypto.keyring().open_json(stored.answer, about)
    answer = await work()
    await session.execute(
        text(
            "UPDATE idempotency_answers SET answer = :answer"
            " WHERE company_id = :company AND route = :route AND key = :key"
        ),
        {
            "answer": crypto.keyring().seal_json(answer, about),
            "company": company_id,
            "route": route,
            "key": key,
        },
    )
    return answer


async def forget(transaction: Callable[[], AbstractAsyncContextManager[AsyncSession]]) -> None:
    """Delete the answers that were kept long enough, some a transaction."""
    await batches.delete(transaction, "idempotency_answers", "created_at < :before", {"before": clock.now() - KEPT})
