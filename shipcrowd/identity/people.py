"""A person's e-mail and name: sealed at rest, found by a keyed hash of the e-mail."""

import unicodedata
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.identity.models import User
from shipcrowd.kernel import clock
from shipcrowd.kernel.crypto import keyring, search_hash
from shipcrowd.kernel.errors import NotFound
from shipcrowd.kernel.ids import new_id


class NoSuchPerson(NotFound):
    """There is no such person here."""


@dataclass(frozen=True)
class Person:
    """Who someone is, opened."""

    id: UUID
    email: str
    name: str


def normal_email(email: str) -> str:
    """One spelling of an address: two that differ in case or composition are the same person's."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


def email_hash(email: str) -> bytes:
    return search_hash(normal_email(email), "user.email")


def opened(user_id: UUID, pii: bytes) -> Person:
    """Raises kernel.crypto.CannotDecrypt."""
    about = keyring().open_json(pii, f"user:{user_id}")
    return Person(user_id, about["email"], about["name"])


async def person(session: AsyncSession, user_id: UUID) -> Person:
    """Raises NoSuchPerson."""
    pii = await session.scalar(select(User.pii).where(User.id == user_id))
    if pii is None:
        raise NoSuchPerson()
    return opened(user_id, pii)


async def new_person(session: AsyncSession, *, email: str, name: str, password_hash: str) -> UUID | None:
    """The id of the person just stored; None when the e-mail is taken. Of two at the same moment one wins."""
    user_id = new_id()
    address = normal_email(email)
    return await session.scalar(
        insert(User)
        .values(
            id=user_id,
            email_hash=email_hash(address),
            pii=keyring().seal_json({"email": address, "name": name}, f"user:{user_id}"),
            password_hash=password_hash,
            failed_logins=0,
            created_at=clock.now(),
        )
        .on_conflict_do_nothing(index_elements=[User.email_hash])
        .returning(User.id)
    )
