"""The same POST twice: one piece of work, one answer, also when both come at once."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from shipcrowd.kernel import audit, clock, idempotency, tenancy
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.idempotency import Answer, KeyReused
from shipcrowd.kernel.ids import new_id


async def act(company, *, key="k-1", body=b"{}", route="POST /things", fails=None, slow=0.0):
    """One request that writes one audit entry, and answers how many there are."""
    async with tenancy.acting_for(company) as session:

        async def work():
            await audit.record(session, actor="user:1", action="acted", subject="thing:1")
            await session.flush()
            await asyncio.sleep(slow)
            if fails:
                raise fails
            return {"acts": len((await session.execute(select(audit.AuditEntry))).scalars().all()), "name": "आशा"}

        return await idempotency.once(session, route=route, key=key, body=body, work=work)


async def acts(company):
    async with tenancy.acting_for(company) as session:
        return len((await session.execute(select(audit.AuditEntry))).scalars().all())


async def test_the_second_time_gets_the_first_answer_and_nothing_is_done(company):
    assert await act(company) == await act(company) == {"acts": 1, "name": "आशा"}
    assert await acts(company) == 1


async def test_the_same_key_at_the_same_moment_does_the_work_once(company):
    answers = await asyncio.gather(*(act(company, slow=0.05) for _ in range(8)))
    assert answers == [{"acts": 1, "name": "आशा"}] * 8
    assert await acts(company) == 1


async def test_the_same_key_with_another_body_is_an_error_and_does_nothing(company):
    await act(company)
    with pytest.raises(KeyReused) as refused:
        await act(company, body=b'{"other": true}')
    assert (refused.value.status, refused.value.field) == (422, "Idempotency-Key")
    assert await acts(company) == 1


async def test_work_that_failed_frees_the_key(company):
    with pytest.raises(RuntimeError):
        await act(company, fails=RuntimeError("no"))
    assert await acts(company) == 0
    assert await act(company) == {"acts": 1, "name": "आशा"}


async def test_who_waited_for_a_failure_does_the_work_himself(company):
    first = asyncio.create_task(act(company, fails=RuntimeError("no"), slow=0.2))
    await asyncio.sleep(0.05)
    assert await act(company) == {"acts": 1, "name": "आशा"}
    with pytest.raises(RuntimeError):
        await first
    assert await acts(company) == 1


async def test_without_a_key_every_request_is_its_own(company):
    await act(company, key=None)
    await act(company, key="")
    assert await acts(company) == 2


async def test_a_key_belongs_to_a_company_and_a_route(company):
    other = new_id()
    await act(company)
    await act(company, route="POST /other-things")
    await act(other)
    assert (await acts(company), await acts(other)) == (2, 1)


async def test_a_key_has_a_longest_length(company):
    with pytest.raises(Invalid):
        await act(company, key="k" * 201)
    assert await acts(company) == 0


async def test_the_answer_is_stored_sealed(company):
    await act(company)
    async with tenancy.acting_for(company) as session:
        row = await session.get(Answer, (company, "POST /things", "k-1"))
    assert "आशा".encode() not in row.answer


async def test_old_answers_are_forgotten(company):
    await act(company)
    await act(company, key="k-2")
    async with tenancy.acting_for(company) as session:
        row = await session.get(Answer, (company, "POST /things", "k-1"))
        row.created_at = clock.now() - idempotency.KEPT - timedelta(minutes=1)
    await idempotency.forget(lambda: tenancy.acting_for(company))
    async with tenancy.acting_for(company) as session:
        assert (await session.execute(select(Answer.key))).scalars().all() == ["k-2"]
