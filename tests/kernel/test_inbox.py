"""What outside systems push is stored once, sealed, with exactly one job to read it."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from shipcrowd.kernel import clock, crypto, db, inbox, jobs, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.inbox import Delivery, Outcome
from tests.support import drain

read: list[tuple[UUID, UUID]] = []
BODY = b'{"buyer": "Asha Rao", "phone": "9000000001"}'


@jobs.job(name="tests.inbox.read")
async def reader(company_id: UUID, delivery_id: UUID) -> None:
    read.append((company_id, delivery_id))


@pytest.fixture(autouse=True)
async def _empty():
    read.clear()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")


async def receive(company, delivery_id="d-1", *, store="shop-1", vendor="bazaar", body=BODY):
    return await inbox.receive(
        company_id=company,
        vendor=vendor,
        store=store,
        delivery_id=delivery_id,
        topic="orders/create",
        body=body,
        headers={"x-topic": "orders/create"},
        reader=reader,
    )


async def stored(company):
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Delivery).order_by(Delivery.id))).scalars().all()


async def test_a_delivery_is_stored_and_read_once(company):
    assert await receive(company) is True
    assert await receive(company) is False
    await drain()
    (row,) = await stored(company)
    assert read == [(company, row.id)]


async def test_the_same_delivery_at_the_same_moment_is_stored_and_read_once(company):
    fresh = await asyncio.gather(*(receive(company) for _ in range(12)))
    assert sorted(fresh) == [False] * 11 + [True]
    await drain()
    assert len(read) == len(await stored(company)) == 1


async def test_a_burst_is_stored_whole_each_with_its_job(company):
    others = [new_id() for _ in range(3)]
    owners = [[company, *others][n % 4] for n in range(200)]
    fresh = await asyncio.gather(*(receive(owner, f"d-{n // 2}") for n, owner in enumerate(owners)))
    assert all(fresh)  # two a delivery id, of two companies
    await drain()
    rows = {(owner, row.id) for owner in {*owners} for row in await stored(owner)}
    assert len(rows) == 200
    assert set(read) == rows
    assert len(read) == 200


async def test_one_that_cannot_be_stored_does_not_keep_the_others_out(company):
    asked = [receive(company, f"d-{n}", store="no \x00 text" if n == 7 else "shop-1") for n in range(12)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [n for n, answer in enumerate(answers) if answer is not True] == [7]
    assert isinstance(answers[7], Exception)
    assert len(await stored(company)) == 11


async def test_a_sender_that_went_away_leaves_its_delivery_and_everybody_else_in(company):
    asked = [asyncio.create_task(receive(company, f"d-{n}")) for n in range(9)]
    await asyncio.sleep(0)
    asked[4].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [n for n, answer in enumerate(answers) if answer is not True] == [4]
    assert len(await stored(company)) == 9


async def test_deliveries_differ_by_id_store_vendor_and_company(company):
    other = new_id()
    assert all(
        await asyncio.gather(
            receive(company),
            receive(company, "d-2"),
            receive(company, store="shop-2"),
            receive(company, vendor="mandi"),
            receive(other),
        )
    )
    assert len(await stored(company)) == 4
    assert len(await stored(other)) == 1


async def test_the_body_is_sealed_for_its_own_row_and_opens_byte_for_byte(company):
    raw = b"\x00\xff not even text " + BODY
    await receive(company, body=raw)
    await receive(company, "d-2", body=raw)
    one, two = await stored(company)
    assert b"Asha" not in one.body
    assert inbox.opened(one) == ({"x-topic": "orders/create"}, raw)
    with pytest.raises(crypto.CannotDecrypt):
        crypto.keyring().open(one.body, inbox.about(company, two.id))


async def test_the_companys_setting_does_not_stay_on_the_pooled_connection(company):
    await receive(company)
    for _ in range(30):  # more than the pool, so that the same connections come round
        async with db.raw() as wire:
            assert await wire.fetchval("SELECT current_setting('shipcrowd.company_id', true)") in (None, "")
            assert await wire.fetchval("SELECT count(*) FROM inbox") == 0


async def test_what_was_handled_is_not_handed_out_again(company):
    await receive(company)
    (row,) = await stored(company)
    async with tenancy.acting_for(company) as session:
        waiting = await inbox.waiting(session, row.id)
        inbox.settle(waiting, Outcome.handled)
    async with tenancy.acting_for(company) as session:
        assert await inbox.waiting(session, row.id) is None
        await inbox.fail(session, row.id, "too late")
    (row,) = await stored(company)
    assert (row.outcome, row.note) == (Outcome.handled, "")


async def test_what_failed_is_handed_out_again_on_replay(company):
    await receive(company)
    (row,) = await stored(company)
    async with tenancy.acting_for(company) as session:
        await inbox.fail(session, row.id, "unreadable " * 500)
    (row,) = await stored(company)
    assert row.outcome == Outcome.failed and len(row.note) == 1000 and row.handled_at is not None
    async with tenancy.acting_for(company) as session:
        again = await inbox.waiting(session, row.id)
        assert inbox.opened(again)[1] == BODY
        inbox.settle(again, Outcome.handled, "read on replay")
    async with tenancy.acting_for(company) as session:
        assert await inbox.waiting(session, row.id) is None


async def test_two_readers_of_one_delivery_take_turns(company):
    await receive(company)
    (row,) = await stored(company)
    done = []

    async def one():
        async with tenancy.acting_for(company) as session:
            if (waiting := await inbox.waiting(session, row.id)) is not None:
                await asyncio.sleep(0.05)
                inbox.settle(waiting, Outcome.handled)
                done.append(1)

    await asyncio.gather(*(one() for _ in range(5)))
    assert done == [1]


async def test_another_company_sees_no_delivery(company):
    await receive(company)
    (row,) = await stored(company)
    async with tenancy.acting_for(new_id()) as session:
        assert await inbox.waiting(session, row.id) is None
        assert await inbox.recent(session) == []


async def test_the_newest_come_first_and_can_be_narrowed(company):
    for n in range(4):
        await receive(company, f"d-{n}", store=f"shop-{n % 2}")
    rows = await stored(company)
    async with tenancy.acting_for(company) as session:
        await inbox.fail(session, rows[0].id, "x")
    async with tenancy.acting_for(company) as session:
        assert [row.delivery_id for row in await inbox.recent(session, limit=3)] == ["d-3", "d-2", "d-1"]
        assert [row.delivery_id for row in await inbox.recent(session, outcome=Outcome.failed)] == ["d-0"]
        assert [row.delivery_id for row in await inbox.recent(session, store="shop-1")] == ["d-3", "d-1"]


async def test_old_ones_are_forgotten_except_those_that_failed_or_wait(company):
    for n in range(4):
        await receive(company, f"d-{n}")
    rows = await stored(company)
    async with tenancy.acting_for(company) as session:
        for row, outcome in zip(rows, (Outcome.handled, Outcome.ignored, Outcome.failed), strict=False):
            found = await session.get(Delivery, (company, row.id))
            found.outcome = outcome
            found.received_at = clock.now() - timedelta(days=40)
    now = clock.now()
    ages = {"dealt_with": now - timedelta(days=30), "noted": now - timedelta(days=365)}
    async with tenancy.acting_for(company) as session:
        assert not await inbox.forget(session, failed=now - timedelta(days=50), **ages)
    assert [(row.delivery_id, row.body is None) for row in await stored(company)] == [("d-2", False), ("d-3", False)]
    async with tenancy.acting_for(company) as session:
        assert not await inbox.forget(session, failed=now - timedelta(days=30), **ages)
    failed, young = await stored(company)
    assert (failed.delivery_id, failed.body, failed.outcome, failed.note) == ("d-2", None, "failed", inbox.GONE)
    assert (young.outcome, inbox.opened(young)[1]) == ("waiting", BODY)
    with pytest.raises(inbox.Emptied):
        inbox.opened(failed)
    async with tenancy.acting_for(company) as session:
        assert not await inbox.forget(session, failed=now, **ages | {"noted": now - timedelta(days=35)})
    assert [row.delivery_id for row in await stored(company)] == ["d-3"]


async def test_forgetting_goes_in_steps_and_touches_one_company_only(company):
    other = new_id()
    for owner in (company, other):
        for n in range(5):
            await receive(owner, f"d-{n}")
    later = clock.now() + timedelta(days=1)
    more, left = [], []
    for _ in range(3):
        async with tenancy.acting_for(company) as session:
            more.append(await inbox.forget(session, dealt_with=later, failed=later, noted=clock.now(), limit=2))
        left.append(sum(row.body is not None for row in await stored(company)))
    assert (more, left) == ([True, True, False], [3, 1, 0])
    assert all(row.body for row in await stored(other))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"id": 1001, "x": 1}', True),
        (b'{"id": 11001}', False),
        (b'{"email": "ASHA@kaveri.example"}', True),
        (b'{"email": "asha\\u0040kaveri.example"}', True),
        (b'{"email": "natasha@kaveri.example"}', False),
        (b'{"phone": "+91 90000-00001"}', True),
        (b'{"phone": "9000000002"}', False),
        (b"\xff\x00 not even text", False),
    ],
)
def test_whom_a_body_names(body, found):
    naming = inbox.Naming(words=("1001", "asha@kaveri.example"), numbers=("090000 00001",))
    assert naming.found_in(body) is found
    assert not inbox.Naming().found_in(body)
