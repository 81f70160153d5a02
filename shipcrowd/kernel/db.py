"""Tables, the engine and its connections. Who may see which row is `kernel.tenancy`'s business.

Every company-owned table derives from `Owned`: its primary key is `(company_id, id)`, and so are unique constraints
and foreign keys led by `company_id`, which is what lets the schema be distributed by company without a rewrite.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, ClassVar, Protocol, cast
from uuid import UUID

import asyncpg
from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, MetaData, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from shipcrowd.kernel import clock
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


WAIT_SECONDS = 15
"""For a free connection."""

SESSION = {
    "timezone": "UTC",
    "application_name": "shipcrowd",
    # Statements are many and short: what they need is in memory or on a flash disk, and no other core stands idle.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
}
"""Of every connection."""

JSON = postgresql.JSONB(none_as_null=True)


class MoneyColumn(TypeDecorator[Money]):
    """`Money` in a bigint of paise."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Money | None, dialect: Any) -> int | None:
        return None if value is None else value.paise

    def process_result_value(self, value: int | None, dialect: Any) -> Money | None:
        return None if value is None else Money(value)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        str: Text(),
        int: BigInteger(),
        UUID: postgresql.UUID(as_uuid=True),
        Money: MoneyColumn(),
        dict[str, Any]: postgresql.JSONB(),
        list[str]: postgresql.ARRAY(Text()),
    }


class Owned:
    """A row that belongs to one company. `company_id` is set by the caller, never by the server: a server default
    would turn one bulk insert into one statement a row."""

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)


class Dated:
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


def owned_key(table: str, column: str, *, ondelete: str | None = None) -> ForeignKeyConstraint:
    """A foreign key to another company-owned table, led by `company_id`."""
    return ForeignKeyConstraint(["company_id", column], [f"{table}.company_id", f"{table}.id"], ondelete=ondelete)


class _Engine:
    """The process's one engine, set by `connect`, and beside it the connections of `raw`."""

    current: ClassVar[AsyncEngine | None] = None
    wires: ClassVar[dict[AsyncEngine, Any]] = {}


def asyncpg_url(url: str) -> str:
    """`postgresql://…` → the form SQLAlchemy wants for asyncpg."""
    for prefix in ("postgresql+asyncpg://", "postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+asyncpg://" + url.removeprefix(prefix)
    raise ValueError("a database URL starts with postgresql://")


def plain_url(url: str) -> str:
    """The form asyncpg itself wants."""
    return asyncpg_url(url).replace("postgresql+asyncpg://", "postgresql://")


NOT_PERMITTED = "42501"
NO_SUCH_TABLE = "42P01"
CANNOT_SIGN_IN = frozenset(("28000", "28P01"))
"""SQLSTATEs (PostgreSQL, appendix A). Which of the two a missing role gives depends on how the server asks."""


def sqlstate(error: BaseException) -> str | None:
    """The server's code for what went wrong; None for what is no error of a PostgreSQL server."""
    server = _of_the_server(error)
    return cast("str | None", getattr(server, "sqlstate", None))


def words(error: BaseException) -> str:
    """What went wrong in the server's own line: no statement, no values, which may be anybody's data or a password."""
    server = _of_the_server(error)
    return str(server.args[0] if server and server.args else error).strip().partition("\n")[0]


def _of_the_server(error: BaseException) -> asyncpg.PostgresError | None:
    """SQLAlchemy wraps the driver's error twice."""
    inner: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    if inner is not None and not isinstance(inner, asyncpg.PostgresError):
        inner = inner.__cause__
    return inner if isinstance(inner, asyncpg.PostgresError) else None


def connect(url: str, *, pool: int = 10) -> AsyncEngine:
    """Open the process's engine on the app role's URL. `disconnect` closes it.

    `pool` bounds its connections; `raw` opens as many more when they are asked for.
    """
    engine = create_async_engine(
        asyncpg_url(url),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=WAIT_SECONDS,
        # An error's words go into logs and held jobs, and a statement's values are people's data and secrets.
        hide_parameters=True,
        connect_args={"server_settings": SESSION},
    )
    _Engine.current = engine
    return engine


async def disconnect() -> None:
    if _Engine.current is not None:
        if wires := _Engine.wires.pop(_Engine.current, None):
            await wires.close()
        await _Engine.current.dispose()
        _Engine.current = None


def engine() -> AsyncEngine:
    if _Engine.current is None:
        raise RuntimeError("the database is not connected; call kernel.db.connect first")
    return _Engine.current


class Wire(Protocol):
    """The asyncpg connection, as far as hot statements use it. Records are read by column name."""

    async def fetch(self, query: str, *args: Any) -> list[Mapping[str, Any]]: ...
    async def fetchrow(self, query: str, *args: Any) -> Mapping[str, Any] | None: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...
    async def execute(self, query: str, *args: Any) -> str: ...


async def driver(session: AsyncSession) -> Wire:
    """The asyncpg connection under a session, for hot statements.

    It is inside the session's own transaction because every scope of `kernel.tenancy` begins with a statement
    through SQLAlchemy, which is what opens the transaction on the wire.
    """
    raw = await (await session.connection()).get_raw_connection()
    return cast(Wire, raw.driver_connection)


@asynccontextmanager
async def raw() -> AsyncGenerator[Wire, None]:
    """A pooled connection outside any transaction: each statement commits by itself. For one-statement hot paths."""
    wires = _Engine.wires.get(engine()) or await _open_wires(engine())
    async with wires.acquire(timeout=WAIT_SECONDS) as connection:
        yield cast(Wire, connection)


async def _open_wires(beside: AsyncEngine) -> Any:
    # Not the engine's own connections: their way through its pool costs as much again as a small statement.
    opened = cast(Any, asyncpg).create_pool(
        plain_url(beside.url.render_as_string(hide_password=False)),
        min_size=0,
        max_size=cast(Any, beside.pool).size(),
        server_settings=SESSION,
        reset=_as_it_is,
    )
    await opened  # opens none yet, so no second caller comes between
    _Engine.wires[beside] = opened
    return opened


async def _as_it_is(connection: object) -> None:
    """Between statements a connection of `raw` holds nothing to reset."""


class Connection(Wire, Protocol):
    """A connection of one's own, outside the engine's pool."""

    async def close(self) -> None: ...


async def open_connection(url: str, *, name: str = "shipcrowd") -> Connection:
    """Connect to `url` (a plain or SQLAlchemy PostgreSQL URL); the caller closes it."""
    connect_untyped = cast(Any, asyncpg).connect
    opened = await connect_untyped(plain_url(url), server_settings={"application_name": name, "timezone": "UTC"})
    return cast(Connection, opened)
