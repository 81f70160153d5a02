"""Which orders a courier carries that has stores for accounts, and what is made of one that refuses a lane."""

from uuid import UUID

import pytest

from shipcrowd.integrations import amazon, flipkart, velocity
from shipcrowd.orders.schemas import Fulfilment
from shipcrowd.shipping.accounts import Account, BilledBy

HERE, THERE = UUID(int=1), UUID(int=2)


def account(vendor, account_id=HERE) -> Account:
    return Account(vendor, UUID(int=9), account_id, vendor.name, "connected", "", own=True)


@pytest.mark.parametrize(
    ("vendor", "fulfilment", "store", "source", "carries"),
    [
        # A marketplace's own courier: what its own store sold that way, and nothing else.
        (amazon.easy_ship_vendor, "marketplace_logistics", HERE, "amazon", True),
        (amazon.easy_ship_vendor, "marketplace_logistics", THERE, "amazon", False),
        (amazon.easy_ship_vendor, "seller", HERE, "amazon", False),
        (flipkart.logistics, "marketplace_logistics", HERE, "flipkart", True),
        (flipkart.logistics, "seller", HERE, "flipkart", False),
        # One with stores for accounts: what they sold in their own name, what others sold in anybody's.
        (amazon.shipping_vendor, "seller", HERE, "amazon", True),
        (amazon.shipping_vendor, "seller", THERE, "amazon", False),
        (amazon.shipping_vendor, "seller", THERE, "shopify", True),
        (amazon.shipping_vendor, "seller", None, "manual", True),
        (amazon.shipping_vendor, "marketplace_logistics", HERE, "amazon", False),
        # Any other courier: whatever the seller ships.
        (velocity.vendor, "seller", THERE, "amazon", True),
        (velocity.vendor, "marketplace_logistics", THERE, "amazon", False),
    ],
)
def test_an_order_goes_to_the_couriers_that_may_carry_it(vendor, fulfilment, store, source, carries):
    assert account(vendor).carries(Fulfilment(fulfilment), store, source) is carries


@pytest.mark.parametrize("vendor", [amazon.easy_ship_vendor, amazon.shipping_vendor, flipkart.logistics])
def test_a_marketplace_bills_for_its_couriers_itself(vendor):
    assert account(vendor).billed_by is BilledBy.courier
    assert vendor.channel in ("amazon", "flipkart")
