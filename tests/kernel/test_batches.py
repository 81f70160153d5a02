"""Many rows are gone through some at a time."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select

from shipcrowd.kernel import audit, batches, clock, idempotency, tenancy
from shipcrowd.kernel.audit import AuditEntry
from shipcrowd.kernel.idempotency import Answer
from shipcrowd.kernel.ids import new_id

OLD, NEW = timedelta(days=30), timedelta(days=1)


async def answers(company, *ages):
    async with tenancy.acting_for(company) as session:
        session.add_all(
            Answer(company_id=company, route="POST /x", key=str(n), body_hash=b"", created_at=clock.now() - age)
            for n, age in enumerate(ages)
        )


async def left(company):
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Answer.key).order_by(Answer.key))).scalars().all()


class Transactions:
    """Transactions of one company, counted; those after `dies_after` fail."""

    def __init__(self, company, dies_after=100):
        self.company, self.opened, self.dies_after = company, 0, dies_after

    @asynccontextmanager
    async def __call__(self):
        self.opened += 1
        async with tenancy.acting_for(self.company) as session:
            yield session
            if self.opened > self.dies_after:
                raise RuntimeError("the worker died")


async def delete(transactions, size=3):
    before = {"before": clock.now() - idempotency.KEPT}
    return await batches.delete(transactions, "idempotency_answers", "created_at < :before", before, size=size)


async def test_rows_are_deleted_some_a_transaction_and_the_others_stay(company):
    await answers(company, *[OLD] * 7, NEW, NEW)
    transactions = Transactions(company)
    assert await delete(transactions) == 7
    assert (transactions.opened, await left(company)) == (3, ["7", "8"])
    assert await delete(Transactions(company)) == 0


async def test_what_was_deleted_stays_deleted_when_the_job_is_cut_short(company):
    await answers(company, *[OLD] * 7)
    with pytest.raises(RuntimeError):
        await delete(Transactions(company, dies_after=1))
    assert len(await left(company)) == 4
    await delete(Transactions(company))
    assert await left(company) == []


async def test_another_companys_rows_are_not_reached(company):
    other = new_id()
    await answers(other, OLD)
    assert await delete(Transactions(company)) == 0
    assert await left(other) == ["0"]


async def test_every_id_is_reached_page_by_page(company):
    async with tenancy.acting_for(company) as session:
        for n in range(7):
            await audit.record(session, actor="test", action="made", subject=str(n))
    async with tenancy.acting_for(company) as session:
        made = sorted((await session.execute(select(AuditEntry.id))).scalars())
        pages = [list(page) async for page in batches.ids(session, select(AuditEntry.id), AuditEntry.id, size=3)]
        assert pages == [made[:3], made[3:6], made[6:]]
        none = select(AuditEntry.id).where(AuditEntry.action == "unmade")
        assert [page async for page in batches.ids(session, none, AuditEntry.id, size=3)] == []
