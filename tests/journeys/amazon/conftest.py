"""Amazon in the world of the journeys: its settings, its queue, and nothing remembered of other worlds."""

from collections.abc import Iterator

import pytest

from shipcrowd.channels import open as opening
from shipcrowd.integrations.amazon import channel, client, lwa, subscriptions
from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange
from shipcrowd.settings import settings
from tests.journeys.amazon.market import ARN, HOST, Merchant, Queue, merchant
from tests.journeys.world import World


def forget() -> None:
    """What this process remembers of sellers and of Amazon's words."""
    opening.forget_told_paces()
    channel.forget_participations()
    client.forget_rates()
    lwa.forget_own_tokens()
    subscriptions.forget_destinations()


@pytest.fixture(scope="module")
def at_amazon(world: World) -> Iterator[Queue]:
    queue = Queue()
    given = world.desk.credentials
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "CLIENT_ID": given.amazon_client_id,
            "CLIENT_SECRET": given.amazon_client_secret,
            "APPLICATION_ID": given.amazon_application_id,
            "QUEUE_ARN": ARN,
        }.items():
            patch.setenv(f"SHIPCROWD_AMAZON_{name}", value)
        settings.cache_clear()
        world.desk.postman.receivers[HOST] = queue.app
        forget()
        yield queue
    settings.cache_clear()
    forget()


@pytest.fixture
def queue(at_amazon: Queue, world: World) -> Iterator[Queue]:
    at_amazon.letters.clear()
    yield at_amazon
    # What a story slowed down or took away is as usual for the next.
    world.desk.amazon.set_knobs(AmazonKnobChange(rates={}, search_lag_seconds=120))
    at_amazon.letters.clear()


@pytest.fixture
async def amazon(world: World, queue: Queue) -> Merchant:
    return await merchant(world, queue)
