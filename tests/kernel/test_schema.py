"""The schema's foundations: migrating again or from two machines at once changes nothing, and roles stay powerless."""

import asyncio
import traceback
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shipcrowd import migrations
from shipcrowd.kernel import db, postgres, schema, tenancy
from shipcrowd.kernel.ids import new_id

SHAPE = """
    SELECT 'column', table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'policy', tablename || '.' || policyname || ' ' || roles::text || qual FROM pg_policies
    UNION ALL SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'function', proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = 'public'
    UNION ALL SELECT 'trigger', tgrelid::regclass::text || '.' || tgname FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'grant', table_name || ' ' || grantee || ' ' || privilege_type
              FROM information_schema.role_table_grants WHERE table_schema = 'public'
    UNION ALL SELECT 'rows', 'pincodes ' || count(*)::text FROM pincodes
    UNION ALL SELECT 'rows', 'companies ' || count(*)::text FROM companies
    UNION ALL SELECT 'rows', 'rate_cards ' || count(*)::text FROM rate_cards
    ORDER BY 1, 2
"""


async def shape(url):
    connection = await db.open_connection(url)
    try:
        return [tuple(row) for row in await connection.fetch(SHAPE)]
    finally:
        await connection.close()


@pytest.fixture
async def empty(server):
    """A fresh database without a schema; its owner's URL."""
    name = f"shipcrowd_schema_{new_id().hex[-12:]}"
    await postgres.create_database(server, name)
    yield postgres.database_url(server, name)
    await postgres.drop_database(server, name)


async def test_two_machines_may_migrate_at_once_and_again(empty, database_urls):
    app = db.asyncpg_url(database_urls[1])
    await asyncio.gather(*(migrations.upgrade(empty, app) for _ in range(3)))
    once = await shape(empty)
    assert len(once) > 500
    await migrations.upgrade(empty, app)
    assert await shape(empty) == once


async def test_roles_can_be_made_again_and_by_two_at_once(database_urls):
    async def make():
        connection = await db.open_connection(database_urls[0])
        try:
            await connection.execute(schema.roles())
        finally:
            await connection.close()

    await asyncio.gather(*(make() for _ in range(4)))
    connection = await db.open_connection(database_urls[0])
    try:
        rows = await connection.fetch(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolinherit, rolcanlogin FROM pg_roles"
            " WHERE rolname = ANY($1::text[]) ORDER BY 1",
            [tenancy.APP_ROLE, tenancy.PLATFORM_ROLE],
        )
    finally:
        await connection.close()
    app, platform = (dict(row) for row in rows)
    assert not any(
        row[right] for row in (app, platform) for right in ("rolsuper", "rolbypassrls", "rolcreatedb", "rolcreaterole")
    )
    assert app["rolcanlogin"] and not app["rolinherit"]
    assert not platform["rolcanlogin"]


@pytest.mark.parametrize("role", [tenancy.APP_ROLE, tenancy.PLATFORM_ROLE])
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE orders ADD COLUMN more text",
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE orders OWNER TO shipcrowd_app",
        "DROP POLICY company ON orders",
        "CREATE POLICY all_rows ON orders USING (true)",
        "DROP TABLE orders",
        "TRUNCATE orders",
        "CREATE TABLE more (id int)",
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "DROP FUNCTION shipcrowd_wake()",
        "ALTER TABLE orders DISABLE TRIGGER ALL",
        "UPDATE alembic_version SET version_num = 'x'",
        "DELETE FROM alembic_version",
        "CREATE ROLE more",
        "ALTER ROLE shipcrowd_app BYPASSRLS",
        "COPY orders TO PROGRAM 'cat'",
    ],
)
async def test_the_app_changes_rows_and_never_structure(role, statement):
    async with db.engine().connect() as connection:
        await connection.execute(text(f"SET LOCAL ROLE {role}"))
        wire = (await connection.get_raw_connection()).driver_connection
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.WrongObjectTypeError)) as refused:
            await wire.execute(statement)
        assert isinstance(refused.value, asyncpg.InsufficientPrivilegeError)
        await connection.rollback()


async def test_the_app_role_may_not_become_the_owner(database_urls, server):
    async with db.raw() as wire:
        for role in ("postgres", "pg_read_all_data", "pg_execute_server_program"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await wire.execute(f"SET ROLE {role}")


@pytest.fixture
async def plain_owner(server):
    """The URL of a fresh database whose owner may not make roles, as most hosts give one."""
    name = f"shipcrowd_owner_{new_id().hex[-12:]}"
    await postgres.create_database(server, name)
    connection = await db.open_connection(server)
    try:
        await connection.execute(f"CREATE ROLE {name} LOGIN")
        await connection.execute(f'ALTER DATABASE "{name}" OWNER TO {name}')
        yield postgres.database_url(server, name, role=name)
        await postgres.drop_database(server, name)
        await connection.execute(f"DROP ROLE {name}")
    finally:
        await connection.close()


async def test_an_owner_who_may_not_set_the_password_is_told_so_and_the_password_is_not_shown(
    plain_owner, database_urls
):
    parts = urlsplit(db.plain_url(database_urls[1]))
    app = parts._replace(netloc=f"{tenancy.APP_ROLE}:sesame-opens@{parts.netloc.rpartition('@')[2]}").geturl()
    with pytest.raises(migrations.MayNotMakeRoles) as refused:
        await migrations.upgrade(plain_owner, app)
    assert "leave the password out of SHIPCROWD_APP_DATABASE_URL" in str(refused.value)
    assert "sesame" not in "".join(traceback.format_exception(refused.value))
    connection = await db.open_connection(plain_owner)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    finally:
        await connection.close()


async def test_a_database_error_in_words_shows_no_statement_and_no_values(database_urls):
    with pytest.raises(DBAPIError) as wrong:
        async with tenancy.unowned() as session:
            await session.execute(text("SELECT 1 FROM nowhere WHERE name = 'Asha'"))
    assert (db.sqlstate(wrong.value), db.words(wrong.value)) == (db.NO_SUCH_TABLE, 'relation "nowhere" does not exist')
    assert db.words(ValueError("two\nlines")) == "two"
    assert db.sqlstate(ValueError("no server's")) is None
