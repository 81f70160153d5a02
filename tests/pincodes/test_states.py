import pytest

from shipcrowd.pincodes.states import BY_CODE, BY_GST, STATES, state_code, state_of_pincode


def test_codes_and_gst_numbers_name_one_state_each():
    assert len({state.code for state in STATES}) == len({state.gst for state in STATES}) == len(STATES) == 36


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("Karnataka", "KA"),
        ("karnataka ", "KA"),
        ("TAMIL NADU", "TN"),
        ("Tamilnadu", "TN"),
        ("Jammu & Kashmir", "JK"),
        ("JAMMU AND KASHMIR", "JK"),
        ("J&K", "JK"),
        ("Andaman & Nicobar", "AN"),
        ("NCT of Delhi", "DL"),
        ("New Delhi", "DL"),
        ("Pondicherry", "PY"),
        ("Orissa", "OD"),
        ("The Dadra and Nagar Haveli and Daman and Diu", "DH"),
        ("Daman & Diu", "DH"),
        ("Ladakh", "LA"),
        ("Lakshadweep", "LD"),
        ("IN-MH", "MH"),
        ("in_mh", "MH"),
        ("29", "KA"),
        ("7", "DL"),
        ("28", "AP"),
        ("25", "DH"),
    ],
)
def test_a_state_is_known_by_its_many_spellings(typed: str, code: str):
    assert state_code(typed) == code


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [("UT", "UK", "UK"), ("OR", "OD", "OD"), ("CT", "CG", "CG"), ("TS", "TG", "TG"), ("DN", "DH", "DH")],
)
def test_old_and_new_province_codes_mean_the_same_state(old: str, new: str, code: str):
    assert state_code(old) == state_code(new) == state_code(old.lower()) == code


@pytest.mark.parametrize("typed", [None, "", "  ", "California", "XX", "99", "00", "IN", "&", "97"])
def test_what_is_no_state_is_none(typed: str | None):
    assert state_code(typed) is None


def test_every_code_name_and_gst_number_leads_back_to_its_state():
    for state in STATES:
        for spelling in (state.code, state.name, state.gst, *state.also):
            assert state_code(spelling) == state.code, spelling


def test_ladakh_and_other_territory_have_gst_numbers():
    assert BY_GST["38"] == "LA"
    assert "97" in BY_GST
    assert BY_GST["97"] is None


def test_union_territories_without_a_legislature_pay_utgst():
    assert {state.gst for state in STATES if state.utgst} == {"04", "26", "31", "35", "38"}
    assert not BY_CODE["DL"].utgst
    assert not BY_CODE["PY"].utgst


@pytest.mark.parametrize(
    ("pincode", "state"),
    [
        ("110001", "DL"),
        ("122001", "HR"),
        ("160017", "CH"),
        ("160055", "PB"),  # Mohali under Chandigarh's prefix
        ("160104", "PB"),
        ("194101", "LA"),
        ("190001", "JK"),
        ("244712", "UK"),  # Kashipur under Uttar Pradesh's prefix
        ("244714", "UP"),
        ("247667", "UK"),  # Roorkee
        ("247001", "UP"),
        ("246701", "UP"),  # Bijnor under Uttarakhand's prefix
        ("246001", "UK"),
        ("262001", "UP"),  # Pilibhit
        ("262501", "UK"),
        ("248001", "UK"),
        ("362520", "DH"),  # Diu
        ("396210", "DH"),  # Daman
        ("396230", "DH"),  # Silvassa
        ("396195", "GJ"),
        ("403001", "GA"),
        ("500001", "TG"),
        ("520001", "AP"),
        ("605001", "PY"),
        ("609601", "PY"),  # Karaikal
        ("673310", "PY"),  # Mahe
        ("673001", "KL"),
        ("682555", "LD"),
        ("682001", "KL"),
        ("737101", "SK"),
        ("744101", "AN"),
        ("781001", "AS"),
        ("791111", "AR"),
        ("793001", "ML"),
        ("799001", "TR"),
        ("822101", "JH"),
        ("823001", "BR"),
    ],
)
def test_a_pincode_tells_its_state(pincode: str, state: str):
    assert state_of_pincode(pincode) == state


@pytest.mark.parametrize("pincode", ["900056", "999999", "100000", "", "1100", "1100011", "abcdef"])
def test_the_army_and_prefixes_not_in_use_have_no_state(pincode: str):
    assert state_of_pincode(pincode) is None
