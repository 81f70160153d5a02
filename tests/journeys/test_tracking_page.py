"""What anybody may see of a parcel: where it is, and nothing of the buyer."""

import pytest

from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.sandbox.schemas import NewScan
from shipcrowd.shipping.models import ShipmentRoute
from tests.journeys.world import Seller, World, an_order, personal

REMARK = "Spoke to Meenakshi Sundaram on 9840012345, wants it at 27, Kutchery Road, opposite the tank"


@pytest.fixture
async def under_way(world: World, seller: Seller):
    """A parcel whose courier writes the buyer's name into its remarks."""
    shipment = await seller.ship(an_order(cod=True))
    for _ in range(3):
        world.desk.advance(shipment["awb"])
    world.desk.scan(shipment["awb"], NewScan(status="UNDELIVERED", location="Chennai Hub", remark=REMARK))
    await seller.settle()
    shipment = await seller.shipment(shipment["id"])
    assert REMARK in str(shipment["scans"])  # the seller sees it
    return shipment


async def test_the_page_behind_the_buyers_link_shows_the_way_and_no_person(world: World, under_way):
    link = under_way["tracking_url"].removeprefix("https://shipcrowd.test")
    assert under_way["id"] not in link
    async with world.visitor() as stranger:
        page = await stranger.get(link)
        assert page.status_code == 200
        assert under_way["awb"] in page.text
        assert "Chennai Hub" in page.text
        assert "Asha Lamps" in page.text
        assert personal(page.text) == []
        assert "noindex" in page.headers["x-robots-tag"]
        told = await stranger.get(f"/api/v1/public{link}")
        assert told.status_code == 200
        assert (told.json()["awb"], told.json()["state"]) == (under_way["awb"], "delivery_failed")
        assert personal(told.text) == []


async def test_a_lookup_by_awb_shows_the_way_and_no_person(world: World, under_way):
    async with world.visitor() as stranger:
        page = await stranger.get("/track", params={"awb": under_way["awb"]})
        assert page.status_code == 200
        assert "Chennai Hub" in page.text
        assert personal(page.text) == []
        told = await stranger.get("/api/v1/public/track", params={"courier": "velocity", "awb": under_way["awb"]})
        assert told.status_code == 200
        assert told.json()["awb"] == under_way["awb"]
        assert personal(told.text) == []


@pytest.mark.parametrize(("courier", "status"), [(None, 200), ("", 200), ("the buyer's", 200), ("nobody", 404)])
async def test_a_lookup_needs_no_slug_of_ours(world: World, under_way, courier: str | None, status: int):
    """Who bought something knows the carrier by the name on the message, if at all."""
    async with world.visitor() as stranger:
        query = {"awb": under_way["awb"]}
        if courier is not None:
            query["courier"] = under_way["carrier"].upper() if courier == "the buyer's" else courier
        told = await stranger.get("/api/v1/public/track", params=query)
        assert told.status_code == status
        assert (under_way["awb"] in told.text) == (status == 200)


async def test_a_number_two_couriers_share_shows_nobodys_parcel_until_one_is_named(world: World, under_way):
    async with tenancy.unowned() as session:
        session.add(
            ShipmentRoute(
                kind="awb:manual", key=under_way["awb"], company_id=new_id(), shipment_id=new_id(), made_at=clock.now()
            )
        )
    async with world.visitor() as stranger:
        for path in ("/api/v1/public/track", "/track"):
            told = await stranger.get(path, params={"awb": under_way["awb"]})
            assert told.status_code == 409 and "Chennai Hub" not in told.text
        named = await stranger.get("/api/v1/public/track", params={"awb": under_way["awb"], "courier": "velocity"})
        assert named.status_code == 200


@pytest.mark.parametrize("link", ["x", "x" * 24, "..%2Forders", "%00"])
async def test_a_guessed_link_shows_nothing(world: World, under_way, link: str):
    async with world.visitor() as stranger:
        for path in (f"/track/{link}", f"/api/v1/public/track/{link}"):
            answer = await stranger.get(path)
            assert answer.status_code in (401, 404, 422), path
            assert under_way["awb"] not in answer.text


async def test_guessing_awbs_is_slowed_down(world: World, under_way):
    async with world.visitor() as stranger:
        query = {"courier": "velocity", "awb": "34810000000000"}
        answers = [await stranger.get("/api/v1/public/track", params=query) for _ in range(25)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:20] == [404] * 20
    assert statuses[-1] == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
