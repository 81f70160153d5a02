import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from shipcrowd.kernel import audit, db, tenancy
from shipcrowd.kernel.ids import new_id


async def one_entry(company):
    async with tenancy.acting_for(company) as session:
        await audit.record(session, actor="system", action="tested", subject="thing:1")


async def seen_by(company):
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(audit.AuditEntry))).scalars().all()


async def test_a_company_sees_its_rows_and_no_others(company):
    other = new_id()
    await one_entry(company)
    await one_entry(other)
    assert [entry.company_id for entry in await seen_by(company)] == [company]


async def test_no_company_no_rows(company):
    await one_entry(company)
    async with tenancy.unowned() as session:
        assert (await session.execute(select(audit.AuditEntry))).scalars().all() == []


async def test_writing_a_row_of_another_company_is_refused_and_leaves_nothing(company):
    other = new_id()
    with pytest.raises(DBAPIError, match="row-level security"):
        async with tenancy.acting_for(company) as session:
            session.add(
                audit.AuditEntry(company_id=other, at=audit.clock.now(), actor="x", action="x", subject="x", details={})
            )
            await session.flush()
    assert await seen_by(other) == []


async def test_the_platform_sees_all_and_only_inside_its_own_transaction(company):
    other = new_id()
    await one_entry(company)
    await one_entry(other)
    async with tenancy.acting_for_platform(why="test") as session:
        rows = (await session.execute(select(audit.AuditEntry.company_id))).scalars().all()
    assert {company, other} <= set(rows)
    assert {entry.company_id for entry in await seen_by(company)} == {company}


async def test_the_company_setting_dies_with_its_transaction(company):
    await one_entry(company)
    for _ in range(30):  # more than the pool, so that the same connections come round
        async with tenancy.acting_for(company):
            pass
        async with tenancy.unowned() as session:
            assert (await session.execute(text("SELECT current_setting('shipcrowd.company_id', true)"))).scalar() in (
                None,
                "",
            )


async def test_the_hot_path_is_inside_the_same_transaction(company):
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with tenancy.acting_for(company) as session:
            await (await db.driver(session)).execute(
                "INSERT INTO audit (company_id, id, at, actor, action, subject, details)"
                " VALUES ($1, $2, now(), 'a', 'b', 'c', '{}')",
                company,
                new_id(),
            )
            raise RuntimeError("changed my mind")
    assert await seen_by(company) == []


async def test_the_app_role_is_safe():
    await tenancy.refuse_unsafe_role()


async def test_serving_as_the_owner_is_refused(database_urls):
    app = db._Engine.current
    try:
        owner = db.connect(database_urls[0], pool=1)
        with pytest.raises(tenancy.UnsafeDatabaseRole, match="superuser"):
            await tenancy.refuse_unsafe_role()
        await owner.dispose()
    finally:
        db._Engine.current = app


@pytest.mark.parametrize("inherited", ["the platform's role", "a table's owner"])
async def test_serving_with_privileges_inherited_by_a_chain_of_roles_is_refused(database_urls, inherited):
    """Row security lets pass whoever has an owner's privileges, not only the owner itself."""
    owner = await db.open_connection(database_urls[0])
    names = [f"chain_{part}_{new_id().hex[-12:]}" for part in ("top", "middle", "app")]
    top, middle, app = names
    fault = "inherits" if inherited == "the platform's role" else "owns tables"
    try:
        for name in names:
            await owner.execute(f"CREATE ROLE {name} LOGIN INHERIT")
        await owner.execute(f"CREATE TABLE {top} (); ALTER TABLE {top} OWNER TO {top}")
        granted = tenancy.PLATFORM_ROLE if fault == "inherits" else top
        await owner.execute(f"GRANT {granted} TO {middle}; GRANT {middle}, {tenancy.APP_ROLE} TO {app}")
        before = db._Engine.current
        try:
            engine = db.connect(_as(database_urls[1], app), pool=1)
            with pytest.raises(tenancy.UnsafeDatabaseRole, match=fault):
                await tenancy.refuse_unsafe_role()
            await engine.dispose()
        finally:
            db._Engine.current = before
    finally:
        await owner.execute(f"DROP TABLE IF EXISTS {top}")
        for name in reversed(names):
            await owner.execute(f"DROP ROLE IF EXISTS {name}")
        await owner.close()


def _as(url, role):
    return url.replace(f"//{tenancy.APP_ROLE}:", f"//{role}:")


async def test_a_failing_statements_error_does_not_repeat_its_values():
    with pytest.raises(DBAPIError) as failed:
        async with tenancy.unowned() as session:
            await session.execute(text("SELECT 1 / length(:secret)"), {"secret": ""})
    assert "hidden" in str(failed.value)
    with pytest.raises(DBAPIError) as failed:
        async with tenancy.unowned() as session:
            await session.execute(text("SELECT :secret || no_such_column"), {"secret": "hunter2"})
    assert "hunter2" not in str(failed.value)


async def crossings(why):
    async with tenancy.unowned() as session:
        query = select(audit.PlatformCrossing).where(audit.PlatformCrossing.why == why)
        rows = (await session.execute(query.order_by(audit.PlatformCrossing.hour))).scalars().all()
    return [(row.hour.hour, row.times) for row in rows]


async def test_every_crossing_of_companies_leaves_a_trace_one_row_an_hour_and_reason():
    why = f"tested {new_id()}"
    with time_machine.travel(datetime(2026, 11, 22, 6, 58, tzinfo=UTC), tick=False) as clock:
        for _ in range(3):
            async with tenancy.acting_for_platform(why=why):
                pass
        clock.shift(timedelta(minutes=2))
        with pytest.raises(RuntimeError):
            async with tenancy.acting_for_platform(why=why):
                raise RuntimeError("what fails has crossed as well")
    assert await crossings(why) == [(6, 3), (7, 1)]


async def test_crossings_do_not_wait_for_each_other_and_none_is_lost():
    why = f"tested {new_id()}"
    async with tenancy.acting_for_platform(why=why):  # still open while the others are counted

        async def cross():
            async with tenancy.acting_for_platform(why=why):
                pass

        await asyncio.wait_for(asyncio.gather(*(cross() for _ in range(10))), timeout=10)
    assert sum(times for _, times in await crossings(why)) == 11


async def test_the_application_cannot_erase_the_trace():
    for role in (tenancy.APP_ROLE, tenancy.PLATFORM_ROLE):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with tenancy.unowned() as session:
                await session.execute(text(f"SET LOCAL ROLE {role}"))
                await session.execute(text("DELETE FROM platform_crossings"))
