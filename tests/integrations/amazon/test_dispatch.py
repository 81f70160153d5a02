import copy

import httpx2
import pytest

from shipcrowd.channels.contract import Dispatch, DispatchLine
from shipcrowd.integrations.amazon import words
from shipcrowd.integrations.amazon.dispatch import package_reference
from shipcrowd.kernel.outbound import Malformed, Refused
from tests.integrations.amazon.far_side import channel_of, refused

ORDER = "403-7781200-1193301"
KURTA, DIYA = "51122334455001", "51122334455002"


@pytest.fixture
def raw(payload):
    return payload("order_cash_on_delivery")


@pytest.fixture
def far(amazon, raw, at_now):
    amazon.on("getOrder", lambda asked: {"order": copy.deepcopy(raw)})
    amazon.on("confirmShipment", httpx2.Response(204))
    return amazon


def parcel(reference="ship-1", carrier="Delhivery Surface", awb="1490812345678", lines=((KURTA, 2), (DIYA, 1))):
    return Dispatch(reference, awb, carrier, None, tuple(DispatchLine(*line) for line in lines))


def package(reference: str, lines, status="IN_TRANSIT", awb="1490812345678"):
    return {
        "packageReferenceId": reference,
        "packageStatus": {"status": status},
        "trackingNumber": awb,
        "packageItems": [{"orderItemId": line, "quantity": units} for line, units in lines],
    }


async def send(far, dispatch) -> dict:
    await channel_of(far).dispatched(ORDER, dispatch)
    return far.calls("confirmShipment")[-1].body["packageDetail"]


async def test_a_parcel_is_confirmed_with_its_number_and_its_items(far):
    ref = await channel_of(far).dispatched(ORDER, parcel())
    [asked] = far.calls("confirmShipment")
    assert asked.path == {"orderId": ORDER}
    assert asked.body == {
        "marketplaceId": "A21TJRUUN4KGV",
        "packageDetail": {
            "packageReferenceId": ref,
            "carrierCode": "Delhivery",
            "trackingNumber": "1490812345678",
            "shipDate": "2026-11-20T06:45:00Z",
            "orderItems": [{"orderItemId": KURTA, "quantity": 2}, {"orderItemId": DIYA, "quantity": 1}],
        },
    }
    assert isinstance(ref, str)
    assert ref.isdigit()
    assert int(ref) > 0


async def test_a_repeat_edits_the_same_package(far, raw):
    ref = await channel_of(far).dispatched(ORDER, parcel())
    raw["packages"] = [package(ref, ((KURTA, 2), (DIYA, 1)))]
    for item in raw["orderItems"]:
        item["fulfillment"]["quantityUnfulfilled"] = 0
    assert await channel_of(far).dispatched(ORDER, parcel()) == ref


def test_every_shipment_has_a_reference_of_its_own_that_stays():
    refs = [package_reference(f"shipment-{n}") for n in range(2000)]
    assert len(set(refs)) == 2000
    assert all(1 <= int(ref) <= 999_999_999 for ref in refs)
    assert refs == [package_reference(f"shipment-{n}") for n in range(2000)]


async def test_two_parcels_of_one_order_are_two_packages(far, raw):
    first = await send(far, parcel("ship-1", lines=((KURTA, 1),)))
    raw["packages"] = [package(first["packageReferenceId"], ((KURTA, 1),))]
    raw["orderItems"][0]["fulfillment"] |= {"quantityFulfilled": 1, "quantityUnfulfilled": 1}
    second = await send(far, parcel("ship-2", lines=((KURTA, 1), (DIYA, 1))))
    assert second["packageReferenceId"] != first["packageReferenceId"]


async def test_a_parcel_in_place_of_a_cancelled_one_takes_over_its_package(far, raw):
    raw["packages"] = [package("77", ((KURTA, 2), (DIYA, 1)))]
    for item in raw["orderItems"]:
        item["fulfillment"]["quantityUnfulfilled"] = 0
    detail = await send(far, parcel("ship-9", awb="NEW-AWB"))
    assert (detail["packageReferenceId"], detail["trackingNumber"]) == ("77", "NEW-AWB")


async def test_which_of_two_alike_is_replaced_is_not_guessed(far, raw):
    raw["packages"] = [package("77", ((KURTA, 1),)), package("78", ((KURTA, 1),))]
    raw["orderItems"][0]["fulfillment"]["quantityUnfulfilled"] = 0
    with pytest.raises(Refused) as raised:
        await channel_of(far).dispatched(ORDER, parcel("ship-9", lines=((KURTA, 1),)))
    assert raised.value.code == "which_package"
    assert far.calls("confirmShipment") == []


async def test_a_package_that_arrived_is_never_taken_over(far, raw):
    raw["packages"] = [package("77", ((KURTA, 2), (DIYA, 1)), status="DELIVERED")]
    for item in raw["orderItems"]:
        item["fulfillment"]["quantityUnfulfilled"] = 0
    detail = await send(far, parcel("ship-9"))
    assert detail["packageReferenceId"] == package_reference("ship-9")  # and Amazon's refusal says why


@pytest.mark.parametrize(
    ("by", "programs", "code"),
    [
        ("AMAZON", [], "fulfilled_by_amazon"),
        ("MERCHANT", ["AMAZON_EASY_SHIP"], "easy_ship"),
        ("MERCHANT", ["DELIVERY_BY_AMAZON"], "easy_ship"),
    ],
)
async def test_what_amazon_ships_is_never_confirmed(far, raw, by, programs, code):
    raw["fulfillment"]["fulfilledBy"], raw["programs"] = by, programs
    with pytest.raises(Refused) as raised:
        await channel_of(far).dispatched(ORDER, parcel())
    assert raised.value.code == code
    assert far.calls("confirmShipment") == []


@pytest.mark.parametrize(
    ("carrier", "code", "name"),
    [
        ("Delhivery", "Delhivery", None),
        ("BLUE DART AIR", "BlueDart", None),
        ("Bluedart Surface 2kg", "BlueDart", None),
        ("DTDC", "DTDC", None),
        ("India Post (Speed)", "India Post", None),
        ("Xpressbees Surface", "Other", "Xpressbees Surface"),
        ("Ekart", "Other", "Ekart"),
        ("", "Other", "Courier"),
    ],
)
async def test_carriers_amazon_knows_go_by_code_and_the_others_by_name(far, carrier, code, name):
    detail = await send(far, parcel(carrier=carrier))
    assert (detail["carrierCode"], detail.get("carrierName")) == (code, name)
    assert words.carrier(carrier) == (code, name)


async def test_what_amazon_refuses_is_told(far):
    far.on("confirmShipment", refused(400, "PackageToUpdateNotFound", "Unable to find package to update"))
    with pytest.raises(Refused) as raised:
        await channel_of(far).dispatched(ORDER, parcel())
    assert raised.value.code == "PackageToUpdateNotFound"


async def test_an_order_that_cannot_be_read_is_not_confirmed(far, raw):
    raw["packages"] = "none"
    with pytest.raises(Malformed):
        await channel_of(far).dispatched(ORDER, parcel())
    assert far.calls("confirmShipment") == []
