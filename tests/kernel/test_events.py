"""Events: one job a listener, in the publisher's transaction, ids only."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from shipcrowd.kernel import db, events, jobs, tenancy
from shipcrowd.kernel.events import Event
from shipcrowd.kernel.ids import new_id
from tests.support import drain

heard: list[tuple[str, object]] = []


@dataclass(frozen=True)
class ThingMade(Event):
    thing_id: UUID


@dataclass(frozen=True)
class ThingsMade(Event):
    thing_ids: tuple[UUID, ...]


@jobs.job(name="tests.events.one")
async def one(company_id: UUID, thing_id: UUID) -> None:
    heard.append(("one", thing_id))


@jobs.job(name="tests.events.two")
async def two(company_id: UUID, thing_id: UUID) -> None:
    heard.append(("two", thing_id))


@jobs.job(name="tests.events.many")
async def many(company_id: UUID, thing_ids: tuple[UUID, ...]) -> None:
    heard.append(("many", thing_ids))


@jobs.job(name="tests.events.deaf")
async def deaf(company_id: UUID) -> None: ...


@jobs.job(name="tests.events.curious")
async def curious(company_id: UUID, thing_id: UUID, more: str = "") -> None: ...


@pytest.fixture(autouse=True)
async def _wired():
    before = events._Wired.listeners
    heard.clear()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    yield
    events._Wired.listeners = before


async def publish(company, event, *, then=None):
    async with tenancy.acting_for(company) as session:
        await events.publish(session, event)
        if then:
            raise then


async def test_every_listener_hears_it(company):
    events.listen({ThingMade: [one, two]})
    thing = new_id()
    await publish(company, ThingMade(company, thing))
    await drain()
    assert sorted(heard) == [("one", thing), ("two", thing)]


async def test_a_rolled_back_transaction_told_nobody(company):
    events.listen({ThingMade: [one]})
    with pytest.raises(RuntimeError):
        await publish(company, ThingMade(company, new_id()), then=RuntimeError())
    await drain()
    assert heard == []


async def test_the_same_news_twice_waits_as_one_job_but_of_another_company_as_its_own(company):
    events.listen({ThingMade: [one]})
    thing = new_id()
    other = new_id()
    for whose in (company, company, other):
        await publish(whose, ThingMade(whose, thing))
    await drain()
    assert len(heard) == 2


async def test_news_of_many_things_is_never_taken_for_other_news(company):
    events.listen({ThingsMade: [many]})
    things = [new_id() for _ in range(3)]
    for batch in (things, things[:1]):
        await publish(company, ThingsMade(company, tuple(batch)))
    await drain()
    assert [said for _, said in heard] == [tuple(things), tuple(things[:1])]


async def test_more_than_a_hundred_ids_are_refused_and_nobody_is_told(company):
    events.listen({ThingsMade: [many]})
    await publish(company, ThingsMade(company, tuple(new_id() for _ in range(100))))
    with pytest.raises(ValueError, match="more than 100"):
        await publish(company, ThingsMade(company, tuple(new_id() for _ in range(101))))
    await drain()
    assert len(heard) == 1


@pytest.mark.parametrize("listener", [deaf, curious, many], ids=lambda listener: listener.name)
def test_a_listener_must_take_exactly_the_events_fields(listener):
    before = events._Wired.listeners
    with pytest.raises(TypeError, match="thing_id"):
        events.listen({ThingMade: [listener]})
    assert events._Wired.listeners is before


async def test_what_nobody_listens_to_is_said_to_nobody(company):
    events.listen({})
    await publish(company, ThingMade(company, new_id()))
    assert await drain() == 0
