"""Row ids: UUIDv7, made in Python because PostgreSQL before 18 has none. They sort by the time they were made."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh, time-ordered id."""
    return uuid7()
