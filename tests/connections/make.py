"""Credentials of an imaginary vendor, and a look at an account as it stands now."""

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, SecretStr

from shipcrowd.connections import service
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import clock, tenancy


class Keys(BaseModel):
    """What real credentials have: secrets, a moment, an optional field, a list."""

    model_config = ConfigDict(frozen=True)

    token: SecretStr
    expires_at: datetime | None = None
    webhook_secret: SecretStr | None = None
    scopes: tuple[str, ...] = ()


def keys(token: str = "tok-one", *, minutes: float | None = None) -> Keys:
    until = None if minutes is None else clock.now() + timedelta(minutes=minutes)
    return Keys(token=SecretStr(token), expires_at=until, scopes=("read_orders",))


async def again(connection: Connection) -> Connection:
    async with tenancy.acting_for(connection.company_id) as session:
        return await service.get(session, connection.id)
