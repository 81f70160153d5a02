"""Sellers, restricted data tokens, and the application's own secret."""

import re
from datetime import timedelta

from shipcrowd.sandbox.amazon import lwa
from shipcrowd.sandbox.amazon.call import Answer, Call, Refused, denied, invalid, records, texts
from shipcrowd.sandbox.amazon.state import MARKETPLACES, Resource, RestrictedToken

TOKEN_LIFE = timedelta(hours=1)
MOST_RESOURCES = 50
ELEMENTS = frozenset(("buyerInfo", "shippingAddress", "buyerTaxInformation"))
RESTRICTABLE = (
    re.compile(r"/orders/v0/orders(/[^/]+(/(orderItems|buyerInfo|address|orderItems/buyerInfo|regulatedInfo))?)?"),
    re.compile(r"/reports/2021-06-30/documents/[^/{}]+"),
    re.compile(r"/mfn/v0/shipments(/[^/]+)?"),
)


def marketplace_participations(call: Call) -> Answer:
    rows = [
        {
            "marketplace": {
                "id": market.id,
                "countryCode": market.country,
                "name": market.name,
                "defaultCurrencyCode": market.currency,
                "defaultLanguageCode": market.language,
                "domainName": market.domain,
            },
            "storeName": call.seller.name,
            "participation": {
                "isParticipating": call.seller.participating,
                "hasSuspendedListings": call.seller.suspended,
            },
        }
        for market in (MARKETPLACES[one] for one in call.seller.marketplaces)
    ]
    return Answer({"payload": rows})


def create_restricted_token(call: Call) -> Answer:
    """Opens the named resources for an hour, to applications whose seller granted the restricted roles."""
    asked = records(call.body.get("restrictedResources"))
    if not asked or len(asked) > MOST_RESOURCES:
        raise _bad("between 1 and 50 restrictedResources are needed")
    resources: list[Resource] = []
    for one in asked:
        method, path, elements = (
            one.get("method"),
            str(one.get("path") or ""),
            frozenset(texts(one.get("dataElements"))),
        )
        if method not in ("GET", "PUT", "POST", "DELETE") or not path:
            raise _bad("Resource not provided.")
        if not any(pattern.fullmatch(path) for pattern in RESTRICTABLE):
            raise _bad(f"{path} is not a restricted resource")
        if elements - ELEMENTS or (elements and not path.startswith("/orders/v0/")):
            raise _bad("dataElements are not allowed for this resource")
        resources.append(Resource(str(method), path, elements))
    if not call.seller.personal_data:
        raise denied("Application does not have access to one or more requested data elements")
    grant = call.seller.grants[call.app.client_id]
    token = RestrictedToken("Atz.sprdt|" + call.world.code(60), grant, tuple(resources), call.now + TOKEN_LIFE)
    call.world.restricted[token.value] = token
    return Answer({"restrictedDataToken": token.value, "expiresIn": int(TOKEN_LIFE.total_seconds())})


def _bad(details: str) -> Refused:
    return invalid("Request is missing or has invalid parameters", details, "InvalidRequest")


def rotate_client_secret(call: Call) -> Answer:
    if call.world.secret_queue is None:
        raise invalid("No queue is set for the new client secret in the developer console")
    lwa.rotate(call.world, call.app)
    return Answer(status=204)
