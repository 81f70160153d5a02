import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipcrowd.pincodes.metros import Metro, metro
from shipcrowd.pincodes.schemas import Place
from shipcrowd.pincodes.states import BY_CODE
from shipcrowd.ratecards.zones import REMOTE, Zone, zone


def at(pincode: str, state: str, district: str = "") -> Place:
    return Place(pincode=pincode, city=district, district=district, state=state, metro=metro(pincode))


DELHI = at("110001", "DL", "New Delhi")
GURUGRAM = at("122001", "HR", "Gurugram")
KARNAL = at("132001", "HR", "Karnal")
MUMBAI = at("400001", "MH", "Mumbai")
PANVEL = at("410206", "MH", "Raigad")
LONAVALA = at("410401", "MH", "Pune")
PUNE = at("411001", "MH", "Pune")
AURANGABAD = at("431001", "MH", "Aurangabad")
AURANGABAD_IN_BIHAR = at("824101", "BR", "Aurangabad")
BENGALURU = at("560001", "KA", "Bengaluru Urban")
MYSURU = at("570001", "KA", "Mysuru")
JAIPUR = at("302001", "RJ", "Jaipur")
GUWAHATI = at("781001", "AS", "Kamrup Metro")
DISPUR = at("781006", "AS", "Kamrup Metro")
DIBRUGARH = at("786001", "AS", "Dibrugarh")
SRINAGAR = at("190001", "JK", "Srinagar")
LEH = at("194101", "LA", "Leh Ladakh")
PORT_BLAIR = at("744101", "AN", "South Andaman")
KOCHI = at("682001", "KL", "Ernakulam")
KOLLAM = at("691001", "KL", "Kollam")
SHIMLA = at("171001", "HP", "Shimla")
NEW_IN_DELHI = at("110999", "DL")
NEW_IN_RAJASTHAN = at("302999", "RJ")


@pytest.mark.parametrize(
    ("origin", "destination", "expected"),
    [
        (DELHI, DELHI, "a"),
        (DELHI, GURUGRAM, "a"),  # one metropolitan area in two states
        (MUMBAI, PANVEL, "a"),
        (DELHI, NEW_IN_DELHI, "a"),  # not listed: its digits suffice
        (GUWAHATI, DISPUR, "a"),  # the same city, though remote
        (JAIPUR, JAIPUR, "a"),
        (PUNE, LONAVALA, "b"),  # one district, but a metropolitan area ends where its prefixes end
        (GURUGRAM, KARNAL, "b"),
        (BENGALURU, MYSURU, "b"),
        (MUMBAI, PUNE, "b"),  # two metros of one state
        (JAIPUR, NEW_IN_RAJASTHAN, "b"),
        (DELHI, MUMBAI, "c"),
        (BENGALURU, PUNE, "c"),
        (DELHI, JAIPUR, "d"),
        (AURANGABAD, AURANGABAD_IN_BIHAR, "d"),  # two districts of one name
        (KOCHI, KOLLAM, "b"),
        (DELHI, SHIMLA, "d"),
        (DELHI, GUWAHATI, "e"),
        (GUWAHATI, DIBRUGARH, "e"),
        (SRINAGAR, DELHI, "e"),
        (DELHI, LEH, "e"),
        (DELHI, PORT_BLAIR, "e"),
        (DELHI, None, "e"),
        (None, DELHI, "e"),
        (None, None, "e"),
    ],
)
def test_the_zone_between_two_places(origin: Place | None, destination: Place | None, expected: str):
    assert zone(origin, destination) == zone(destination, origin) == expected


def test_a_card_may_ask_for_the_same_state_before_remoteness():
    assert zone(GUWAHATI, DIBRUGARH, b_before_e=False) is Zone.e
    assert zone(GUWAHATI, DIBRUGARH, b_before_e=True) is Zone.b
    assert zone(DELHI, DIBRUGARH, b_before_e=True) is Zone.e
    assert zone(GUWAHATI, DISPUR, b_before_e=True) is Zone.a


def test_kerala_and_himachal_are_remote_where_the_card_says_so():
    assert zone(DELHI, SHIMLA, kl_hp_in_e=True) is Zone.e
    assert zone(KOCHI, KOLLAM, kl_hp_in_e=True) is Zone.e
    assert zone(KOCHI, KOLLAM, kl_hp_in_e=True, b_before_e=True) is Zone.b
    assert zone(DELHI, JAIPUR, kl_hp_in_e=True) is Zone.d


def test_a_card_may_count_fewer_metros():
    six = set(Metro) - {Metro.pune, Metro.ahmedabad}
    assert zone(BENGALURU, PUNE, metros=six) is Zone.d
    assert zone(BENGALURU, MUMBAI, metros=six) is Zone.c
    assert zone(PUNE, at("411045", "MH", "Pune"), metros=six) is Zone.a


somewhere = st.builds(
    at,
    st.from_regex(r"[1-8]\d{5}", fullmatch=True),
    st.sampled_from(sorted(BY_CODE)),
    st.sampled_from(["", "Pune", "Jaipur"]),
)


@given(somewhere, somewhere, st.booleans(), st.booleans())
def test_there_and_back_are_the_same_zone(origin: Place, destination: Place, b_first: bool, more: bool):
    there = zone(origin, destination, b_before_e=b_first, kl_hp_in_e=more)
    assert there is zone(destination, origin, b_before_e=b_first, kl_hp_in_e=more)


@given(somewhere, somewhere)
def test_another_state_that_is_remote_is_always_e_unless_it_is_the_same_city(origin: Place, destination: Place):
    found = zone(origin, destination)
    if {origin.state, destination.state} & REMOTE:
        assert found in {Zone.a, Zone.e}
    else:
        assert found is not Zone.e
