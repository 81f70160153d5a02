import pytest

from shipcrowd.integrations import manual
from shipcrowd.kernel import db, tenancy
from tests import make
from tests.make import courier


@pytest.fixture
async def script():
    """The scripted courier, as the platform's shared account."""
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    return await courier.installed(manual.vendor)


@pytest.fixture
async def seller():
    """A company with ₹5,000 and a pickup place in Delhi."""
    return await make.company()
