"""What anybody may see of a parcel: where it is, and nothing of the buyer."""

import pytest

from shipcrowd.sandbox.schemas import NewScan
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
