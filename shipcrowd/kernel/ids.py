"""Row ids: UUIDv7, made in Python because PostgreSQL before 18 has none. They sort by the time they were made."""

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh, time-ordered id."""
    return uuid7()


def first_id_of(moment: datetime) -> UUID:
    """The smallest id that could be made at `moment`: every id made before is smaller."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
