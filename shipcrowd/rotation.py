"""Sealing everything again with the newest key, in small transactions, so that an old key can be thrown away.

Stored answers to repeated requests (`kernel.idempotency`) are not touched: they are gone after seven days, so an old
key is kept that long after a rotation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, tuple_

from shipcrowd.channels import failures
from shipcrowd.channels.models import FailedItem
from shipcrowd.connections import sealing
from shipcrowd.connections.models import Connection
from shipcrowd.identity.models import User
from shipcrowd.kernel import app_secrets, crypto, inbox, tenancy
from shipcrowd.kernel.app_secrets import AppSecret
from shipcrowd.kernel.inbox import Delivery
from shipcrowd.locations import service as locations
from shipcrowd.locations.models import Place
from shipcrowd.orders import pii
from shipcrowd.orders.models import Order
from shipcrowd.shipping import booking, tracking
from shipcrowd.shipping.models import Shipment

BATCH = 500


@dataclass(frozen=True)
class Sealed:
    """A sealed column, and what its values are bound to."""

    model: type[Any]
    column: str
    about: Callable[[Any], str]


SEALED: tuple[Sealed, ...] = (
    Sealed(User, "pii", lambda row: f"user:{row.id}"),
    Sealed(Connection, "credentials", lambda row: sealing.about(row.company_id, row.id)),
    Sealed(Place, "pii", lambda row: locations.about(row.company_id, row.id)),
    Sealed(Order, "pii", pii.about_row),
    Sealed(Shipment, "pii", lambda row: booking.about(row.company_id, row.id)),
    Sealed(Shipment, "track_key", lambda row: booking.link_about(row.company_id, row.id)),
    Sealed(Shipment, "pod", lambda row: tracking.pod_about(row.company_id, row.id)),
    Sealed(AppSecret, "secret", lambda row: app_secrets.about(row.company_id, row.id)),
    Sealed(Delivery, "body", lambda row: inbox.about(row.company_id, row.id)),
    Sealed(FailedItem, "raw", lambda row: failures.about(row.company_id, row.connection_id, row.external_id)),
)
"""Every sealed column of the product; a test makes sure none is missing."""


async def rotate() -> dict[str, int]:
    """Seal what is not sealed with the newest key: `table.column` → how many values. Safe to run again, and twice."""
    return {f"{sealed.model.__tablename__}.{sealed.column}": await _one(sealed) for sealed in SEALED}


async def _one(sealed: Sealed) -> int:
    model, ring, done = sealed.model, crypto.keyring(), 0
    key = list(model.__table__.primary_key.columns)
    after: tuple[Any, ...] | None = None
    while True:
        async with tenancy.acting_for_platform(why="key rotation") as session:
            query = select(model).order_by(*key).limit(BATCH).with_for_update()
            if after is not None:
                query = query.where(tuple_(*key) > tuple_(*after))
            rows = (await session.execute(query)).scalars().all()
            for row in rows:
                value = getattr(row, sealed.column)
                if value is not None and not ring.is_current(value):
                    about = sealed.about(row)
                    setattr(row, sealed.column, ring.seal(ring.open(value, about), about))
                    done += 1
            if len(rows) < BATCH:
                return done
            after = tuple(getattr(rows[-1], column.name) for column in key)
