import pytest

from shipcrowd.pincodes.address import Address, indian_mobile

COMPLETE = Address(
    name="Meera Nair", phone="+91 98470 12345", line1="14, Temple Road", city="Kochi", state="Kerala", pincode="682001"
)


@pytest.mark.parametrize(
    ("typed", "mobile"),
    [
        ("9847012345", "9847012345"),
        ("+91 98470 12345", "9847012345"),
        ("+91-98470-12345", "9847012345"),
        ("919847012345", "9847012345"),
        ("00919847012345", "9847012345"),
        ("09847012345", "9847012345"),
        ("9198470123", "9198470123"),  # ten digits that happen to begin with 91
        ("5847012345", None),
        ("98470 1234", None),
        ("+1 415 555 0100", None),
        ("0484 2345678", None),  # a landline
        ("", None),
        (None, None),
    ],
)
def test_a_mobile_number_is_its_ten_digits_however_it_was_typed(typed: str | None, mobile: str | None):
    assert indian_mobile(typed) == mobile


def test_a_complete_address_has_no_gaps():
    assert COMPLETE.gaps() == {}
    assert COMPLETE.mobile == "9847012345"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "  "),
        ("line1", ""),
        ("city", ""),
        ("pincode", "68200"),
        ("pincode", "082001"),
        ("phone", "12345"),
        ("phone", None),
        ("country", "AE"),
    ],
)
def test_what_a_courier_would_miss_is_named(field: str, value: str | None):
    assert list(COMPLETE.model_copy(update={field: value}).gaps()) == [field]


def test_an_address_abroad_has_one_gap_only():
    assert list(Address(country="US").gaps()) == ["country"]


def test_an_empty_address_lacks_everything():
    assert set(Address().gaps()) == {"name", "line1", "city", "pincode", "phone"}
