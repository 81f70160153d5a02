import pytest
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
