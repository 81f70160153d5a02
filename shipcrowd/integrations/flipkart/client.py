"""Flipkart's Marketplace Seller API v3 over HTTP: every endpoint, its limits, its token, its ways of saying no. None
of our words.

Every method raises only the four outside failures. A 200 may hold failures of single shipments: `Outcome` tells of
each. No request can be made idempotent there, so whoever may have been heard (`maybe_received`) looks at the
shipment's state before asking again.

Source: Flipkart's seller API documentation and its published Java library; where they differ, what live clients do.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

import structlog

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.integrations.flipkart import oauth
from shipcrowd.integrations.flipkart.account import FlipkartCredentials, flipkart_app, flipkart_credentials
from shipcrowd.integrations.flipkart.reading import first, obj, objects, shown, text
from shipcrowd.kernel.outbound import Json, Malformed, OutsideFailure, Refused, Reply, Unavailable

log = structlog.get_logger(__name__)

PREFIX = "/sellers"
HOUR, SECOND, STOCK = "hour", "second", "stock"
"""Buckets every call takes from; `STOCK` keeps the calls that set stock 100 ms apart."""

SEARCH_PAGE = 20  # all known clients ask for 20; Flipkart's own page token speaks of 25
AT_ONCE = 25  # shipments a call for labels, dispatch, cancellation and details
SELF_SHIP_AT_ONCE = 100
SKUS_AT_ONCE = 10
RETURNS_AT_ONCE = 25
MOST_PAGES = 500

NO_ANSWER = "NO_ANSWER"
"""Our code for a record of a batch that the answer is silent about."""

_RETRY_CODES = frozenset({"DEPENDENT_SYSTEM_CALL_FAILED"})


@dataclass(frozen=True)
class Operation:
    """One endpoint. `hurried` calls are made because a person waits, or has asked: they may use the kept share."""

    what: str
    method: Literal["GET", "POST"]
    path: str
    repeatable: bool = False
    hurried: bool = False
    read_seconds: float = 10.0
    buckets: tuple[str, ...] = (HOUR, SECOND)


SEARCH = Operation("search_shipments", "POST", "/v3/shipments/filter", repeatable=True, read_seconds=30)
NEXT_PAGE = Operation("next_page", "GET", "", repeatable=True, read_seconds=30)
SHIPMENTS = Operation("read_shipments", "GET", "/v3/shipments", repeatable=True, read_seconds=30)
DETAILS = Operation("read_details", "GET", "/v3/shipments/{ids}", repeatable=True, read_seconds=30)
LOCATIONS = Operation("locations", "GET", "/locations/allLocations", repeatable=True, hurried=True)
PACK = Operation("pack", "POST", "/v3/shipments/labels", hurried=True, read_seconds=60)
LABELS = Operation("labels", "GET", "/v3/shipments/{ids}/labels", repeatable=True, hurried=True, read_seconds=60)
LABEL_ONLY = Operation(
    "label_only", "POST", "/v3/shipments/{ids}/labelOnly/pdf", repeatable=True, hurried=True, read_seconds=60
)
INVOICES = Operation("invoices", "GET", "/v3/shipments/{ids}/invoices", repeatable=True, hurried=True, read_seconds=60)
FORMS = Operation("forms", "GET", "/v3/shipments/{ids}/forms", repeatable=True, hurried=True, read_seconds=60)
FORMS_DONE = Operation("forms_done", "POST", "/v3/shipments/forms/updateAck", hurried=True, read_seconds=60)
DISPATCH = Operation("dispatch", "POST", "/v3/shipments/dispatch", hurried=True, read_seconds=60)
COUNTS = Operation("handover_counts", "GET", "/v3/shipments/handover/counts", repeatable=True, hurried=True)
MANIFEST = Operation("manifest", "POST", "/v3/shipments/manifest", repeatable=True, hurried=True, read_seconds=60)
CANCEL = Operation("cancel", "POST", "/v3/shipments/cancel", hurried=True, read_seconds=60)
SELF_DISPATCH = Operation("self_dispatch", "POST", "/v3/shipments/selfShip/dispatch", read_seconds=60)
SELF_DELIVERY = Operation("self_delivery", "POST", "/v3/shipments/selfShip/delivery", read_seconds=60)
SELF_ATTEMPT = Operation("self_attempt", "POST", "/v3/shipments/selfShip/deliveryAttempt", read_seconds=60)
SELF_UPDATE = Operation("self_update", "POST", "/v3/shipments/{ids}/update", read_seconds=60)
RETURNS = Operation("returns", "GET", "/v2/returns", repeatable=True, read_seconds=30)
RETURN_ACTION = Operation("return_action", "POST", "/v2/returns/{action}", hurried=True, read_seconds=60)
LISTING_SEARCH = Operation("search_listings", "POST", "/listings/v3/search", repeatable=True)
LISTINGS = Operation("read_listings", "GET", "/listings/v3/{ids}", repeatable=True)
# The total is set, not a difference: twice the same is once.
SET_STOCK = Operation(
    "set_stock", "POST", "/listings/v3/update/inventory", repeatable=True, buckets=(HOUR, SECOND, STOCK)
)
SET_PRICE = Operation("set_price", "POST", "/listings/v3/update/price", repeatable=True, hurried=True)


@dataclass(frozen=True)
class Outcome:
    """What became of one record of a batch."""

    id: str
    done: bool
    code: str = ""
    message: str = ""

    @property
    def passing(self) -> bool:
        """Not done for a reason of the moment: something Flipkart depends on failed."""
        return not self.done and self.code in _RETRY_CODES

    def or_raise(self) -> None:
        """Raises Unavailable for what a dependency of theirs failed at, Refused for the rest that was not done."""
        if self.done:
            return
        if self.passing:
            raise Unavailable(f"Flipkart: {self.message or self.code}")
        raise Refused(self.code.lower() or "refused", self.message or "Flipkart gave no reason.")


class FlipkartClient:
    """Speaks for one store. `hurried`: all of its calls are made because a person waits."""

    def __init__(self, account: StoreAccount, *, hurried: bool = False) -> None:
        self.account = account
        self._hurried = hurried
        self._base = oauth.base_url(flipkart_app(account.app))

    async def call(
        self,
        operation: Operation,
        *,
        body: Json = None,
        params: Mapping[str, str] | None = None,
        ids: Sequence[str] = (),
        action: str = "",
    ) -> Json:
        """One call, its JSON answer. `ids` and `action` go into the path."""
        reply = await self._asked(operation, self.url(operation, ids, action), body, params)
        if operation.repeatable or reply.status != 200:
            return _json(operation, reply)
        try:
            return _json(operation, reply)
        except Malformed as failure:  # it was done, or not: whoever asked looks at the state
            raise Unavailable(f"Flipkart's answer to {operation.what} is unreadable", maybe_received=True) from failure

    async def pdf(
        self,
        operation: Operation,
        *,
        body: Json = None,
        params: Mapping[str, str] | None = None,
        ids: Sequence[str] = (),
    ) -> bytes:
        """One call that answers with a PDF. Raises Malformed for anything else."""
        reply = await self._asked(operation, self.url(operation, ids, ""), body, params, accept="application/pdf")
        if not reply.ok:
            raise _refusal(operation, reply)
        if not reply.body.startswith(b"%PDF-"):
            raise Malformed(f"Flipkart answered {operation.what} with something else than a PDF", reply.text())
        return reply.body

    async def pages(
        self, operation: Operation, *, key: str, body: Json = None, params: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[list[dict[str, Json]], bool]]:
        """Page after page, each with whether another follows. Raises Malformed after `MOST_PAGES`.

        The address of the next page comes relative and without `/sellers` (or `/v2`), and is never built here. The
        pages are numbered, over a set that changes while it is read: whoever must miss nothing reads first pages only
        (see `sync`).
        """
        answer = obj(await self.call(operation, body=body, params=params))
        seen = set[str]()
        for _ in range(MOST_PAGES):
            following = text(first(answer, "nextPageUrl", "nextUrl"))
            more = _more(answer) and bool(following)
            yield objects(answer.get(key)), more
            if not more:
                return
            if following in seen:
                raise Malformed("Flipkart's list goes round in a circle", shown(following))
            seen.add(following)
            reply = await self._asked(NEXT_PAGE, self._following(operation, following), None, None)
            answer = obj(_json(NEXT_PAGE, reply))
        raise Malformed(f"Flipkart's list has more than {MOST_PAGES} pages")

    def url(self, operation: Operation, ids: Sequence[str], action: str = "") -> str:
        """The address of an operation."""
        joined = ",".join(quote(each, safe="") for each in ids)
        return f"{self._base}{PREFIX}{operation.path.format(ids=joined, action=quote(action, safe=''))}"

    def _following(self, operation: Operation, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme or parts.netloc:
            ours = urlsplit(self._base)
            if (parts.scheme, parts.netloc) != (ours.scheme, ours.netloc):
                raise Malformed("Flipkart's list goes on at another host", shown(url))
        path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
        if path.startswith(f"{PREFIX}/"):
            path = path.removeprefix(PREFIX)
        version = "/" + operation.path.split("/")[1]
        if version in ("/v2", "/v3") and not path.startswith(("/v2/", "/v3/")):
            path = version + path
        return f"{self._base}{PREFIX}{path}" + (f"?{parts.query}" if parts.query else "")

    async def _asked(
        self,
        operation: Operation,
        url: str,
        body: Json,
        params: Mapping[str, str] | None,
        accept: str = "application/json",
    ) -> Reply:
        credentials = await self._credentials()
        reply = await self._send(operation, url, body, params, accept, credentials)
        if reply.status != 401:
            return reply
        fresh = await self._credentials(stale=credentials)
        if fresh.access_token == credentials.access_token:
            raise oauth.refused(fresh)
        reply = await self._send(operation, url, body, params, accept, fresh)
        if reply.status == 401:
            raise oauth.refused(fresh)
        return reply

    async def _credentials(self, stale: FlipkartCredentials | None = None) -> FlipkartCredentials:
        held = await (self.account.credentials(stale=stale) if stale else self.account.credentials())
        return flipkart_credentials(held)

    async def _send(
        self,
        operation: Operation,
        url: str,
        body: Json,
        params: Mapping[str, str] | None,
        accept: str,
        credentials: FlipkartCredentials,
    ) -> Reply:
        if credentials.access_token is None:
            raise oauth.refused(credentials)
        wait = (self.account.hurry if operation.hurried or self._hurried else None) or self.account.pace
        for bucket in operation.buckets:
            await wait(bucket, 1)
        reply = await self.account.http.request(
            operation.method,
            url,
            what=operation.what,
            repeatable=operation.repeatable,
            headers={"accept": accept, "authorization": f"Bearer {credentials.access_token.get_secret_value()}"},
            params=params,
            json=body,
            read_seconds=operation.read_seconds,
        )
        if reply.status == 499:  # their gateway gave up on their own system
            raise Unavailable(f"Flipkart gave up on {operation.what}", maybe_received=not operation.repeatable)
        return reply


def outcomes(answer: Json, asked: Sequence[str], *, key: str = "shipments", name: str = "shipmentId") -> list[Outcome]:
    """What became of each record of a batch, in the order asked: a 200 says nothing of the single ones. One the
    answer is silent about was not done, as far as anybody can tell."""
    told: dict[str, Outcome] = {}
    for raw in objects(obj(answer).get(key)):
        each = text(raw.get(name))
        status = text(first(raw, "status", "processingStatus")).upper()
        code, words = text(raw.get("errorCode")), text(raw.get("errorMessage"))
        told[each] = Outcome(each, status == "SUCCESS", code, words)
    return [
        told.get(each) or Outcome(each, False, NO_ANSWER, "Flipkart did not say what became of it.") for each in asked
    ]


def sku_outcomes(answer: Json, asked: Sequence[str]) -> list[Outcome]:
    """The same for what listings answer: a map from SKU to its result."""
    told = obj(answer)
    return [
        _sku_outcome(sku, obj(told[sku]))
        if sku in told
        else Outcome(sku, False, NO_ANSWER, "Flipkart did not say what became of it.")
        for sku in asked
    ]


def _sku_outcome(sku: str, raw: Mapping[str, Json]) -> Outcome:
    errors = [*objects(raw.get("errors")), *objects(raw.get("attribute_errors"))]
    code = text(errors[0].get("code")) if errors else ""
    return Outcome(sku, text(raw.get("status")).upper() == "SUCCESS", code, _said(errors))


def _more(answer: Mapping[str, Json]) -> bool:
    more = first(answer, "hasMore", "has_more")
    return more is True or str(more).lower() == "true"


def _json(operation: Operation, reply: Reply) -> Json:
    if not reply.ok:
        raise _refusal(operation, reply)
    try:
        return reply.json()
    except Malformed as failure:
        if reply.body.lstrip()[:1] == b"<":
            raise Unavailable(
                f"Flipkart answered {operation.what} with a page of HTML", maybe_received=not operation.repeatable
            ) from failure
        raise


def _refusal(operation: Operation, reply: Reply) -> OutsideFailure:
    """What a 3xx or 4xx stands for (429 and 5xx are told apart before)."""
    try:
        body = obj(reply.json())
        errors = objects(body.get("errors"))
        code = text(first(body, "errorCode", "error") or (errors[0].get("code") if errors else None))
        words = text(first(body, "errorMessage", "error_description", "message")) or _said(errors)
    except Malformed:
        return Unavailable(f"Flipkart answered {reply.status} without JSON to {operation.what}")
    if code in _RETRY_CODES:
        return Unavailable(f"Flipkart: {words or code}")
    if reply.status == 403:
        return Refused("not_allowed", words or "Flipkart does not allow the application to do this.")
    if reply.status == 404:
        return Refused("not_found", words or "Flipkart knows nothing of it.")
    return Refused(code.lower() or f"http_{reply.status}", words or f"Flipkart answered with status {reply.status}.")


def _said(errors: Sequence[Mapping[str, Json]]) -> str:
    return "; ".join(words for error in errors if (words := text(first(error, "description", "message"))))[:500]
