"""Usage plans: a token bucket for each seller, application and operation."""

from datetime import datetime

from shipcrowd.sandbox.amazon.state import Amazon, Bucket

PLANS: dict[str, tuple[float, float]] = {
    "searchOrders": (0.0056, 20),
    "getOrder": (0.5, 30),
    "cancelOrder": (1, 5),
    "getOrderAddress": (0.5, 30),
    "getOrderBuyerInfo": (0.5, 30),
    "confirmShipment": (2, 10),
    "createRestrictedDataToken": (1, 10),
    "createFeedDocument": (0.5, 15),
    "createFeed": (0.0083, 15),
    "getFeed": (2, 15),
    "cancelFeed": (2, 15),
    "getFeeds": (0.0222, 10),
    "getFeedDocument": (0.0222, 10),
    "createReport": (0.0167, 15),
    "getReportDocument": (0.0167, 15),
    "getReport": (2, 15),
    "getReports": (0.0222, 10),
    "cancelReport": (0.0222, 10),
    "patchListingsItem": (5, 5),
    "searchListingsItems": (5, 5),
    "getListingsItem": (5, 10),
    "getInventorySummaries": (2, 2),
    "searchCatalogItems": (2, 2),
    "getCatalogItem": (2, 2),
    "getMarketplaceParticipations": (0.016, 15),
    "createDestination": (1, 5),
    "getDestinations": (1, 5),
    "getDestination": (1, 5),
    "deleteDestination": (1, 5),
    "createSubscription": (1, 5),
    "getSubscription": (1, 5),
    "getSubscriptions": (1, 5),
    "getSubscriptionById": (1, 5),
    "deleteSubscriptionById": (1, 5),
    "sendTestNotification": (1, 5),
    "listHandoverSlots": (1, 5),
    "createScheduledPackage": (1, 5),
    "getScheduledPackage": (1, 5),
    "updateScheduledPackages": (1, 5),
    "getRates": (80, 100),
    "purchaseShipment": (80, 100),
    "oneClickShipment": (80, 100),
    "getTracking": (80, 100),
    "getShipmentDocuments": (80, 100),
    "cancelShipment": (80, 100),
    "submitNdrFeedback": (80, 100),
    "rotateApplicationClientSecret": (0.0167, 1),
}
"""Operation → (calls a second, burst), as the models and the reference pages publish them."""


def plan(world: Amazon, operation: str) -> tuple[float, float]:
    return world.knobs.rates.get(operation, PLANS[operation])


def admitted(world: Amazon, client_id: str, seller_id: str, operation: str, now: datetime) -> bool:
    """Count the call and take it from its bucket; False when it is one too many. Never False with limits off."""
    world.requests[operation] = world.requests.get(operation, 0) + 1
    rate, burst = plan(world, operation)
    key = (client_id, seller_id, operation)
    bucket = world.buckets.get(key)
    if bucket is None or (bucket.rate, bucket.burst) != (rate, burst):
        bucket = world.buckets[key] = Bucket(rate, burst, burst, now)
    if bucket.take(now):
        return True
    who = (seller_id, operation)
    world.overdrawn[who] = world.overdrawn.get(who, 0) + 1
    return not world.knobs.enforce_limits


LISTINGS_FEEDS = (5 / 300, 5.0)
"""JSON_LISTINGS_FEED has a limit of its own beside createFeed's: five submissions in five minutes."""


def listings_feed_admitted(world: Amazon, seller_id: str, now: datetime) -> bool:
    key = ("", seller_id, "JSON_LISTINGS_FEED")
    rate, burst = LISTINGS_FEEDS
    bucket = world.buckets.setdefault(key, Bucket(rate, burst, burst, now))
    if bucket.take(now):
        return True
    who = (seller_id, "JSON_LISTINGS_FEED")
    world.overdrawn[who] = world.overdrawn.get(who, 0) + 1
    return not world.knobs.enforce_limits
