"""The HTTP face of sellingpartnerapi-eu.amazon.com (-na, -fe): what is checked before a call is answered."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shipcrowd.sandbox.amazon import (
    accounts_api,
    catalog_api,
    easy_ship_api,
    fba_api,
    feeds_api,
    limits,
    listings_api,
    lwa,
    notifications_api,
    orders_api,
    reports_api,
    shipping_api,
)
from shipcrowd.sandbox.amazon.call import Body, Call, Operation, Refused, denied, invalid
from shipcrowd.sandbox.amazon.state import Amazon, App, Grant, Resource
from shipcrowd.sandbox.faults import Faults, with_faults

HOST = re.compile(r"sellingpartnerapi-(eu|na|fe)\.amazon\.com")
MOST_BYTES = 6 * 1024 * 1024

THROTTLED: dict[str, object] = {
    "errors": [
        {"code": "QuotaExceeded", "message": "You exceeded your quota for the requested resource.", "details": ""}
    ]
}


class By(StrEnum):
    """Whose token opens an operation."""

    seller = "seller"
    notifications = lwa.NOTIFICATIONS  # grantless
    rotation = lwa.ROTATION  # grantless


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    operation: str
    act: Operation
    by: By = By.seller


def _route(method: str, template: str, operation: str, act: Operation, by: By = By.seller) -> Route:
    """`{name}` stands for one segment, as it arrives: a slash inside it is percent-encoded."""
    return Route(method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)), operation, act, by)


ORDERS, V0 = "/orders/2026-01-01/orders", "/orders/v0/orders"
NOTES, FEEDS, REPORTS = "/notifications/v1", "/feeds/2021-06-30", "/reports/2021-06-30"
LISTINGS, CATALOG = "/listings/2021-08-01/items", "/catalog/2022-04-01/items"
EASY_SHIP, SHIPPING = "/easyShip/2022-03-23", "/shipping/v2"

ROUTES: Sequence[Route] = (
    _route("GET", "/sellers/v1/marketplaceParticipations", "getMarketplaceParticipations",
           accounts_api.marketplace_participations),
    _route("POST", "/tokens/2021-03-01/restrictedDataToken", "createRestrictedDataToken",
           accounts_api.create_restricted_token),
    _route("POST", "/applications/2023-11-30/clientSecret", "rotateApplicationClientSecret",
           accounts_api.rotate_client_secret, By.rotation),
    _route("GET", ORDERS, "searchOrders", orders_api.search_orders),
    _route("GET", ORDERS + "/{orderId}", "getOrder", orders_api.get_order),
    _route("PUT", ORDERS + "/{orderId}/cancellation", "cancelOrder", orders_api.cancel_order),
    _route("GET", V0 + "/{orderId}/buyerInfo", "getOrderBuyerInfo", orders_api.get_buyer_info),
    _route("GET", V0 + "/{orderId}/address", "getOrderAddress", orders_api.get_address),
    _route("POST", V0 + "/{orderId}/shipmentConfirmation", "confirmShipment", orders_api.confirm_shipment),
    _route("POST", NOTES + "/destinations", "createDestination",
           notifications_api.create_destination, By.notifications),
    _route("GET", NOTES + "/destinations", "getDestinations", notifications_api.get_destinations, By.notifications),
    _route("GET", NOTES + "/destinations/{destinationId}", "getDestination",
           notifications_api.get_destination, By.notifications),
    _route("DELETE", NOTES + "/destinations/{destinationId}", "deleteDestination",
           notifications_api.delete_destination, By.notifications),
    _route("GET", NOTES + "/subscriptions", "getSubscriptions", notifications_api.get_subscriptions),
    _route("POST", NOTES + "/subscriptions/{notificationType}", "createSubscription",
           notifications_api.create_subscription),
    _route("GET", NOTES + "/subscriptions/{notificationType}", "getSubscription", notifications_api.get_subscription),
    _route("POST", NOTES + "/subscriptions/{notificationType}/testNotification", "sendTestNotification",
           notifications_api.send_test, By.notifications),
    _route("GET", NOTES + "/subscriptions/{notificationType}/{subscriptionId}", "getSubscriptionById",
           notifications_api.get_subscription_by_id, By.notifications),
    _route("DELETE", NOTES + "/subscriptions/{notificationType}/{subscriptionId}", "deleteSubscriptionById",
           notifications_api.delete_subscription, By.notifications),
    _route("POST", FEEDS + "/documents", "createFeedDocument", feeds_api.create_document),
    _route("GET", FEEDS + "/documents/{feedDocumentId}", "getFeedDocument", feeds_api.get_document),
    _route("POST", FEEDS + "/feeds", "createFeed", feeds_api.create_feed),
    _route("GET", FEEDS + "/feeds", "getFeeds", feeds_api.get_feeds),
    _route("GET", FEEDS + "/feeds/{feedId}", "getFeed", feeds_api.get_feed),
    _route("DELETE", FEEDS + "/feeds/{feedId}", "cancelFeed", feeds_api.cancel_feed),
    _route("POST", REPORTS + "/reports", "createReport", reports_api.create),
    _route("GET", REPORTS + "/reports", "getReports", reports_api.get_many),
    _route("GET", REPORTS + "/reports/{reportId}", "getReport", reports_api.get),
    _route("DELETE", REPORTS + "/reports/{reportId}", "cancelReport", reports_api.cancel),
    _route("GET", REPORTS + "/documents/{reportDocumentId}", "getReportDocument", reports_api.get_document),
    _route("GET", LISTINGS + "/{sellerId}", "searchListingsItems", listings_api.search),
    _route("GET", LISTINGS + "/{sellerId}/{sku}", "getListingsItem", listings_api.get),
    _route("PATCH", LISTINGS + "/{sellerId}/{sku}", "patchListingsItem", listings_api.patch),
    _route("GET", CATALOG, "searchCatalogItems", catalog_api.search),
    _route("GET", CATALOG + "/{asin}", "getCatalogItem", catalog_api.get),
    _route("GET", "/fba/inventory/v1/summaries", "getInventorySummaries", fba_api.summaries),
    _route("POST", EASY_SHIP + "/timeSlot", "listHandoverSlots", easy_ship_api.list_slots),
    _route("POST", EASY_SHIP + "/package", "createScheduledPackage", easy_ship_api.create_package),
    _route("GET", EASY_SHIP + "/package", "getScheduledPackage", easy_ship_api.get_package),
    _route("PATCH", EASY_SHIP + "/package", "updateScheduledPackages", easy_ship_api.update_packages),
    _route("POST", SHIPPING + "/shipments/rates", "getRates", shipping_api.get_rates),
    _route("POST", SHIPPING + "/shipments", "purchaseShipment", shipping_api.purchase),
    _route("POST", SHIPPING + "/oneClickShipment", "oneClickShipment", shipping_api.one_click),
    _route("GET", SHIPPING + "/tracking", "getTracking", shipping_api.get_tracking),
    _route("GET", SHIPPING + "/shipments/{shipmentId}/documents", "getShipmentDocuments", shipping_api.get_documents),
    _route("PUT", SHIPPING + "/shipments/{shipmentId}/cancel", "cancelShipment", shipping_api.cancel),
    _route("POST", SHIPPING + "/ndrFeedback", "submitNdrFeedback", shipping_api.ndr_feedback),
)  # fmt: skip
"""Every operation the stand-in knows. Any other path is a 403, as at the real gateway."""


async def answer(world: Amazon, faults: Faults, request: Request, host: str) -> Response:
    """Any request to a regional host."""
    world.settle()
    match = HOST.fullmatch(host.lower())
    assert match, "the routing table sends no other host here"
    reply = await _answer(world, faults, request, match[1])
    reply.headers["x-amzn-RequestId"] = world.uuid()
    return reply


async def _answer(world: Amazon, faults: Faults, request: Request, region: str) -> Response:
    path = raw_path(request)
    found = next(
        (
            (one, hit.groupdict())
            for one in ROUTES
            if one.method == request.method and (hit := one.pattern.fullmatch(path))
        ),
        None,
    )
    if found is None:
        return _refusal(denied(""), "UnknownOperationException")
    route, segments = found
    now = world.now()
    try:
        app, grant, resource = _signed_in(world, request, route, path, region, now)
    except Refused as refusal:
        return _refusal(refusal, "AccessDeniedException")
    raw = await request.body()

    async def act() -> Response:
        seller_id = grant.seller.id if grant else ""
        if not limits.admitted(world, app.client_id, seller_id, route.operation, now):
            return _throttled()
        try:
            call = Call(
                world=world,
                app=app,
                now=now,
                path={name: unquote(value) for name, value in segments.items()},
                query=dict(request.query_params),
                headers=request.headers,
                body=_body(request, raw),
                maybe_seller=grant.seller if grant else None,
                resource=resource,
            )
            done = route.act(call)
        except Refused as refusal:
            return _refusal(refusal)
        headers = {"x-amzn-RateLimit-Limit": f"{limits.plan(world, route.operation)[0]:g}"}
        if done.status == 204:
            return Response(status_code=204, headers=headers)
        return JSONResponse(done.body, done.status, headers)

    reply = await with_faults(faults, request, "amazon", (route.operation,), act, throttled=THROTTLED)
    if reply.status_code == 429:
        reply.headers["x-amzn-ErrorType"] = "TooManyRequestsException"
    return reply


def raw_path(request: Request) -> str:
    """The path behind the host as it was sent, still percent-encoded: a SKU may hold a slash."""
    raw = cast(bytes, request.scope.get("raw_path") or request.url.path.encode()).split(b"?")[0].decode("ascii")
    return "/" + "/".join(raw.split("/")[2:])


def _signed_in(
    world: Amazon, request: Request, route: Route, path: str, region: str, now: datetime
) -> tuple[App, Grant | None, Resource | None]:
    """Whose call this is. Raises the gateway's 403s."""
    if not request.headers.get("user-agent"):
        raise invalid("The user-agent header is required")
    value = request.headers.get("x-amz-access-token", "")
    if not value:
        raise denied("Access token is missing in the request header.")
    if restricted := world.restricted.get(value):
        if restricted.expires_at <= now or not lwa.alive(restricted.grant, now):
            raise denied("The access token you provided has expired.")
        opened = next((one for one in restricted.resources if _opens(one, route.method, path)), None)
        if opened is None or restricted.grant.seller.region != region:
            raise denied("The access token you provided is revoked, malformed or invalid.")
        return restricted.grant.app, restricted.grant, opened
    token = world.tokens.get(value)
    if token is None or (token.grant and not lwa.alive(token.grant, now)):
        raise denied("The access token you provided is revoked, malformed or invalid.")
    if token.expires_at <= now:
        raise denied("The access token you provided has expired.")
    if route.by is not By.seller:
        if token.scope != route.by.value:
            raise denied("This operation needs a grantless token of its scope.")
        return token.app, None, None
    if token.grant is None:
        raise denied("This operation needs a selling partner's authorization.")
    if token.grant.seller.region != region:
        raise denied("The selling partner does not belong to this region.")
    return token.app, token.grant, None


def _opens(resource: Resource, method: str, path: str) -> bool:
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(resource.path))
    return resource.method == method and re.fullmatch(pattern, path) is not None


def _body(request: Request, raw: bytes) -> Body:
    if request.method not in ("POST", "PUT", "PATCH") or not raw:
        return {}
    if len(raw) > MOST_BYTES:
        raise Refused(413, "PayloadTooLarge", "The request is too large")
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise Refused(415, "UnsupportedMediaType", "The content type is not supported")
    try:
        body: Any = json.loads(raw)
    except ValueError as error:
        raise invalid("Request body is not valid JSON") from error
    if not isinstance(body, dict):
        raise invalid("Request body must be an object")
    return cast(Body, body)


def _refusal(refusal: Refused, kind: str = "") -> Response:
    headers = {"x-amzn-ErrorType": kind} if kind else {}
    return JSONResponse(refusal.body, refusal.status, headers)


def _throttled() -> Response:
    """No hint when to come back: Amazon sends neither Retry-After nor the rate with it."""
    return JSONResponse(THROTTLED, 429)
