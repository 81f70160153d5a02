"""Amazon: the Selling Partner API, for sellers of Amazon's marketplaces (India unless they say otherwise).

Orders come by notification and by sweep; what the seller ships is confirmed there, and its stock is set there.
`README.md` beside this says what is supported and how to get credentials.
"""

from datetime import timedelta

from shipcrowd.channels.app_contract import BegunThere, OwnKeys, SignIn
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.couriers.contract import Courier, CourierAccount, CourierVendor
from shipcrowd.integrations.amazon import account, easy_ship, lwa, rotation, shipping, sign_in, stock, webhooks
from shipcrowd.integrations.amazon.account import AmazonApp, AmazonCredentials
from shipcrowd.integrations.amazon.channel import AmazonChannel, open_channel
from shipcrowd.integrations.amazon.easy_ship import EasyShip
from shipcrowd.integrations.amazon.operations import PACES
from shipcrowd.integrations.amazon.shipping import AmazonShipping
from shipcrowd.kernel.outbound import Disconnected

__all__ = [
    "AmazonApp",
    "AmazonChannel",
    "AmazonCredentials",
    "AmazonShipping",
    "EasyShip",
    "easy_ship_vendor",
    "shipping_vendor",
    "vendor",
]

vendor = ChannelVendor(
    slug="amazon",
    name="Amazon",
    credentials=AmazonCredentials,
    app_settings=AmazonApp,
    open=open_channel,
    webhooks=webhooks,
    webhook_secrets=account.webhook_secrets,
    sign_in=SignIn(
        start=sign_in.start,
        check=sign_in.check,
        finish=sign_in.finish,
        place=sign_in.place,
        asks="Marketplace: IN for India",
        begun_there=BegunThere(place=sign_in.arrive, go_back=sign_in.go_back),
    ),
    pasted=True,
    asks="Merchant token: Settings → Account Info → Your Merchant Token",
    expires_at=account.expires_at,
    renew=lwa.renew,
    overlap=timedelta(minutes=15),  # Amazon answers about nothing younger than two minutes
    # A search costs one of a seller's twenty, which come back one in three minutes.
    sweep_every=timedelta(minutes=15),
    paces=PACES,
    stock_batch=stock.BATCH,
    stock_by_sku=True,
    store_id=account.store_id,
    lapses_at=account.lapses_at,
    mailbox=account.mailbox,
    couriers={"amazon": EasyShip, shipping.SLUG: AmazonShipping},
    own_keys=OwnKeys(rotation.client_id, rotation.news, rotation.rotate),
)


def _by_store_only(account: CourierAccount) -> Courier:
    raise Disconnected("Connect the Amazon store; its couriers come with it.")


easy_ship_vendor = CourierVendor(
    slug="amazon",
    name="Amazon Easy Ship",
    credentials=AmazonCredentials,
    open=_by_store_only,
    carries_charge=False,  # Amazon charges in its settlements
    marketplace=True,
    own_label=True,
    cancelled_with_order=True,
    repeatable=True,  # an order has one package, which is looked for first
    tracking_batch=easy_ship.TRACKING_BATCH,
)

shipping_vendor = CourierVendor(
    slug=shipping.SLUG,
    name="Amazon Shipping",
    credentials=AmazonCredentials,
    open=_by_store_only,
    carries_charge=False,  # Amazon bills the seller
    stores_of=vendor.slug,
    own_label=True,
    tracking_batch=shipping.TRACKING_BATCH,
)
