"""Adding and changing places, choosing the defaults, and what courier accounts know of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import audit, clock, crypto, events, pages
from shipcrowd.kernel.errors import Conflict, Invalid, NotFound
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import company_of
from shipcrowd.locations.events import PlaceChanged
from shipcrowd.locations.models import Place, PlaceKind, PlaceRegistration, RegistrationState
from shipcrowd.locations.schemas import NewPlace, PlaceChange, PlaceDetails, Registration
from shipcrowd.pincodes import service as pincodes
from shipcrowd.pincodes.address import Address
from shipcrowd.pincodes.gstin import read_gstin
from shipcrowd.pincodes.states import BY_CODE


class NoSuchPlace(NotFound):
    """There is no such place."""


class PlaceNameTaken(Conflict):
    """Another place of yours has this name."""


class IncompleteAddress(Invalid):
    """A courier could not find this place."""


class PlaceNotInUse(Conflict):
    """This place is not in use; take it into use first."""


class WrongKind(Conflict):
    """This place is not meant for that."""


# What couriers are told; a change of the rest does not concern them.
_TOLD = frozenset(NewPlace.model_fields) - {"kind"}
_SEALED = ("phone", "email", "company", "line1", "line2")


# ---- changing


async def create(session: AsyncSession, *, place: NewPlace, actor: str) -> PlaceDetails:
    """Add a place. The first one for pickups, and the first one for returns, becomes the default for them.

    Publishes PlaceChanged. Raises IncompleteAddress, InvalidGstin, PlaceNameTaken.
    """
    company_id = company_of(session)
    checked = await _checked(session, place)
    await _one_at_a_time(session)
    defaults = (
        await session.execute(
            select(func.bool_or(Place.default_pickup), func.bool_or(Place.default_return)).where(
                Place.company_id == company_id
            )
        )
    ).one()
    now = clock.now()
    row = Place(
        company_id=company_id,
        id=new_id(),
        kind=place.kind.value,
        default_pickup=place.kind.picks_up and not defaults[0],
        default_return=place.kind.takes_returns and not defaults[1],
        active=True,
        version=1,
        created_at=now,
        updated_at=now,
    )
    _fill(row, checked)
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        raise _name_taken(error, checked.name) from error
    await _record(session, actor, "place.created", row.id)
    await events.publish(session, PlaceChanged(company_id, row.id))
    return _details(row)


async def change(session: AsyncSession, place_id: UUID, *, changes: PlaceChange, actor: str) -> PlaceDetails:
    """Change the given fields of a place.

    When something changes that couriers were told, every registration is pending again and PlaceChanged is published.
    A default that no longer fits the kind is given up. Raises NoSuchPlace, and what `create` raises.
    """
    given = changes.model_dump(include=changes.model_fields_set)
    row = await _row(session, place_id, lock=True)
    before = _new_place(row)
    wanted = before.model_copy(update=given)
    if "pincode" in given and "state" not in given and wanted.pincode != before.pincode:
        wanted = wanted.model_copy(update={"state": ""})  # of the old pincode; the new one knows its own
    checked = await _checked(session, wanted)
    changed = {field for field in NewPlace.model_fields if getattr(checked, field) != getattr(before, field)}
    if not changed:
        return _details(row)
    row.kind = checked.kind.value
    row.default_pickup = row.default_pickup and checked.kind.picks_up
    row.default_return = row.default_return and checked.kind.takes_returns
    row.updated_at = clock.now()
    told = not changed.isdisjoint(_TOLD)
    if told:
        row.version += 1
        _fill(row, checked)
    try:
        async with session.begin_nested():
            await session.flush()
    except IntegrityError as error:
        raise _name_taken(error, checked.name) from error
    await _record(session, actor, "place.changed", place_id, fields=sorted(changed))
    if told:
        await _forget_registrations(session, place_id)
        await events.publish(session, PlaceChanged(row.company_id, place_id))
    return _details(row)


async def set_default(
    session: AsyncSession, place_id: UUID, *, pickup: bool = False, returns: bool = False, actor: str
) -> PlaceDetails:
    """Make a place the default for pickups, for returns, or for both, in place of the one that was.

    Raises NoSuchPlace, PlaceNotInUse, WrongKind.
    """
    await _one_at_a_time(session)
    row = await _row(session, place_id, lock=True)
    kind = PlaceKind(row.kind)
    if not row.active:
        raise PlaceNotInUse()
    if (pickup and not kind.picks_up) or (returns and not kind.takes_returns):
        raise WrongKind(f"it is for {'returns' if kind is PlaceKind.return_ else 'pickups'} only")
    # The old one first: the index that allows one default looks at every row as it is written.
    for wanted, column in ((pickup, Place.default_pickup), (returns, Place.default_return)):
        if wanted:
            others = update(Place).where(Place.company_id == row.company_id, Place.id != place_id, column)
            await session.execute(others.values({column.key: False, Place.updated_at.key: clock.now()}))
    row.default_pickup = row.default_pickup or pickup
    row.default_return = row.default_return or returns
    row.updated_at = clock.now()
    await session.flush()
    chosen = [word for word, wanted in (("pickup", pickup), ("return", returns)) if wanted]
    await _record(session, actor, "place.made_default", place_id, fields=chosen)
    return _details(row)


async def deactivate(session: AsyncSession, place_id: UUID, *, actor: str) -> PlaceDetails:
    """Take a place out of use: it is offered no more and is no default. What was shipped from it keeps it.

    Raises NoSuchPlace.
    """
    row = await _row(session, place_id, lock=True)
    if row.active:
        row.active = row.default_pickup = row.default_return = False
        row.updated_at = clock.now()
        await session.flush()
        await _record(session, actor, "place.deactivated", place_id)
    return _details(row)


async def activate(session: AsyncSession, place_id: UUID, *, actor: str) -> PlaceDetails:
    """Take a place into use again. Publishes PlaceChanged. Raises NoSuchPlace."""
    row = await _row(session, place_id, lock=True)
    if not row.active:
        row.active, row.updated_at = True, clock.now()
        await session.flush()
        await _record(session, actor, "place.activated", place_id)
        await events.publish(session, PlaceChanged(row.company_id, place_id))
    return _details(row)


# ---- reading


async def get(session: AsyncSession, place_id: UUID, *, account_id: UUID | None = None) -> PlaceDetails:
    """A place; with `account_id`, also its id at that courier account. Raises NoSuchPlace."""
    row = await _row(session, place_id)
    known = None
    if account_id is not None:
        known = await session.scalar(
            select(PlaceRegistration.registered_as).where(
                PlaceRegistration.company_id == row.company_id,
                PlaceRegistration.place_id == place_id,
                PlaceRegistration.account_id == account_id,
            )
        )
    return _details(row, registered_as=known)


async def default_pickup(session: AsyncSession) -> PlaceDetails | None:
    """Where parcels are picked up unless another place is named."""
    row = await session.scalar(select(Place).where(Place.company_id == company_of(session), Place.default_pickup))
    return None if row is None else _details(row)


async def default_return(session: AsyncSession) -> PlaceDetails | None:
    """Where parcels return to unless another place is named."""
    row = await session.scalar(select(Place).where(Place.company_id == company_of(session), Place.default_return))
    return None if row is None else _details(row)


async def places(
    session: AsyncSession,
    *,
    kind: PlaceKind | None = None,
    active: bool | None = None,
    after: str | None = None,
    limit: int = 50,
) -> tuple[list[PlaceDetails], str | None]:
    """The company's places, newest first, and the cursor of the next page. A `kind` of pickup or return also finds
    the places that are for both."""
    query = select(Place).where(Place.company_id == company_of(session))
    if kind is not None:
        query = query.where(Place.kind.in_([kind.value, PlaceKind.both.value]))
    if active is not None:
        query = query.where(Place.active.is_(active))
    if after is not None:
        query = query.where(pages.older_than(Place.created_at, Place.id, after))
    rows = await session.scalars(query.order_by(Place.created_at.desc(), Place.id.desc()).limit(limit + 1))
    kept, following = pages.page(rows.all(), limit, lambda row: (row.created_at, row.id))
    return [_details(row) for row in kept], following


# ---- what couriers know


async def registrations(session: AsyncSession, place_ids: Collection[UUID]) -> dict[UUID, list[Registration]]:
    """Each place's registrations, by courier, in one query. Every id asked for is in the answer."""
    found: dict[UUID, list[Registration]] = {place_id: [] for place_id in place_ids}
    rows = await session.scalars(
        select(PlaceRegistration)
        .where(PlaceRegistration.company_id == company_of(session), PlaceRegistration.place_id.in_(found))
        .order_by(PlaceRegistration.courier, PlaceRegistration.account_id)
    )
    for row in rows:
        found[row.place_id].append(
            Registration(
                row.place_id,
                row.account_id,
                row.courier,
                RegistrationState(row.state),
                row.registered_as,
                row.error,
                row.updated_at,
            )
        )
    return found


async def record_registration(
    session: AsyncSession,
    place_id: UUID,
    *,
    account_id: UUID,
    courier: str,
    version: int,
    registered_as: str | None = None,
    error: str | None = None,
) -> bool:
    """How it went to make a place known to a courier account: its id there, or why not, or neither: still pending.

    `version` is that of the `PlaceDetails` the courier was told. False, and nothing recorded but that it is pending,
    when the place changed meanwhile: the courier knows an address that is not the place's any more. Raises NoSuchPlace.
    """
    if registered_as and error:
        raise ValueError("a registration has an id at the courier or an error, not both")
    # The row's lock orders this with an edit: whichever comes second sees the other.
    row = await _row(session, place_id, lock=True)
    present = row.version == version
    state = RegistrationState.pending
    if present and registered_as:
        state = RegistrationState.registered
    elif present and error:
        state = RegistrationState.failed
    values: dict[str, Any] = {
        "courier": courier,
        "state": state.value,
        "registered_as": registered_as if state is RegistrationState.registered else None,
        "error": error if state is RegistrationState.failed else None,
        "updated_at": clock.now(),
    }
    await session.execute(
        insert(PlaceRegistration)
        .values(company_id=row.company_id, id=new_id(), place_id=place_id, account_id=account_id, **values)
        .on_conflict_do_update(index_elements=["company_id", "place_id", "account_id"], set_=values)
    )
    return present


async def _forget_registrations(session: AsyncSession, place_id: UUID) -> None:
    await session.execute(
        update(PlaceRegistration)
        .where(PlaceRegistration.company_id == company_of(session), PlaceRegistration.place_id == place_id)
        .values(state=RegistrationState.pending.value, registered_as=None, error=None, updated_at=clock.now())
    )


# ---- rows


async def _one_at_a_time(session: AsyncSession) -> None:
    """Whoever chooses a default waits here for the other: with no default yet there is no row to lock."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": f"places:{company_of(session)}"}
    )


async def _row(session: AsyncSession, place_id: UUID, *, lock: bool = False) -> Place:
    query = select(Place).where(Place.company_id == company_of(session), Place.id == place_id)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    row = await session.scalar(query)
    if row is None:
        raise NoSuchPlace()
    return row


async def _checked(session: AsyncSession, place: NewPlace) -> NewPlace:
    """The place with its GSTIN in capitals and its state filled in. Raises IncompleteAddress, InvalidGstin."""
    gaps = {("contact" if field == "name" else field): words for field, words in _address(place).gaps().items()}
    if "contact" in gaps:
        gaps["contact"] = "the name of who answers there is missing"
    if place.email and "@" not in place.email:
        gaps["email"] = f"{place.email[:40]} is no e-mail address"
    where = None
    if "pincode" not in gaps:
        where = await pincodes.place(session, place.pincode)
        if where is None:
            gaps["pincode"] = f"{place.pincode} is not a pincode in use"
    if gaps:
        raise IncompleteAddress(
            "; ".join(gaps.values()),
            field=next(iter(gaps)),
            errors=[{"field": field, "message": words} for field, words in gaps.items()],
        )
    assert where is not None
    return place.model_copy(
        update={
            "gstin": read_gstin(place.gstin).number if place.gstin else None,
            "state": place.state or BY_CODE[where.state].name,
        }
    )


def _address(place: NewPlace) -> Address:
    return Address(
        name=place.contact,
        phone=place.phone,
        email=place.email,
        company=place.company,
        line1=place.line1,
        line2=place.line2,
        city=place.city,
        state=place.state,
        pincode=place.pincode,
    )


def about(company_id: UUID, place_id: UUID) -> str:
    return f"place:{company_id}:{place_id}"


def _fill(row: Place, place: NewPlace) -> None:
    row.name, row.gstin = place.name, place.gstin
    row.city, row.state, row.pincode = place.city, place.state, place.pincode
    sealed = {"contact": place.contact} | {field: getattr(place, field) for field in _SEALED}
    row.pii = crypto.keyring().seal_json(sealed, about(row.company_id, row.id))


def _new_place(row: Place) -> NewPlace:
    """The row as it would be given anew."""
    sealed = cast(Mapping[str, str | None], crypto.keyring().open_json(row.pii, about(row.company_id, row.id)))
    return NewPlace.model_construct(  # stored values are not judged by today's rules
        None,
        name=row.name,
        kind=PlaceKind(row.kind),
        city=row.city,
        state=row.state,
        pincode=row.pincode,
        gstin=row.gstin,
        **sealed,
    )


def _details(row: Place, *, registered_as: str | None = None) -> PlaceDetails:
    return PlaceDetails(
        id=row.id,
        name=row.name,
        kind=PlaceKind(row.kind),
        address=_address(_new_place(row)),
        gstin=row.gstin,
        active=row.active,
        default_pickup=row.default_pickup,
        default_return=row.default_return,
        version=row.version,
        created_at=row.created_at,
        registered_as=registered_as,
    )


def _name_taken(error: IntegrityError, name: str) -> Exception:
    if "uq_places_company_id_name" in str(error.orig):
        return PlaceNameTaken(f"“{name}” is taken", field="name")
    return error


async def _record(
    session: AsyncSession, actor: str, action: str, place_id: UUID, *, fields: Sequence[str] = ()
) -> None:
    details = {"fields": list(fields)} if fields else {}
    await audit.record(session, actor=actor, action=action, subject=f"place:{place_id}", details=details)
