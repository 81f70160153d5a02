"""What lies in Amazon's own warehouses (FBA), page by page. A page's token lives thirty seconds: where one has lapsed,
reading begins anew. Source: FBA inventory v1.
"""

from collections.abc import AsyncIterator, Sequence

import structlog

from shipcrowd.channels.contract import MarketplaceLevel
from shipcrowd.integrations.amazon import goods
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import FBA_INVENTORY
from shipcrowd.integrations.amazon.raw import objects, text, within
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.kernel.outbound import Json, Malformed, Unavailable

log = structlog.get_logger(__name__)

PAGES = 10_000
BEGINNINGS = 3


async def in_warehouses(client: AmazonClient) -> AsyncIterator[Sequence[MarketplaceLevel]]:
    """Everything of the seller's there. After a token lapsed the first pages come once more."""
    place = (await client.credentials()).place
    asked = {
        "granularityType": "Marketplace",
        "granularityId": place.id,
        "marketplaceIds": [place.id],
        "details": True,
    }
    token, lapsed = "", 0
    for _ in range(PAGES):
        try:
            answer = await client.call_patiently(FBA_INVENTORY, query={**asked, "nextToken": token or None})
        except NotDone as refused:
            if not token or refused.status != 400:
                raise
            lapsed += 1
            log.info("amazon_stock_token_lapsed", times=lapsed)
            if lapsed == BEGINNINGS:
                raise Unavailable("Amazon's pages of FBA stock lapse before they are read", retry_after=60) from refused
            token = ""
            continue
        yield _levels(answer)
        following = text(within(answer, "pagination").get("nextToken"))
        if not following:
            return
        if following == token:
            raise Malformed("Amazon gives the same page of FBA stock over and over")
        token = following
    raise Malformed(f"Amazon gives more than {PAGES} pages of FBA stock")


def _levels(answer: dict[str, Json]) -> Sequence[MarketplaceLevel]:
    return [goods.marketplace_level(raw) for raw in objects(within(answer, "payload").get("inventorySummaries"))]
