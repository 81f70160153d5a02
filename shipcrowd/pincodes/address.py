"""A postal address as it came, and what a courier in India would still miss in it."""

import re

from pydantic import BaseModel, ConfigDict

MOBILE = re.compile(r"[6-9]\d{9}")
PINCODE = re.compile(r"[1-9]\d{5}")


class Address(BaseModel):
    """Where a parcel goes to or comes from. Kept as the channel gave it; `gaps` says what it lacks to be shipped.

    `phone` is as typed; `mobile` is its ten digits. `country` is an ISO 3166 alpha-2 code.
    """

    model_config = ConfigDict(frozen=True)

    name: str = ""
    phone: str | None = None
    email: str | None = None
    company: str | None = None
    line1: str = ""
    line2: str = ""
    city: str = ""
    state: str = ""
    pincode: str = ""
    country: str = "IN"

    @property
    def mobile(self) -> str | None:
        """The ten digits of an Indian mobile number, or None."""
        return indian_mobile(self.phone)

    def gaps(self) -> dict[str, str]:
        """Field → what is wrong with it, for a courier in India. Empty when the address can be shipped to."""
        found: dict[str, str] = {}
        if self.country != "IN":
            found["country"] = f"the address is in {self.country}; Indian couriers deliver within India only"
            return found
        if not self.name.strip():
            found["name"] = "the receiver's name is missing"
        if not self.line1.strip():
            found["line1"] = "the street address is missing"
        if not self.city.strip():
            found["city"] = "the city is missing"
        if not PINCODE.fullmatch(self.pincode):
            wrong = "the pincode is wrong: it has six digits, and the first is not 0"
            found["pincode"] = wrong if self.pincode.strip() else "a six-digit pincode is missing"
        if self.mobile is None:
            wrong = "the phone is wrong: it needs a mobile number of ten digits"
            lacking = wrong if (self.phone or "").strip() else "a ten-digit mobile number is missing"
            found["phone"] = f"{lacking}; couriers call it before they deliver"
        return found


class AddressIn(Address):
    """An address a client sends: unknown fields are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def indian_mobile(phone: str | None) -> str | None:
    """`"+91 90000-00001"` or `"09000000001"` → `"9000000001"`; None when it is no Indian mobile number."""
    digits = re.sub(r"\D", "", phone or "")
    for prefix in ("0091", "91", "0"):
        if len(digits) > 10 and digits.startswith(prefix):
            digits = digits.removeprefix(prefix)
            break
    return digits if MOBILE.fullmatch(digits) else None
