"""The whole product with our application registered at Flipkart's stand-in, whose limits nobody has to wait for."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shipcrowd import wiring
from shipcrowd.channels import vendors
from shipcrowd.integrations import flipkart
from shipcrowd.sandbox.desk import Credentials
from shipcrowd.sandbox.flipkart.schemas import KnobChange
from shipcrowd.settings import settings
from tests.journeys.flipkart.world import FlipkartSeller, flipkart_seller
from tests.journeys.world import World

USUAL = KnobChange(
    per_second=0, per_hour=0, page_size=20, drift="off", drift_per_page=1, pack_seconds=0, pack_fails=0,
    dialect="usual", personal_data="absent", partial_cancel="reduced",
)  # fmt: skip


@pytest.fixture(scope="module")
def our_application() -> Iterator[None]:
    """What Flipkart knows us by, before the product starts."""
    vendor = Credentials()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHIPCROWD_FLIPKART_APP_ID", vendor.flipkart_app_id)
        patch.setenv("SHIPCROWD_FLIPKART_APP_SECRET", vendor.flipkart_app_secret)
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="module")
async def world(our_application: None, world: World) -> World:
    return world


@pytest.fixture(autouse=True)
def usual(world: World, request: pytest.FixtureRequest) -> Iterator[None]:
    """A Flipkart that behaves, and nobody waits for a turn. A module with `REAL_PACES` has Flipkart's own limits."""
    before = vendors._Vendors.known
    if not getattr(request.module, "REAL_PACES", False):
        wide = dict.fromkeys(flipkart.vendor.paces, (10_000.0, 10_000.0))
        others = [each for each in wiring.CHANNELS if each.slug != "flipkart"]
        vendors.use([*others, replace(flipkart.vendor, paces=wide)])
    world.desk.flipkart.set_knobs(USUAL)
    yield
    world.desk.flipkart.set_knobs(USUAL)
    vendors._Vendors.known = before


@pytest.fixture
async def asha(world: World) -> FlipkartSeller:
    """Signed up and signed in at Flipkart; her notifications come to us."""
    return await flipkart_seller(world)
