"""The courier for which the seller types the AWB."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from shipcrowd.couriers.contract import Courier, CourierAccount, Parcel, Payment
from shipcrowd.integrations.manual import ManualCredentials, typed, vendor
from shipcrowd.integrations.manual.courier import ManualCourier, understood
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Http, Refused


@pytest.fixture
def courier() -> Courier:
    return vendor.open(CourierAccount(key="manual:1", credentials=ManualCredentials(), http=Http("manual")))


@pytest.mark.parametrize(
    ("carrier", "awb", "service"),
    [
        ("Delhivery", "AWB12345", "Delhivery|AWB12345"),
        ("  Shree   Maruti ", " sm-00199 ", "Shree Maruti|SM-00199"),
        ("DTDC", "d" * 40, "DTDC|" + "D" * 40),
        ("डाक", "12345", "डाक|12345"),
    ],
)
def test_a_typed_awb_is_tidied_and_read_back(carrier, awb, service):
    assert typed(carrier, awb) == service
    assert "|".join(understood(service)) == service


@pytest.mark.parametrize(
    "service",
    [
        "",
        "manual",
        "Delhivery",
        "Delhivery|",
        "Delhivery|1234",
        "Delhivery|" + "1" * 41,
        "Delhivery|AWB 12345",
        "Delhivery|AWB12345;",
        "Delhivery|AWB|12345",
        "|AWB12345",
        "D|AWB12345",
        "x" * 41 + "|AWB12345",
        "Delhivery|१२३४५",
    ],
)
def test_anything_else_asks_for_the_awb(service):
    with pytest.raises(Refused) as refused:
        understood(service)
    assert refused.value.code == "awb_required"


async def test_booking_takes_the_typed_awb_and_charges_nothing(courier, make_request):
    booking = await courier.book(make_request("Blue Dart|bd-778812"))
    assert (booking.awb, booking.carrier, booking.charged) == ("BD-778812", "Blue Dart", None)
    assert booking == await courier.book(make_request("Blue Dart|bd-778812"))


async def test_booking_without_an_awb_is_refused(courier, make_request):
    with pytest.raises(Refused):
        await courier.book(make_request("manual"))


async def test_there_is_one_generic_offer_whatever_the_parcel(courier):
    parcel = Parcel("560058", "411004", 500, 100, 100, 100, Payment.prepaid, Money.rupees("500"))
    (offer,) = await courier.offers(parcel)
    assert offer.service == "manual"
    assert offer.cost is None


async def test_cancelling_is_accepted_and_tracking_says_it_is_not_tracked(courier):
    assert [result.accepted for result in await courier.cancel(["A1", "A2"])] == [True, True]
    replies = await courier.scans(["A1"])
    assert (replies["A1"].error, replies["A1"].scans) == ("not tracked", ())


def test_it_carries_no_charge_and_asks_for_nothing():
    assert vendor.slug == "manual"
    assert vendor.carries_charge is False
    assert vendor.credentials.model_fields == {}
    assert isinstance(vendor.open(cast(Any, None)), ManualCourier)


@pytest.fixture
def make_request():
    """A request of which only the service matters here."""
    return lambda service: cast(Any, SimpleNamespace(service=service))
