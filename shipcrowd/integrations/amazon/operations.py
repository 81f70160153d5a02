"""The operations of the Selling Partner API we use, as data: where they are, how often they may be called, whose token
they take. Source: Amazon's own models; rates are the default usage plans, which replies correct (see `client`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OURS = 0.95
"""The share of Amazon's rate we call at. Requests do not arrive as far apart as they left, and its clock is not ours:
at its own rate, with its own burst, the odd one comes a moment too early and is a 429, after which everybody waits."""


@dataclass(frozen=True)
class Operation:
    """One operation, under Amazon's own name. `rate` is requests a second, `burst` what Amazon's bucket holds.

    `once`: its effect shows only by its answer, so it is not simply repeated when no answer came. `grantless`: it
    takes the application's token (of scope `notifications`, but for ROTATE_SECRET) instead of a seller's. `headers` go
    with each call.
    """

    name: str
    method: str
    path: str
    rate: float
    burst: float
    once: bool = False
    grantless: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def room(self) -> float:
        """What our bucket holds: one less than Amazon's, where that leaves a burst."""
        return self.burst - 1 if self.burst > 2 else self.burst

    @property
    def pace(self) -> float:
        """Requests a second we call at, as long as Amazon tells no other rate."""
        return self.rate * OURS


_ORDERS, _ORDERS_V0 = "/orders/2026-01-01/orders", "/orders/v0/orders"
_FEEDS, _REPORTS = "/feeds/2021-06-30", "/reports/2021-06-30"
_LISTINGS, _CATALOG = "/listings/2021-08-01/items", "/catalog/2022-04-01/items"
_NOTICES, _EASY_SHIP, _SHIPPING = "/notifications/v1", "/easyShip/2022-03-23", "/shipping/v2"
_IN_INDIA = (("x-amzn-shipping-business-id", "AmazonShipping_IN"),)

SEARCH_ORDERS = Operation("searchOrders", "GET", _ORDERS, 0.0056, 20)
GET_ORDER = Operation("getOrder", "GET", f"{_ORDERS}/{{orderId}}", 0.5, 30)
CANCEL_ORDER = Operation("cancelOrder", "PUT", f"{_ORDERS}/{{orderId}}/cancellation", 1, 5)
CONFIRM_SHIPMENT = Operation("confirmShipment", "POST", f"{_ORDERS_V0}/{{orderId}}/shipmentConfirmation", 2, 10)

PARTICIPATIONS = Operation("getMarketplaceParticipations", "GET", "/sellers/v1/marketplaceParticipations", 0.016, 15)
RESTRICTED_TOKEN = Operation("createRestrictedDataToken", "POST", "/tokens/2021-03-01/restrictedDataToken", 1, 10)

CREATE_FEED_DOCUMENT = Operation("createFeedDocument", "POST", f"{_FEEDS}/documents", 0.5, 15)
CREATE_FEED = Operation("createFeed", "POST", f"{_FEEDS}/feeds", 0.0083, 15, once=True)
GET_FEEDS = Operation("getFeeds", "GET", f"{_FEEDS}/feeds", 0.0222, 10)
GET_FEED = Operation("getFeed", "GET", f"{_FEEDS}/feeds/{{feedId}}", 2, 15)
GET_FEED_DOCUMENT = Operation("getFeedDocument", "GET", f"{_FEEDS}/documents/{{feedDocumentId}}", 0.0222, 10)

CREATE_REPORT = Operation("createReport", "POST", f"{_REPORTS}/reports", 0.0167, 15, once=True)
GET_REPORTS = Operation("getReports", "GET", f"{_REPORTS}/reports", 0.0222, 10)
GET_REPORT = Operation("getReport", "GET", f"{_REPORTS}/reports/{{reportId}}", 2, 15)
GET_REPORT_DOCUMENT = Operation("getReportDocument", "GET", f"{_REPORTS}/documents/{{reportDocumentId}}", 0.0167, 15)

PATCH_LISTING = Operation("patchListingsItem", "PATCH", f"{_LISTINGS}/{{sellerId}}/{{sku}}", 5, 5)
GET_LISTING = Operation("getListingsItem", "GET", f"{_LISTINGS}/{{sellerId}}/{{sku}}", 5, 10)
SEARCH_LISTINGS = Operation("searchListingsItems", "GET", f"{_LISTINGS}/{{sellerId}}", 5, 5)
FBA_INVENTORY = Operation("getInventorySummaries", "GET", "/fba/inventory/v1/summaries", 2, 2)
SEARCH_CATALOG = Operation("searchCatalogItems", "GET", _CATALOG, 2, 2)

CREATE_DESTINATION = Operation(
    "createDestination", "POST", f"{_NOTICES}/destinations", 1, 5, once=True, grantless=True
)  # fmt: skip
GET_DESTINATIONS = Operation("getDestinations", "GET", f"{_NOTICES}/destinations", 1, 5, grantless=True)
GET_SUBSCRIPTION = Operation("getSubscription", "GET", f"{_NOTICES}/subscriptions/{{notificationType}}", 1, 5)
CREATE_SUBSCRIPTION = Operation("createSubscription", "POST", f"{_NOTICES}/subscriptions/{{notificationType}}", 1, 5)
DELETE_SUBSCRIPTION = Operation(
    "deleteSubscriptionById",
    "DELETE",
    f"{_NOTICES}/subscriptions/{{notificationType}}/{{subscriptionId}}",
    1,
    5,
    grantless=True,
)

LIST_SLOTS = Operation("listHandoverSlots", "POST", f"{_EASY_SHIP}/timeSlot", 1, 5)
CREATE_PACKAGE = Operation("createScheduledPackage", "POST", f"{_EASY_SHIP}/package", 1, 5, once=True)
GET_PACKAGE = Operation("getScheduledPackage", "GET", f"{_EASY_SHIP}/package", 1, 5)

SHIPPING_RATES = Operation("getRates", "POST", f"{_SHIPPING}/shipments/rates", 80, 100, headers=_IN_INDIA)
PURCHASE = Operation("purchaseShipment", "POST", f"{_SHIPPING}/shipments", 80, 100, once=True, headers=_IN_INDIA)
ONE_CLICK = Operation(
    "oneClickShipment", "POST", f"{_SHIPPING}/oneClickShipment", 80, 100, once=True, headers=_IN_INDIA
)  # fmt: skip
TRACKING = Operation("getTracking", "GET", f"{_SHIPPING}/tracking", 80, 100, headers=_IN_INDIA)
SHIPMENT_DOCUMENTS = Operation(
    "getShipmentDocuments", "GET", f"{_SHIPPING}/shipments/{{shipmentId}}/documents", 80, 100, headers=_IN_INDIA
)  # fmt: skip
CANCEL_SHIPMENT = Operation(
    "cancelShipment", "PUT", f"{_SHIPPING}/shipments/{{shipmentId}}/cancel", 80, 100, headers=_IN_INDIA
)  # fmt: skip
NDR_FEEDBACK = Operation("submitNdrFeedback", "POST", f"{_SHIPPING}/ndrFeedback", 80, 100, headers=_IN_INDIA)

ROTATE_SECRET = Operation(
    "rotateApplicationClientSecret",
    "POST",
    "/applications/2023-11-30/clientSecret",
    0.0167,
    1,
    once=True,
    grantless=True,
)

OPERATIONS: Sequence[Operation] = (
    SEARCH_ORDERS, GET_ORDER, CANCEL_ORDER, CONFIRM_SHIPMENT,
    PARTICIPATIONS, RESTRICTED_TOKEN,
    CREATE_FEED_DOCUMENT, CREATE_FEED, GET_FEEDS, GET_FEED, GET_FEED_DOCUMENT,
    CREATE_REPORT, GET_REPORTS, GET_REPORT, GET_REPORT_DOCUMENT,
    PATCH_LISTING, GET_LISTING, SEARCH_LISTINGS, FBA_INVENTORY, SEARCH_CATALOG,
    CREATE_DESTINATION, GET_DESTINATIONS, GET_SUBSCRIPTION, CREATE_SUBSCRIPTION, DELETE_SUBSCRIPTION,
    LIST_SLOTS, CREATE_PACKAGE, GET_PACKAGE,
    SHIPPING_RATES, PURCHASE, ONE_CLICK, TRACKING, SHIPMENT_DOCUMENTS, CANCEL_SHIPMENT, NDR_FEEDBACK,
    ROTATE_SECRET,
)  # fmt: skip

PACES: Mapping[str, tuple[float, float]] = {each.name: (each.room, each.pace) for each in OPERATIONS}
"""Operation → (our bucket, refill a second), for each seller and application."""
