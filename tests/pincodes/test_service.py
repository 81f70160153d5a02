from uuid import UUID

import pytest

from shipcrowd.kernel import db
from shipcrowd.kernel.tenancy import acting_for, unowned
from shipcrowd.pincodes import service
from shipcrowd.pincodes.metros import Metro
from shipcrowd.pincodes.schemas import Place

KOCHI = Place(pincode="682001", city="Ernakulam", district="Ernakulam", state="KL")


@pytest.mark.parametrize(
    ("typed", "differs"),
    [("Kerala", False), ("kerala", False), ("Tamil Nadu", True), ("", False), (None, False), ("Wonderland", False)],
)
def test_a_typed_state_that_is_another_is_flagged_and_an_unreadable_one_is_not(typed: str | None, differs: bool):
    assert service.mismatch(KOCHI, typed) is differs


def test_digits_alone_tell_state_and_metro():
    assert service.by_digits("560999") == Place(
        pincode="560999", city="Bengaluru", district="", state="KA", metro=Metro.bengaluru, listed=False
    )
    assert service.by_digits("900056") is None
    assert service.by_digits("56099") is None


@pytest.mark.postgres
async def test_a_pincode_is_placed(company: UUID):
    async with acting_for(company) as session:
        place = await service.place(session, "560001")
    assert place == Place(
        pincode="560001", city="Bengaluru", district="Bengaluru Urban", state="KA", metro=Metro.bengaluru
    )


@pytest.mark.postgres
async def test_many_are_placed_in_one_query_and_the_unknown_are_missing():
    async with unowned() as session:
        found = await service.places(session, ["110001", "786001", "560999", "900056", "12", "110001"])
    assert {pincode: (place.state, place.listed) for pincode, place in found.items()} == {
        "110001": ("DL", True),
        "786001": ("AS", True),
        "560999": ("KA", False),
    }


@pytest.mark.postgres
async def test_what_is_no_pincode_is_nowhere():
    async with unowned() as session:
        assert await service.place(session, "abc") is None
        assert await service.places(session, []) == {}


@pytest.mark.postgres
async def test_loading_again_repairs_what_changed_and_touches_nothing_else(database_urls: tuple[str, str]):
    versions = "SELECT string_agg(xmin::text, ',') FROM pincodes WHERE state = 'GA'"
    owner = await db.open_connection(database_urls[0])
    try:
        await owner.execute("BEGIN")
        before, goa = await owner.fetchval("SELECT count(*) FROM pincodes"), await owner.fetchval(versions)
        await owner.execute("UPDATE pincodes SET district = 'Elsewhere' WHERE pincode = '560001'")
        written = await service.load(owner)
        assert written == before == await owner.fetchval("SELECT count(*) FROM pincodes")
        assert await owner.fetchval("SELECT district FROM pincodes WHERE pincode = '560001'") == "Bengaluru Urban"
        assert await owner.fetchval(versions) == goa
    finally:
        await owner.close()
