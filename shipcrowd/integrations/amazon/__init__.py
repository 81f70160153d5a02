"""Amazon: the Selling Partner API, for sellers of Amazon's marketplaces (India unless they say otherwise).

Orders come by notification and by sweep; what the seller ships is confirmed there. `README.md` beside this says what
is supported and how to get credentials.
"""

from datetime import timedelta

from shipcrowd.channels.contract import BegunThere, ChannelVendor, OwnKeys, SignIn
from shipcrowd.integrations.amazon import account, lwa, rotation, sign_in, webhooks
from shipcrowd.integrations.amazon.account import AmazonApp, AmazonCredentials
from shipcrowd.integrations.amazon.channel import AmazonChannel, open_channel
from shipcrowd.integrations.amazon.operations import PACES

__all__ = ["AmazonApp", "AmazonChannel", "AmazonCredentials", "vendor"]

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
    store_id=account.store_id,
    lapses_at=account.lapses_at,
    mailbox=account.mailbox,
    own_keys=OwnKeys(rotation.client_id, rotation.news, rotation.rotate),
)
