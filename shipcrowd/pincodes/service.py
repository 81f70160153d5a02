"""Looking up where pincodes are. The directory itself is `directory`; what a distance costs is `ratecards`."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel.errors import NotFound
from shipcrowd.pincodes.address import PINCODE
from shipcrowd.pincodes.directory import load
from shipcrowd.pincodes.metros import METRO_NAMES, Metro, metro
from shipcrowd.pincodes.models import Pincode
from shipcrowd.pincodes.schemas import Place
from shipcrowd.pincodes.states import state_code, state_of_pincode

__all__ = ["Metro", "UnknownPincode", "by_digits", "load", "metro", "mismatch", "place", "places"]


class UnknownPincode(NotFound):
    """This pincode is not in use."""


async def place(session: AsyncSession, pincode: str) -> Place | None:
    """Where a pincode is; None for what is no pincode, the army's, and prefixes not in use. Any session will do."""
    return (await places(session, [pincode])).get(pincode)


async def places(session: AsyncSession, pincodes: Iterable[str]) -> dict[str, Place]:
    """Where each pincode is, in one query; a pincode nobody can place is missing from the answer."""
    wanted = {pincode for pincode in pincodes if PINCODE.fullmatch(pincode)}
    if not wanted:
        return {}
    found = (
        await session.execute(
            select(Pincode.pincode, Pincode.city, Pincode.district, Pincode.state).where(Pincode.pincode.in_(wanted))
        )
    ).all()
    listed = {
        pincode: Place(pincode=pincode, city=city, district=district, state=state, metro=metro(pincode))
        for pincode, city, district, state in found
    }
    guessed = {pincode: by_digits(pincode) for pincode in wanted - listed.keys()}
    return listed | {pincode: known for pincode, known in guessed.items() if known is not None}


def by_digits(pincode: str) -> Place | None:
    """What a pincode's digits alone say: its state and metropolitan area. For pincodes newer than the directory."""
    state = state_of_pincode(pincode) if PINCODE.fullmatch(pincode) else None
    if state is None:
        return None
    cluster = metro(pincode)
    return Place(
        pincode=pincode,
        city=METRO_NAMES[cluster] if cluster else "",
        district="",
        state=state,
        metro=cluster,
        listed=False,
    )


def mismatch(place: Place, typed_state: str | None) -> bool:
    """True when the typed state is a known state and another than the pincode's. A flag for a person to look at,
    never a reason to refuse: buyers type the state carelessly, and the pincode decides where a parcel goes."""
    typed = state_code(typed_state)
    return typed is not None and typed != place.state
