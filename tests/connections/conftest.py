"""Accounts of an imaginary vendor."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from shipcrowd.connections import routes, service
from shipcrowd.connections.models import Connection, Kind
from shipcrowd.kernel import tenancy
from tests.connections.make import keys

Connect = Callable[..., Awaitable[Connection]]


@pytest.fixture(autouse=True)
def _no_remembered_routes() -> None:
    routes._Known.by_account.clear()


@pytest.fixture
def shop() -> str:
    return f"kaveri-{uuid4().hex[:10]}.bazaar.example"


@pytest.fixture
def connect(company: UUID, shop: str) -> Connect:
    async def make(
        credentials: BaseModel | None = None,
        *,
        by: UUID | None = None,
        external_id: str | None = None,
        kind: Kind = Kind.channel,
    ) -> Connection:
        async with tenancy.acting_for(by or company) as session:
            return await service.connect(
                session,
                vendor="bazaar",
                kind=kind,
                external_id=external_id or shop,
                name="Kaveri Handlooms",
                credentials=credentials or keys(),
            )

    return make
