"""Deliveries that come together, and the orders they name: read together, and none lost of them."""

import asyncio
import json
from datetime import timedelta

import httpx2
import pytest

from shipcrowd.channels import afresh, jobs
from shipcrowd.kernel import clock, db, tenancy
from shipcrowd.kernel.inbox import Outcome
from shipcrowd.kernel.jobs import Later
from shipcrowd.kernel.outbound import Disconnected, Unavailable
from tests.channels import look
from tests.channels.bazaar import BazaarWebhooks, FarSide, order, webhook
from tests.support import _run, dequeue, drain


async def hint(http: httpx2.AsyncClient, far: FarSide, payload: object) -> None:
    body, headers = webhook("orders/updated", far.external_id, payload)
    assert (await http.post("/webhooks/bazaar", content=body, headers=headers)).status_code == 200


async def waiting() -> list[tuple[str, dict, dict]]:
    """The name, payload and headers of each job that waits."""
    async with tenancy.unowned() as session:
        rows = await (await db.driver(session)).fetch(
            "SELECT entrypoint, payload, headers FROM pgqueuer WHERE status = 'queued' ORDER BY id"
        )
    return [(row["entrypoint"], json.loads(row["payload"]), row["headers"] or {}) for row in rows]


async def run_the_next() -> None:
    [job] = await dequeue(batch=1)
    await _run(job)


async def test_deliveries_that_wait_are_taken_in_by_the_first_job_and_their_orders_read_by_one(
    http, company, store, far
):
    far.put(*(order(str(n)) for n in range(5)))
    for n in range(5):
        await hint(http, far, {"id": str(n)})
    await run_the_next()
    assert {each.outcome for each in await look.deliveries(company)} == {Outcome.handled}
    reading = [payload for name, payload, _ in await waiting() if name == "channels.read_orders"]
    assert [sorted(each["external_ids"]) for each in reading] == [["0", "1", "2", "3", "4"]]
    await drain()
    assert await look.order_numbers(company) == ["#0", "#1", "#2", "#3", "#4"]
    assert far.calls.count("order") == 5


async def test_a_delivery_nobody_can_read_costs_those_beside_it_nothing(http, company, store, far):
    far.put(order("1"), order("2"))
    for payload in ({"id": "1"}, {"nothing": "known"}, {"id": "2"}):
        await hint(http, far, payload)
    await drain()
    assert [each.outcome for each in await look.deliveries(company)] == [
        Outcome.handled,
        Outcome.failed,
        Outcome.handled,
    ]
    assert len(await look.failed(company)) == 1
    assert await look.order_numbers(company) == ["#1", "#2"]


async def test_jobs_of_one_store_at_the_same_time_take_each_delivery_in_once(http, company, store, far):
    far.put(*(order(str(n)) for n in range(8)))
    for n in range(8):
        await hint(http, far, {"id": str(n)})
    ids = [each.id for each in await look.deliveries(company)]
    await asyncio.gather(*(jobs.take_in.run(company_id=company, delivery_id=each) for each in ids))
    read = [
        external_id
        for name, payload, _ in await waiting()
        if name in ("channels.read_orders", "channels.read_order")
        for external_id in payload.get("external_ids") or [payload["external_id"]]
    ]
    assert sorted(read) == sorted(str(n) for n in range(8))


async def test_what_one_order_does_to_its_reader_is_its_own(company, store, far):
    far.put(order("1"), order("2"), order("4"))
    far.unreadable.add("2")
    await afresh.read_orders.run(company_id=company, connection_id=store, external_ids=["1", "2", "3", "4"])
    assert await look.order_numbers(company) == ["#1", "#4"]
    assert [item.external_id for item in await look.failed(company)] == ["2"]
    [entry] = await look.log(company, "order")
    assert entry.error == "The store has no order 3 (any more)."


async def test_an_order_that_cannot_be_had_just_now_is_read_by_a_job_of_its_own(company, store, far):
    far.put(order("1"), order("2"))
    far.fails["order"] = [Unavailable("a bad hour")]
    await afresh.read_orders.run(company_id=company, connection_id=store, external_ids=["1", "2"])
    [read] = await look.order_numbers(company)
    [left] = [payload["external_id"] for name, payload, _ in await waiting() if name == "channels.read_order"]
    assert {read, f"#{left}"} == {"#1", "#2"}
    await drain()
    assert await look.order_numbers(company) == ["#1", "#2"]


async def test_an_order_put_off_keeps_its_place_in_the_rate_limit(company, store, far):
    far.put(order("1"), order("2"))
    place = clock.now() + timedelta(minutes=2)
    far.fails["order"] = [Later(timedelta(minutes=2), slots={"bazaar:order": place})]
    await afresh.read_orders.run(company_id=company, connection_id=store, external_ids=["1", "2"])
    [headers] = [headers for name, _, headers in await waiting() if name == "channels.read_order"]
    assert headers["slots"] == {"bazaar:order": place.isoformat()}
    await drain()
    assert len(await look.order_numbers(company)) == 1
    await drain(skip_waits=True)
    assert await look.order_numbers(company) == ["#1", "#2"]


async def test_a_store_lost_in_the_middle_is_marked_and_nothing_is_marked_as_failed(company, store, far):
    far.put(order("1"), order("2"))
    far.fails["order"] = [Disconnected("The key was withdrawn.")]
    await afresh.read_orders.run(company_id=company, connection_id=store, external_ids=["1", "2"])
    assert (await look.connection(company, store)).status == "disconnected"
    assert await look.failed(company) == []


@pytest.mark.parametrize("count", [1, 2, afresh.TOGETHER, afresh.TOGETHER + 1])
async def test_every_order_named_is_read_once(company, store, far, count: int):
    far.put(*(order(str(n)) for n in range(count)))
    async with tenancy.acting_for(company) as session:
        await afresh.have_read(session, company, store, [str(n) for n in range(count)])
    await drain()
    assert len(await look.order_numbers(company)) == far.calls.count("order") == count


async def test_deliveries_that_come_at_one_time_share_a_job_and_one_of_another_store_does_not(
    http, company, store, far, connect
):
    far.put(*(order(str(n)) for n in range(6)))
    await asyncio.gather(*(hint(http, far, {"id": str(n)}) for n in range(6)))
    jobs_made = [name for name, _, _ in await waiting() if name == "channels.take_in"]
    assert 1 <= len(jobs_made) < 6
    await drain()
    assert await look.order_numbers(company) == [f"#{n}" for n in range(6)]


async def test_more_than_one_job_reads_at_once_are_read_by_the_next(http, company, store, far, monkeypatch):
    monkeypatch.setattr(jobs, "TOGETHER", 3)
    far.put(*(order(str(n)) for n in range(8)))
    for n in range(8):
        await hint(http, far, {"id": str(n)} if n != 4 else {"nothing": "known"})
    async with tenancy.unowned() as session:  # one job is left for all of them
        await (await db.driver(session)).execute(
            "DELETE FROM pgqueuer WHERE id > (SELECT min(id) FROM pgqueuer WHERE entrypoint = 'channels.take_in')"
        )
    await drain()
    assert [each.outcome for each in await look.deliveries(company)].count(Outcome.handled) == 7
    assert len(await look.order_numbers(company)) == 7
    assert len(await look.failed(company)) == 1


async def test_a_job_that_gives_up_takes_each_in_by_itself_and_shows_the_one_at_fault(
    http, company, store, far, monkeypatch
):
    far.put(*(order(str(n)) for n in range(3)))
    for n in range(3):
        await hint(http, far, {"id": str(n)})
    first = (await look.deliveries(company))[0]
    read = BazaarWebhooks.read

    def broken(self, topic, body, headers):
        if b'"1"' in body:
            raise RuntimeError("a bug of ours")
        return read(self, topic, body, headers)

    monkeypatch.setattr(BazaarWebhooks, "read", broken)
    await jobs._not_taken_in(company_id=company, delivery_id=first.id)
    outcomes = [each.outcome for each in await look.deliveries(company)]
    assert outcomes == [Outcome.handled, Outcome.failed, Outcome.handled]
    assert len(await look.failed(company)) == 1


async def test_a_delivery_whose_job_was_lost_is_found_by_the_clock(http, company, store, far):
    far.put(order("1"))
    await hint(http, far, {"id": "1"})
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    await jobs.sweep_all.run()
    assert "channels.take_in" not in [name for name, _, _ in await waiting()]
    async with tenancy.acting_for(company) as session:
        await (await db.driver(session)).execute("UPDATE inbox SET received_at = received_at - interval '1 hour'")
    await jobs.sweep_all.run()
    [delivery] = await look.deliveries(company)
    ours = [p for name, p, _ in await waiting() if name == "channels.take_in" and p["company_id"] == str(company)]
    assert [each["delivery_id"] for each in ours] == [str(delivery.id)]
    await jobs.take_in.run(company_id=company, delivery_id=delivery.id)
    assert [each.outcome for each in await look.deliveries(company)] == [Outcome.handled]
