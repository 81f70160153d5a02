import pytest

from shipcrowd.pincodes.metros import CLUSTERS, METRO_NAMES, Metro, metro


@pytest.mark.parametrize(
    ("pincode", "area"),
    [
        ("110001", Metro.delhi),
        ("122001", Metro.delhi),
        ("121001", Metro.delhi),
        ("201301", Metro.delhi),
        ("400001", Metro.mumbai),
        ("400601", Metro.mumbai),
        ("401107", Metro.mumbai),
        ("421301", Metro.mumbai),
        ("410206", Metro.mumbai),  # Panvel
        ("410401", None),  # Lonavala: the same first three digits
        ("700001", Metro.kolkata),
        ("711101", Metro.kolkata),
        ("600001", Metro.chennai),
        ("560102", Metro.bengaluru),
        ("562123", None),
        ("500081", Metro.hyderabad),
        ("411001", Metro.pune),
        ("380001", Metro.ahmedabad),
        ("781001", None),
        ("", None),
    ],
)
def test_a_pincode_lies_in_its_metropolitan_area(pincode: str, area: Metro | None):
    assert metro(pincode) is area


def test_every_area_has_a_name_and_a_prefix_and_no_prefix_hides_another():
    assert set(METRO_NAMES) == set(CLUSTERS.values()) == set(Metro)
    assert not [(a, b) for a in CLUSTERS for b in CLUSTERS if a != b and b.startswith(a)]
