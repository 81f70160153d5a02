"""The wallet under many at the same moment."""

import asyncio
from collections.abc import Awaitable
from uuid import UUID

import pytest

from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.ledger import invariants
from shipcrowd.ledger import service as ledger
from shipcrowd.wallet import service
from tests.wallet.make import PARTS, balance, fund, held_for, hold, reference, refund, release, settle

pytestmark = pytest.mark.postgres


async def together(*doing: Awaitable[None]) -> list[BaseException]:
    """What went wrong when all were done at once."""
    done = await asyncio.gather(*doing, return_exceptions=True)
    return [result for result in done if isinstance(result, BaseException)]


async def sound(company: UUID) -> None:
    async with acting_for(company) as session:
        assert await invariants.verify(session) == []


async def test_of_fifty_holds_on_a_balance_for_ten_exactly_ten_succeed(company: UUID):
    await fund(company, 10 * 234_82 + 234_81)
    refused = await together(*(hold(company, reference(), 234_82) for _ in range(50)))
    assert len(refused) == 40
    assert {type(error) for error in refused} == {service.InsufficientBalance}
    assert await balance(company) == (234_81, 10 * 234_82)
    assert list((await held_for(company)).values()) == [234_82] * 10
    await sound(company)


async def test_the_same_hold_twenty_times_at_once_is_one_movement(company: UUID):
    await fund(company, 234_82)  # enough for one: a rival that came second must not be told that money is short
    ref = reference()
    assert await together(*(hold(company, ref, 234_82) for _ in range(20))) == []
    assert await balance(company) == (0, 234_82)
    async with acting_for(company) as session:
        assert len(await ledger.movements(session, ref)) == 1


async def test_the_same_settlement_many_times_at_once_charges_once(company: UUID):
    await fund(company, 1_000_00)
    ref = reference()
    await hold(company, ref, 250_00)
    assert await together(*(settle(company, ref, *PARTS) for _ in range(15))) == []
    assert await balance(company) == (765_18, 0)
    await sound(company)


async def test_a_settlement_and_a_release_at_once_do_one_or_the_other(company: UUID):
    await fund(company, 10_000_00)
    for turn in range(8):
        before, _ = await balance(company)
        ref = reference()
        await hold(company, ref, 250_00)
        both = [settle(company, ref, *PARTS), release(company, ref)]
        wrong = await together(*(both if turn % 2 else both[::-1]))
        now, held = await balance(company)
        assert held == 0
        if wrong:  # the release was first
            assert [type(error) for error in wrong] == [service.HoldEnded]
            assert now == before
        else:
            assert now == before - 234_82
    await sound(company)


async def test_the_same_refund_many_times_at_once_gives_back_once(company: UUID):
    await fund(company, 1_000_00)
    ref = reference()
    await hold(company, ref, 250_00)
    await settle(company, ref, *PARTS)
    assert await together(*(refund(company, ref) for _ in range(15))) == []
    assert await balance(company) == (1_000_00, 0)
    await sound(company)


async def test_all_kinds_of_work_at_once_end_without_deadlock_and_add_up(company: UUID):
    await fund(company, 100_000_00)
    refs = [reference() for _ in range(15)]
    for ref in refs:
        await hold(company, ref, 300_00)
    async with asyncio.timeout(60):
        wrong = await together(
            *(settle(company, ref, *PARTS) for ref in refs[:10]),
            *(release(company, ref) for ref in refs[10:]),
            *(refund(company, ref) for ref in refs[:5]),
            *(hold(company, reference(), 100_00) for _ in range(10)),
            *(fund(company, 50_00) for _ in range(10)),
        )
    assert {type(error) for error in wrong} <= {service.NotSettled}  # a refund that came before its settlement
    held = await held_for(company)
    assert sorted(held.values()) == [100_00] * 10
    assert (await balance(company))[1] == 10 * 100_00
    await sound(company)


async def test_a_transaction_that_holds_and_settles_does_not_lock_out_one_that_settles(company: UUID):
    """The wallet's row is the first that either takes, so the second waits before it holds anything."""
    await fund(company, 100_000_00)
    refs = [reference() for _ in range(20)]
    for ref in refs:
        await hold(company, ref, 300_00)

    async def both(ref: str) -> None:
        from shipcrowd.kernel.money import Money

        async with acting_for(company) as session:
            await service.hold(session, reference=reference(), amount=Money(1_00))
            await service.settle(session, reference=ref, parts=[("freight", Money(300_00)), ("cod", Money(0))])

    async with asyncio.timeout(60):
        wrong = await together(
            *(both(ref) for ref in refs[::2]), *(settle(company, ref, ("cod", 300_00)) for ref in refs[1::2])
        )
    assert wrong == []
    await sound(company)
