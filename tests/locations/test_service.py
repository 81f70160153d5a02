"""Places: what is taken, what is refused, which is the default, and what couriers know of them."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from shipcrowd.kernel import audit, crypto, db, events, jobs
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for, unowned
from shipcrowd.locations import service
from shipcrowd.locations.events import PlaceChanged
from shipcrowd.locations.models import PlaceKind, RegistrationState
from shipcrowd.pincodes.gstin import check_character
from tests.locations.make import change, create, get
from tests.support import drain

pytestmark = pytest.mark.postgres

heard: list[UUID] = []


@jobs.job(name="tests.locations.hear")
async def hear(company_id: UUID, place_id: UUID) -> None:
    heard.append(place_id)


@pytest.fixture
async def listening() -> Any:
    heard.clear()
    async with unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    before = events._Wired.listeners
    events.listen({PlaceChanged: [hear]})
    yield heard
    events.listen(before)


@pytest.fixture
def account() -> Iterator[UUID]:
    """A courier account."""
    return new_id()  # type: ignore[return-value]


async def told(company: UUID) -> list[UUID]:
    """Which places listeners heard of since this was last asked."""
    await drain()
    said, heard[:] = list(heard), []
    return said


async def test_a_place_comes_back_as_it_was_given(company: UUID):
    made = await create(company)
    place = await get(company, made.id)
    assert place == made
    assert (place.name, place.kind, place.contact) == ("Peenya warehouse", PlaceKind.both, "Ravi Menon")
    assert place.address.line2 == "Near the water tank"
    assert place.address.mobile == "9000000001"
    assert place.address.gaps() == {}
    assert (place.address.state, place.address.pincode) == ("Karnataka", "560058")
    assert place.gstin == "29AAPFU0939F1ZR"
    assert place.active
    assert place.registered_as is None


async def test_who_and_where_exactly_is_sealed_in_the_database(company: UUID):
    made = await create(company)
    async with acting_for(company) as session:
        row = await (await db.driver(session)).fetchrow("SELECT * FROM places")
    assert row is not None
    clear = str({name: value for name, value in row.items() if name != "pii"}) + repr(row["pii"])
    for secret in ("Ravi", "90000", "dispatch@", "3rd Cross", "water tank"):
        assert secret not in clear
    with pytest.raises(crypto.CannotDecrypt):
        crypto.keyring().open_json(row["pii"], f"place:{new_id()}:{made.id}")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"contact": " "}, "contact"),
        ({"line1": ""}, "line1"),
        ({"city": "\n"}, "city"),
        ({"phone": "12345"}, "phone"),
        ({"pincode": "56005"}, "pincode"),
        ({"pincode": "999999"}, "pincode"),
        ({"email": "nobody"}, "email"),
        ({"gstin": "29AAPFU0939F1ZX"}, "gstin"),
        ({"gstin": "29AAPFU"}, "gstin"),
    ],
    ids=lambda value: str(value),
)
async def test_a_place_no_courier_could_find_is_refused_and_not_kept(
    company: UUID, changes: dict[str, Any], field: str
):
    with pytest.raises(Invalid) as refused:
        await create(company, **changes)
    assert refused.value.field == field
    async with acting_for(company) as session:
        assert await service.places(session) == ([], None)


async def test_everything_that_is_missing_is_told_at_once(company: UUID):
    with pytest.raises(service.IncompleteAddress) as refused:
        await create(company, contact="", line1="", pincode="1")
    assert [each["field"] for each in refused.value.extra["errors"]] == ["contact", "line1", "pincode"]


async def test_a_typed_state_is_kept_and_a_gstin_is_put_in_order(company: UUID):
    number = "27AAPFU0939F1Z" + check_character("27AAPFU0939F1Z")
    place = await create(company, state="Karnatak", gstin=f" {number.lower()} ")
    assert (place.address.state, place.gstin) == ("Karnatak", number)


async def test_two_places_of_a_company_have_two_names_and_companies_do_not_mind_each_other(company: UUID):
    await create(company)
    with pytest.raises(service.PlaceNameTaken) as refused:
        await create(company, name=" Peenya   warehouse ")
    assert refused.value.field == "name"
    other = await create(company, name="Hosur")
    with pytest.raises(service.PlaceNameTaken):
        await change(company, other.id, name="Peenya warehouse")
    assert (await get(company, other.id)).name == "Hosur"
    await create(new_id())


async def test_another_companys_place_is_not_there(company: UUID):
    place = await create(company)
    other = new_id()
    with pytest.raises(service.NoSuchPlace):
        await get(other, place.id)
    with pytest.raises(service.NoSuchPlace):
        await change(other, place.id, city="Mysuru")
    assert (await get(company, place.id)).address.city == "Bengaluru"


# ---- changing


async def test_only_what_is_given_is_changed(company: UUID):
    place = await create(company)
    changed = await change(company, place.id, phone="9111111111", email=None)
    assert changed.address == place.address.model_copy(update={"phone": "9111111111", "email": None})
    assert changed == await get(company, place.id)
    assert changed.version == place.version + 1


async def test_a_new_pincode_brings_its_own_state(company: UUID):
    place = await create(company)
    moved = await change(company, place.id, pincode="400093", city="Mumbai")
    assert moved.address.state == "Maharashtra"


async def test_a_change_that_makes_a_place_unfindable_is_refused_and_changes_nothing(company: UUID):
    place = await create(company)
    with pytest.raises(service.IncompleteAddress):
        await change(company, place.id, phone="12")
    assert await get(company, place.id) == place


async def test_what_was_done_is_in_the_audit_without_personal_data(company: UUID):
    place = await create(company)
    await change(company, place.id, phone="9111111111", city="Mysuru")
    async with acting_for(company) as session:
        entries = await audit.of(session, f"place:{place.id}")
    assert [entry.action for entry in entries] == ["place.changed", "place.created"]
    assert entries[0].details == {"fields": ["city", "phone"]}


async def test_listeners_hear_of_what_couriers_must_be_told_and_of_nothing_else(company: UUID, listening: Any):
    place = await create(company)
    assert await told(company) == [place.id]
    await change(company, place.id, line1="15, 3rd Cross")
    assert await told(company) == [place.id]
    await change(company, place.id, line1="15, 3rd Cross")  # as it is
    await change(company, place.id, kind="pickup")
    assert await told(company) == []
    async with acting_for(company) as session:
        await service.deactivate(session, place.id, actor="system")
    assert await told(company) == []
    async with acting_for(company) as session:
        await service.activate(session, place.id, actor="system")
        await service.activate(session, place.id, actor="system")
    assert await told(company) == [place.id]


# ---- defaults


async def defaults(company: UUID) -> tuple[str | None, str | None]:
    """The names of the default for pickups and of the default for returns."""
    async with acting_for(company) as session:
        pickup, back = await service.default_pickup(session), await service.default_return(session)
    return pickup and pickup.name, back and back.name


async def make_default(company: UUID, place_id: UUID, **what: bool) -> None:
    async with acting_for(company) as session:
        await service.set_default(session, place_id, actor="system", **what)


async def test_the_first_place_of_a_kind_is_its_default(company: UUID):
    assert await defaults(company) == (None, None)
    await create(company, name="Pickup", kind="pickup")
    assert await defaults(company) == ("Pickup", None)
    await create(company, name="Both", kind="both")
    assert await defaults(company) == ("Pickup", "Both")
    await create(company, name="Return", kind="return")
    assert await defaults(company) == ("Pickup", "Both")


async def test_a_new_default_takes_the_place_of_the_old(company: UUID):
    await create(company, name="Old")
    new = await create(company, name="New")
    await make_default(company, new.id, pickup=True)
    assert await defaults(company) == ("New", "Old")
    await make_default(company, new.id, pickup=True, returns=True)
    assert await defaults(company) == ("New", "New")
    await make_default(company, new.id)
    assert await defaults(company) == ("New", "New")


async def test_a_place_is_no_default_for_what_it_is_not_meant_for(company: UUID):
    await create(company, name="Both")
    back = await create(company, name="Return", kind="return")
    with pytest.raises(service.WrongKind):
        await make_default(company, back.id, pickup=True, returns=True)
    assert await defaults(company) == ("Both", "Both")


async def test_a_place_out_of_use_is_no_default_and_becomes_none(company: UUID):
    place = await create(company, name="Only")
    async with acting_for(company) as session:
        await service.deactivate(session, place.id, actor="system")
    assert await defaults(company) == (None, None)
    with pytest.raises(service.PlaceNotInUse):
        await make_default(company, place.id, pickup=True)
    assert await defaults(company) == (None, None)
    async with acting_for(company) as session:
        assert (await service.activate(session, place.id, actor="system")).active


async def test_a_changed_kind_gives_up_the_default_it_no_longer_fits(company: UUID):
    place = await create(company, name="Both")
    await change(company, place.id, kind="return")
    assert await defaults(company) == (None, "Both")


async def test_first_places_made_at_the_same_moment_have_one_default_among_them(company: UUID):
    made = await asyncio.gather(*(create(company, name=f"Place {n}") for n in range(12)))
    assert sum(place.default_pickup for place in made) == 1
    assert sum(place.default_return for place in made) == 1


async def test_defaults_chosen_at_the_same_moment_leave_one(company: UUID):
    made = [await create(company, name=f"Place {n}") for n in range(6)]
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(make_default(company, place.id, pickup=n % 2 == 0, returns=n % 3 != 0) for n, place in enumerate(made)),
            *(make_default(company, place.id, pickup=True) for place in reversed(made)),
        )
    async with acting_for(company) as session:
        found, _ = await service.places(session)
    assert sum(place.default_pickup for place in found) == 1
    assert sum(place.default_return for place in found) == 1


async def test_one_name_for_many_at_the_same_moment_is_one_place(company: UUID):
    done = await asyncio.gather(*(create(company) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(result, service.PlaceNameTaken) for result in done) == 5


async def test_the_database_itself_refuses_a_second_default(company: UUID):
    await create(company, name="One")
    await create(company, name="Two")
    with pytest.raises(IntegrityError, match="uq_places_default_pickup"):
        async with acting_for(company) as session:
            await session.execute(text("UPDATE places SET default_pickup = true"))


# ---- lists


async def test_places_are_listed_by_kind_and_use_newest_first_in_pages(company: UUID):
    for name, kind in (("A", "pickup"), ("B", "return"), ("C", "both"), ("D", "pickup")):
        place = await create(company, name=name, kind=kind)
    async with acting_for(company) as session:
        await service.deactivate(session, place.id, actor="system")

    async def names(**filters: Any) -> str:
        async with acting_for(company) as session:
            found, _ = await service.places(session, **filters)
        return "".join(place.name for place in found)

    assert await names() == "DCBA"
    assert await names(kind=PlaceKind.pickup) == "DCA"
    assert await names(kind=PlaceKind.return_) == "CB"
    assert await names(active=True) == "CBA"
    assert await names(active=False) == "D"
    async with acting_for(company) as session:
        first, after = await service.places(session, limit=3)
        rest, end = await service.places(session, limit=3, after=after)
    assert ["".join(place.name for place in page) for page in (first, rest)] == ["DCB", "A"]
    assert end is None


# ---- what couriers know


async def record(company: UUID, place_id: UUID, account_id: UUID, version: int, **outcome: str) -> bool:
    async with acting_for(company) as session:
        return await service.record_registration(
            session, place_id, account_id=account_id, courier="velocity", version=version, **outcome
        )


async def known(company: UUID, place_id: UUID) -> list[tuple[RegistrationState, str | None, str | None]]:
    async with acting_for(company) as session:
        found = (await service.registrations(session, [place_id]))[place_id]
    return [(each.state, each.registered_as, each.error) for each in found]


async def test_a_registered_place_carries_its_id_at_that_account_only(company: UUID, account: UUID):
    place = await create(company)
    assert await record(company, place.id, account, place.version, registered_as="WH66DU")
    assert await known(company, place.id) == [(RegistrationState.registered, "WH66DU", None)]
    assert (await get(company, place.id, account)).registered_as == "WH66DU"
    assert (await get(company, place.id, new_id())).registered_as is None
    assert (await get(company, place.id)).registered_as is None


async def test_a_failed_registration_keeps_the_couriers_words_until_it_works(company: UUID, account: UUID):
    place = await create(company)
    await record(company, place.id, account, place.version, error="pincode not serviceable")
    assert await known(company, place.id) == [(RegistrationState.failed, None, "pincode not serviceable")]
    await record(company, place.id, account, place.version, registered_as="WH1")
    assert await known(company, place.id) == [(RegistrationState.registered, "WH1", None)]
    await record(company, place.id, account, place.version)
    assert await known(company, place.id) == [(RegistrationState.pending, None, None)]


async def test_an_edited_address_makes_every_registration_pending(company: UUID, account: UUID):
    place = await create(company)
    await record(company, place.id, account, place.version, registered_as="WH1")
    await record(company, place.id, new_id(), place.version, error="no")
    await change(company, place.id, kind="pickup")
    assert {state for state, _, _ in await known(company, place.id)} == {"registered", "failed"}
    await change(company, place.id, line1="15, 3rd Cross")
    assert await known(company, place.id) == [(RegistrationState.pending, None, None)] * 2
    assert (await get(company, place.id, account)).registered_as is None


async def test_a_courier_told_of_the_old_address_does_not_count_as_knowing_the_new(company: UUID, account: UUID):
    """The edit comes while the courier is being asked."""
    place = await create(company)
    changed = await change(company, place.id, line1="15, 3rd Cross")
    assert not await record(company, place.id, account, place.version, registered_as="WH1")
    assert await known(company, place.id) == [(RegistrationState.pending, None, None)]
    assert await record(company, place.id, account, changed.version, registered_as="WH2")
    assert await known(company, place.id) == [(RegistrationState.registered, "WH2", None)]


async def test_one_account_registered_many_times_at_once_has_one_row(company: UUID, account: UUID):
    place = await create(company)
    await asyncio.gather(
        *(record(company, place.id, account, place.version, registered_as=f"WH{n}") for n in range(10))
    )
    assert len(await known(company, place.id)) == 1


async def test_registrations_of_many_places_are_one_query_and_complete(company: UUID, account: UUID):
    places = [await create(company, name=f"Place {n}") for n in range(3)]
    await record(company, places[0].id, account, 1, registered_as="WH1")
    async with acting_for(company) as session:
        found = await service.registrations(session, [place.id for place in places])
    assert [len(found[place.id]) for place in places] == [1, 0, 0]
    async with acting_for(new_id()) as session:
        assert await service.registrations(session, [places[0].id]) == {places[0].id: []}


async def test_an_outcome_is_an_id_or_an_error_not_both(company: UUID, account: UUID):
    place = await create(company)
    with pytest.raises(ValueError, match="not both"):
        await record(company, place.id, account, 1, registered_as="WH1", error="no")
