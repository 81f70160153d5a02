import pytest

from shipcrowd.pincodes import directory
from shipcrowd.pincodes.directory import Row
from shipcrowd.pincodes.states import BY_CODE


@pytest.fixture(scope="module")
def listed() -> dict[str, Row]:
    return {row["pincode"]: row for row in directory.rows()}


def test_the_directory_holds_indias_pincodes_once(listed: dict[str, Row]):
    assert 19_000 < len(listed) < 21_000
    assert len(directory.rows()) == len(listed)
    assert {row["state"] for row in listed.values()} == set(BY_CODE)


def test_nearly_every_pincode_has_a_district(listed: dict[str, Row]):
    assert sum(1 for row in listed.values() if not row["district"]) < len(listed) / 100


@pytest.mark.parametrize(
    ("pincode", "city", "district", "state"),
    [
        ("560001", "Bengaluru", "Bengaluru Urban", "KA"),
        ("786001", "Dibrugarh", "Dibrugarh", "AS"),
        ("122001", "Delhi NCR", "Gurugram", "HR"),
        ("410206", "Mumbai", "Raigad", "MH"),
    ],
)
def test_a_row_says_city_district_and_state(listed: dict[str, Row], pincode: str, city: str, district: str, state: str):
    assert listed[pincode] == {"pincode": pincode, "city": city, "district": district, "state": state}


def test_a_head_office_the_source_puts_into_a_far_state_stays_where_it_is(listed: dict[str, Row]):
    # Agartala: the source says Telangana. Its state decides the zone; the district of another state is dropped.
    assert listed["799001"] == {"pincode": "799001", "city": "", "district": "", "state": "TR"}


def test_the_army_is_not_listed(listed: dict[str, Row]):
    assert not [pincode for pincode in listed if pincode.startswith("9")]
