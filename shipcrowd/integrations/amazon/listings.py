"""What a seller has on sale: searched page by page, or, where that is more than a search gives, from a report.

A search gives a thousand listings at most, twenty a page; each page's barcodes and weights come from the catalogue.
The report has every listing, and neither. Source: listings items 2021-08-01, catalog items 2022-04-01,
GET_MERCHANT_LISTINGS_ALL_DATA.
"""

import io
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from shipcrowd.channels.contract import Listing
from shipcrowd.integrations.amazon import goods, reports
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.goods import Details
from shipcrowd.integrations.amazon.operations import GET_LISTING, SEARCH_CATALOG, SEARCH_LISTINGS
from shipcrowd.integrations.amazon.raw import objects, text, within
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.integrations.amazon.reports import Report
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Disconnected, Json, Malformed, Refused, Unavailable
from shipcrowd.orders.schemas import Fulfilment

log = structlog.get_logger(__name__)

PAGE = 20
"""Listings a search gives at once, identifiers it takes at once."""
PAGED = 1000
"""Listings Amazon pages through."""
DATA = ("summaries", "offers", "fulfillmentAvailability")

REPORT_GOOD_FOR = timedelta(hours=1)
REPORT_SECONDS = 60
"""How long to wait before a report that is being written is asked after again."""
ROWS = 500


async def on_sale(client: AmazonClient) -> AsyncIterator[Sequence[Listing]]:
    """Every listing of the seller at this marketplace.

    Where a report is needed and not written yet, Unavailable says when to come again: it is found then, however the
    reader was ended meanwhile.
    """
    answer = await _search(client)
    if _found(answer) > PAGED:
        written = await _report(client)
        async for page in _reported(client, written):
            yield page
        return
    for _ in range(PAGED // PAGE):
        yield await _page(client, objects(answer.get("items")))
        token = text(within(answer, "pagination").get("nextToken"))
        if not token:
            return
        answer = await _search(client, pageToken=token)
    raise Malformed(f"Amazon gives more than {PAGED} listings page by page")


async def prove(client: AmazonClient) -> None:
    """See `channels.app_contract.ProvesStore`. No operation says whose a token is; but a seller's listings are shown
    under that seller's merchant token only."""
    try:
        await _search(client, pageSize=1, includedData=("summaries",))
    except (NotDone, Disconnected) as failure:
        # The token is good: the store was asked with it a moment ago.
        if isinstance(failure, NotDone) and failure.status not in (400, 401, 403, 404):
            raise
        raise Refused(
            "not_this_seller",
            f"Amazon does not show the listings of {client.seller} with this refresh token. Check the merchant token "
            "(Settings → Account Info → Your Merchant Token), and that the application has the role Product Listing.",
        ) from failure


async def at_amazon(client: AmazonClient, skus: Sequence[str]) -> set[str]:
    """Those of these SKUs whose stock lies in Amazon's own warehouses, as their listings say now."""
    place = (await client.credentials()).place
    found: list[dict[str, Json]] = []
    # A comma parts one SKU from the next in the address: one that holds a comma is asked for by itself.
    plain = [sku for sku in skus if "," not in sku]
    for at in range(0, len(plain), PAGE):
        some = plain[at : at + PAGE]
        found += objects((await _search(client, identifiers=some, identifiersType="SKU")).get("items"))
    for sku in skus:
        if "," in sku:
            found += await _one(client, sku)
    held = [raw for raw in found if goods.fulfilment(raw, place) is Fulfilment.marketplace_warehouse]
    return {text(raw.get("sku")) for raw in held}


async def _one(client: AmazonClient, sku: str) -> list[dict[str, Json]]:
    place = (await client.credentials()).place
    query = {"marketplaceIds": [place.id], "includedData": DATA}
    try:
        return [await client.call_patiently(GET_LISTING, path={"sellerId": client.seller, "sku": sku}, query=query)]
    except NotDone as refused:
        if refused.status == 404:
            return []
        raise


async def _search(client: AmazonClient, **more: str | int | Sequence[str]) -> dict[str, Json]:
    place = (await client.credentials()).place
    query = {"marketplaceIds": [place.id], "includedData": DATA, "pageSize": PAGE, **more}
    return await client.call_patiently(SEARCH_LISTINGS, path={"sellerId": client.seller}, query=query)


def _found(answer: Mapping[str, Json]) -> int:
    total = answer.get("numberOfResults")
    return total if isinstance(total, int) else 0


async def _page(client: AmazonClient, raws: Sequence[Mapping[str, Json]]) -> Sequence[Listing]:
    place = (await client.credentials()).place
    made: list[Listing] = []
    for raw in raws:
        try:
            made.append(goods.listing(raw, place))
        except Malformed as error:
            log.warning("amazon_listing_unreadable", reason=str(error))
    known = await _details(client, [each.external_product_id for each in made if each.external_product_id])
    return [
        replace(each, **vars(known[asin])) if (asin := each.external_product_id) in known else each for each in made
    ]


async def _details(client: AmazonClient, asins: Sequence[str]) -> dict[str, Details]:
    """What the catalogue says; nothing where it does not let us look, for listings are of use without."""
    if not asins:
        return {}
    place = (await client.credentials()).place
    query = {
        "marketplaceIds": [place.id],
        "identifiers": list(dict.fromkeys(asins)),
        "identifiersType": "ASIN",
        "includedData": ("identifiers", "dimensions"),
        "pageSize": PAGE,
    }
    try:
        answer = await client.call_patiently(SEARCH_CATALOG, query=query)
        return {text(raw.get("asin")): goods.details(raw, place) for raw in objects(answer.get("items"))}
    except (NotDone, Malformed) as failure:
        log.info("amazon_catalogue_not_read", reason=str(failure)[:200])
        return {}


# --- the report -----------------------------------------------------------------------------------------------------


async def _report(client: AmazonClient) -> Report:
    """The report of all listings, written within the last hour. Raises Unavailable while it is being written, having
    asked for it where nobody had, and Refused where Amazon did not write it."""
    found = await reports.recent(client, reports.LISTINGS, clock.now() - REPORT_GOOD_FOR)
    written = next((each for each in found if each.status == reports.DONE and each.document), None)
    if written is not None:
        return written
    if found and all(each.ended for each in found):
        words = "Amazon did not write the report of all listings; it is asked for again later."
        raise Refused(f"report_{found[0].status.lower()}", words)
    if not found:
        await reports.request(client, reports.LISTINGS)
    raise Unavailable("Amazon is writing the report of all listings", retry_after=REPORT_SECONDS)


async def _reported(client: AmazonClient, written: Report) -> AsyncIterator[Sequence[Listing]]:
    content = await reports.document(client, written.document)
    page: list[Listing] = []
    nameless = 0
    for row in rows(content):
        made = goods.reported(row)
        if made is None:
            nameless += 1
            continue
        page.append(made)
        if len(page) == ROWS:
            yield page
            page = []
    if nameless:
        log.warning("amazon_listings_without_sku", rows=nameless)
    yield page


def rows(content: bytes) -> Iterator[dict[str, str]]:
    """The lines of a flat-file report by the names in its head: parted by tabs, not quoted. Raises Malformed where the
    head names no SKU."""
    lines = (_decoded(line) for line in io.BytesIO(content))
    head = [name.strip().lower() for name in next(lines, "").split("\t")]
    if "seller-sku" not in head:
        raise Malformed("the report of listings has no column seller-sku", "\t".join(head))
    for line in lines:
        if line:
            yield dict(zip(head, (cell.strip() for cell in line.split("\t")), strict=False))


def _decoded(line: bytes) -> str:
    # Reports of older listings come in Windows' letters, some lines of them at least.
    line = line.rstrip(b"\r\n")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")
