"""Numbers people read: never twice, each company from one."""

import asyncio

import pytest

from shipcrowd.kernel import counters, tenancy
from shipcrowd.kernel.ids import new_id


async def number(company, kind="SHP"):
    async with tenancy.acting_for(company) as session:
        return await counters.number(session, kind)


async def test_numbers_taken_at_the_same_moment_are_all_different(company):
    taken = await asyncio.gather(*(number(company) for _ in range(40)))
    assert sorted(taken) == [f"SHP-{n:06d}" for n in range(1, 41)]


async def test_each_company_and_kind_counts_for_itself(company):
    assert await number(company) == "SHP-000001"
    assert await number(new_id()) == "SHP-000001"
    assert await number(company, "MAN") == "MAN-000001"
    assert await number(company) == "SHP-000002"


async def test_many_are_taken_in_one_go(company):
    async with tenancy.acting_for(company) as session:
        assert await counters.take(session, "ORD", count=500) == range(1, 501)
        assert await counters.take(session, "ORD") == range(501, 502)


async def test_a_transaction_that_was_given_up_leaves_no_repeat(company):
    async with tenancy.acting_for(company) as session:
        await counters.number(session, "SHP")
        await session.rollback()
    assert await number(company) == "SHP-000001"  # the number was never used


async def test_without_a_company_there_is_no_number():
    with pytest.raises(LookupError):
        async with tenancy.unowned() as session:
            await counters.number(session, "SHP")
