"""Flipkart Marketplace: orders come in shipments, which Flipkart's own courier carries or the seller's.

`vendor` is the sales channel, `logistics` the same account as a courier: packing at Flipkart yields its label. See
README.md for what is supported, how to get credentials, and what is odd.
"""

from datetime import timedelta

from shipcrowd.channels.app_contract import SignIn
from shipcrowd.channels.contract import ChannelVendor, Milestone
from shipcrowd.couriers.contract import Courier, CourierAccount, CourierVendor
from shipcrowd.integrations.flipkart import account, oauth, webhooks
from shipcrowd.integrations.flipkart.account import FlipkartApp, FlipkartCredentials, NotAFlipkartSeller
from shipcrowd.integrations.flipkart.channel import FlipkartChannel
from shipcrowd.integrations.flipkart.client import AT_ONCE, HOUR, SECOND, STOCK
from shipcrowd.integrations.flipkart.courier import LABEL_HOURS, PAPERS, TRACKING_BATCH, FlipkartCourier
from shipcrowd.kernel.outbound import Disconnected

__all__ = [
    "FlipkartApp",
    "FlipkartChannel",
    "FlipkartCourier",
    "FlipkartCredentials",
    "NotAFlipkartSeller",
    "logistics",
    "vendor",
]

_ASKS = "Seller id, from Seller Hub → Manage Profile"

vendor = ChannelVendor(
    slug="flipkart",
    name="Flipkart",
    credentials=FlipkartCredentials,
    app_settings=FlipkartApp,
    open=FlipkartChannel,
    webhooks=webhooks,
    webhook_secrets=account.webhook_keys,
    sign_in=SignIn(start=oauth.start, check=oauth.check, finish=oauth.finish, asks=_ASKS),
    pasted=True,
    asks=_ASKS,
    expires_at=account.expires_at,
    renew_at=account.renew_at,
    renew=oauth.renew,
    overlap=timedelta(minutes=30),
    # 10 a second and 1,000 an hour, for any stretch of that length: what a bucket holds plus what flows in meanwhile.
    paces={HOUR: (200.0, 800 / 3600), SECOND: (5.0, 5.0), STOCK: (1.0, 10.0)},
    reserve=0.2,
    stock_batch=50,
    keeps_no_trace_of=frozenset({Milestone.attempted}),
    couriers={"flipkart": FlipkartCourier},
    store_id=account.store_id,
    webhooks_by_store=True,  # the address is signed, and holds the seller's id
)


def _by_store_only(account: CourierAccount) -> Courier:
    raise Disconnected("Connect the Flipkart store; its courier comes with it.")


logistics = CourierVendor(
    slug="flipkart",
    name="Flipkart logistics",
    credentials=FlipkartCredentials,
    open=_by_store_only,
    carries_charge=False,  # Flipkart charges in its settlements
    marketplace=True,
    own_label=True,
    label_hours=LABEL_HOURS,
    papers=frozenset(PAPERS),
    keeps_list=True,
    repeatable=True,  # what there is to do is decided by the shipment's state
    together=AT_ONCE,
    tracking_batch=TRACKING_BATCH,
)
