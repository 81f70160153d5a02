"""The metropolitan areas couriers treat as one city, by pincode prefix. Pure tables."""

from enum import StrEnum


class Metro(StrEnum):
    delhi = "delhi"  # the National Capital Region
    mumbai = "mumbai"  # with Thane, Kalyan and Panvel
    kolkata = "kolkata"  # with Howrah
    chennai = "chennai"
    bengaluru = "bengaluru"
    hyderabad = "hyderabad"
    pune = "pune"
    ahmedabad = "ahmedabad"


METRO_NAMES: dict[Metro, str] = {
    Metro.delhi: "Delhi NCR",
    Metro.mumbai: "Mumbai",
    Metro.kolkata: "Kolkata",
    Metro.chennai: "Chennai",
    Metro.bengaluru: "Bengaluru",
    Metro.hyderabad: "Hyderabad",
    Metro.pune: "Pune",
    Metro.ahmedabad: "Ahmedabad",
}

CLUSTERS: dict[str, Metro] = {
    "110": Metro.delhi,
    "121": Metro.delhi,  # Faridabad
    "122": Metro.delhi,  # Gurugram
    "201": Metro.delhi,  # Ghaziabad, Noida
    "400": Metro.mumbai,
    "401": Metro.mumbai,  # Thane, Vasai
    "421": Metro.mumbai,  # Kalyan, Bhiwandi
    "4102": Metro.mumbai,  # Panvel, Navi Mumbai; the rest of 410 is not
    "700": Metro.kolkata,
    "711": Metro.kolkata,  # Howrah
    "600": Metro.chennai,
    "560": Metro.bengaluru,
    "500": Metro.hyderabad,
    "411": Metro.pune,
    "380": Metro.ahmedabad,
}
"""Pincode prefix → metropolitan area. No prefix here is the beginning of another."""


def metro(pincode: str) -> Metro | None:
    """The metropolitan area a pincode lies in, if any: `"122001"` → Delhi."""
    return CLUSTERS.get(pincode[:3]) or CLUSTERS.get(pincode[:4])
