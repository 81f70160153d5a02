"""FBA inventory v1: what lies at Amazon, in pages whose tokens live thirty seconds."""

import base64
import json
from datetime import datetime, timedelta
from typing import cast

from shipcrowd.sandbox.amazon.call import Answer, Body, Call, invalid, stamp
from shipcrowd.sandbox.amazon.goods import Listing

PAGE = 50
OLDEST = timedelta(days=548)  # 18 months
MOST_SKUS = 50


def summaries(call: Call) -> Answer:
    if call.query.get("granularityType") != "Marketplace":
        raise invalid("granularityType must be Marketplace")
    market = call.needed("granularityId")
    call.check_marketplaces(call.listed("marketplaceIds"))
    call.check_marketplaces([market])
    since, wanted = call.moment("startDateTime"), call.listed("sellerSkus")
    wanted += [call.query["sellerSku"]] if call.query.get("sellerSku") else []
    if since and since < call.now - OLDEST:
        raise invalid("startDateTime lies more than 18 months back")
    if len(wanted) > MOST_SKUS:
        raise invalid("sellerSkus: at most 50")
    start = _start(call)
    fits = [
        one
        for one in call.seller.listings.values()
        if one.by_amazon and (not wanted or one.sku in wanted) and (since is None or one.updated_at >= since)
    ]
    detailed = call.query.get("details", "false").lower() == "true"
    body: Body = {
        "payload": {
            "granularity": {"granularityType": "Marketplace", "granularityId": market},
            "inventorySummaries": [_summary(one, detailed=detailed) for one in fits[start : start + PAGE]],
        }
    }
    if len(fits) > start + PAGE:
        until = call.now + timedelta(seconds=call.world.knobs.inventory_token_seconds)
        inside = json.dumps([start + PAGE, until.isoformat()])
        body["pagination"] = {"nextToken": base64.urlsafe_b64encode(inside.encode()).decode()}
    return Answer(body)


def _start(call: Call) -> int:
    token = call.query.get("nextToken")
    if not token:
        return 0
    try:
        number, until = cast(tuple[int, str], json.loads(base64.urlsafe_b64decode(token)))
        expires = datetime.fromisoformat(until)
    except (ValueError, TypeError) as error:
        raise invalid("nextToken is invalid") from error
    if expires <= call.now:
        raise invalid("nextToken has expired")
    return number


def _summary(it: Listing, *, detailed: bool) -> Body:
    total = it.quantity + it.reserved + it.unfulfillable + it.inbound
    body: Body = {
        "asin": it.asin,
        "fnSku": it.fnsku,
        "sellerSku": it.sku,
        "condition": "NewItem",
        "productName": it.title,
        "totalQuantity": total,
        "lastUpdatedTime": stamp(it.updated_at),
    }
    if detailed:
        body["inventoryDetails"] = {
            "fulfillableQuantity": it.quantity,
            "inboundWorkingQuantity": 0,
            "inboundShippedQuantity": it.inbound,
            "inboundReceivingQuantity": 0,
            "reservedQuantity": {
                "totalReservedQuantity": it.reserved,
                "pendingCustomerOrderQuantity": it.reserved,
                "pendingTransshipmentQuantity": 0,
                "fcProcessingQuantity": 0,
            },
            "researchingQuantity": {"totalResearchingQuantity": 0, "researchingQuantityBreakdown": []},
            "unfulfillableQuantity": {"totalUnfulfillableQuantity": it.unfulfillable},
        }
    return body
