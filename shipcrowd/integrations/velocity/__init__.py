"""Velocity Shipfast: an aggregator behind which Delhivery, Bluedart, Ekart and others carry the parcel.

`vendor` is the declaration that `wiring` lists; `courier` does the work. See README.md for what is supported.
"""

from shipcrowd.couriers.contract import CourierVendor
from shipcrowd.integrations.velocity.courier import CANCEL_BATCH, TRACKING_BATCH, VelocityCourier
from shipcrowd.integrations.velocity.credentials import VelocityCredentials, username
from shipcrowd.integrations.velocity.webhooks import VelocityWebhooks

__all__ = ["VelocityCredentials", "vendor"]

vendor = CourierVendor(
    slug="velocity",
    name="Velocity Shipfast",
    credentials=VelocityCredentials,
    open=VelocityCourier,
    login=username,
    webhooks=VelocityWebhooks(),
    shared=True,
    tracking_batch=TRACKING_BATCH,
    cancel_batch=CANCEL_BATCH,
    paces={
        "auth": (10, 3600),
        "forward": (100, 60),
        "reverse": (50, 60),
        "track": (100, 60),
        "cancel": (50, 60),
        "serviceability": (200, 60),
        "warehouse": (20, 60),
        "pickup": (30, 60),
        "reports": (20, 60),
    },
)
