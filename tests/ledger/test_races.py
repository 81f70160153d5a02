"""Many at the same moment, each in its own transaction on its own connection."""

import asyncio
import random
from datetime import UTC, datetime
from uuid import UUID

import pytest
import time_machine

from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.ledger import invariants, service
from shipcrowd.ledger.chart import AccountCode
from tests.ledger.make import balances, count, entry, post

pytestmark = pytest.mark.postgres


async def test_many_open_one_book_at_the_same_moment(company: UUID):
    await asyncio.gather(*(post(company, entry(paise=100)) for _ in range(30)))
    assert await balances(company) == {"wallet": 3000, "manual_funding": -3000}


async def test_one_key_many_times_at_the_same_moment_is_one_movement(company: UUID):
    once = entry(key="once")
    done = await asyncio.gather(*(post(company, once) for _ in range(20)))
    assert len({posted.id for [posted] in done}) == 1
    assert sum(not posted.again for [posted] in done) == 1
    assert await count(company) == 1


async def test_one_key_for_movements_that_share_no_account_is_one_movement(company: UUID):
    """They do not wait for each other at the accounts, so the key itself must decide."""
    await post(company, entry("manual_credit", 100_00), entry("hold", 50_00))
    rivals = [entry("freight", 1_00, key="once"), entry("manual_credit", 1_00, key="once")]
    done = await asyncio.gather(*(post(company, rivals[n % 2]) for n in range(10)), return_exceptions=True)
    won = {result[0].id for result in done if not isinstance(result, BaseException)}
    assert len(won) == 1
    assert all(isinstance(result, (list, service.KeyConflict)) for result in done)
    assert await count(company) == 3


async def test_postings_in_opposite_orders_do_not_lock_each_other_out(company: UUID):
    await post(company, entry(paise=1_000_00), entry("hold", 500_00))
    random.seed(7)
    codes = ["hold", "release", "freight", "cod", "gst", "manual_credit", "recharge", "adjustment_debit"]
    postings = [[entry(code, 100) for code in random.sample(codes, 4)] for _ in range(60)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(post(company, *entries) for entries in postings))
    async with acting_for(company) as session:
        assert await invariants.verify(session) == []
    assert sum((await balances(company)).values()) == 0


async def test_one_movement_is_reversed_once_however_many_try(company: UUID):
    [posted] = await post(company, entry())

    async def undo(key: str) -> UUID:
        async with acting_for(company) as session:
            return (await service.reverse(session, posted.id, key=key)).id

    done = await asyncio.gather(*(undo(f"undo {n}") for n in range(10)), return_exceptions=True)
    assert sum(isinstance(result, UUID) for result in done) == 1
    assert sum(isinstance(result, service.AlreadyReversed) for result in done) == 9
    assert await balances(company) == {}


async def test_running_balances_follow_the_order_of_moments_even_when_clocks_differ(company: UUID):
    await asyncio.gather(*(post(company, entry(paise=100), entry("hold", 50)) for _ in range(20)))
    with time_machine.travel(datetime(2020, 1, 1, tzinfo=UTC), tick=False):  # a machine whose clock is far behind
        await asyncio.gather(*(post(company, entry("hold", 10)) for _ in range(10)))
    async with acting_for(company) as session:
        lines, _ = await service.statement(session, AccountCode.wallet, limit=200)
    balance = 0
    for line in reversed(lines):
        balance += line.amount.paise
        assert line.balance.paise == balance
    assert len({line.at for line in lines}) == len(lines) == 50


async def test_companies_do_not_wait_for_each_other(company: UUID):
    other = new_id()
    await post(company, entry())
    await post(other, entry())
    async with acting_for(company) as session:
        await service.lock(session, [AccountCode.wallet, AccountCode.manual_funding])
        await asyncio.wait_for(post(other, entry()), 5)
