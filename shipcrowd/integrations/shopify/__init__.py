"""Shopify: a seller's own storefront. Orders come by webhook and by sweep, parcels and stock are told back.

Everything goes over the Admin GraphQL API; only webhooks still speak REST's older shape. `README.md` beside this
says what is supported and how to get credentials.
"""

from datetime import timedelta

from shipcrowd.channels.app_contract import SignIn
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.integrations.shopify import account, oauth, webhooks
from shipcrowd.integrations.shopify.account import NotAShopifyStore, ShopifyApp, ShopifyCredentials
from shipcrowd.integrations.shopify.channel import ShopifyChannel
from shipcrowd.integrations.shopify.client import BUCKET

__all__ = ["NotAShopifyStore", "ShopifyApp", "ShopifyChannel", "ShopifyCredentials", "vendor"]

vendor = ChannelVendor(
    slug="shopify",
    name="Shopify",
    credentials=ShopifyCredentials,
    app_settings=ShopifyApp,
    open=ShopifyChannel,
    webhooks=webhooks,
    webhook_secrets=account.webhook_secrets,
    sign_in=SignIn(
        start=oauth.start,
        check=oauth.check,
        finish=oauth.finish,
        asks="Your shop's name, like my-shop or my-shop.myshopify.com",
    ),
    pasted=True,
    expires_at=account.expires_at,
    renew=oauth.renew,
    overlap=timedelta(minutes=15),  # Shopify's search index lags behind its writes
    # The standard plan's bucket; every reply says what the store's really is.
    paces={BUCKET: (2000.0, 100.0)},
    store_id=account.store_id,
)
