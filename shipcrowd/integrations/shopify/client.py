"""Shopify's Admin GraphQL API: one call, its pace, its token, and its many ways of saying no. None of our words.

Source: shopify.dev, "API limits", "Response and status codes"; GraphQL errors come with HTTP 200.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import structlog

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.integrations.shopify import watch
from shipcrowd.integrations.shopify.account import ShopifyCredentials, shopify_app, shopify_credentials
from shipcrowd.integrations.shopify.documents import Document
from shipcrowd.integrations.shopify.raw import entries, obj, objects, shown
from shipcrowd.kernel.outbound import Disconnected, Json, Malformed, OutsideFailure, Refused, Reply, Unavailable

log = structlog.get_logger(__name__)

BUCKET = "graphql"
"""The one operation Shopify paces: points of query cost, per app and store."""

_NOT_NOW = frozenset({"INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"})
_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Fault:
    """One entry of a reply's `errors`."""

    code: str
    message: str
    path: tuple[str, ...] = ()

    @property
    def protected(self) -> bool:
        """Shopify keeps buyers' data from an app it has not approved for it; that it says so by this address is
        the only thing that tells it from a missing scope."""
        return self.code == "ACCESS_DENIED" and "protected-customer-data" in self.message

    @property
    def scope(self) -> bool:
        return self.code == "ACCESS_DENIED" and not self.protected


@dataclass(frozen=True)
class Answer:
    """The data of a reply, and what was left out of it and why."""

    data: Mapping[str, Json]
    faults: tuple[Fault, ...] = ()

    @property
    def withheld(self) -> bool:
        return any(fault.protected for fault in self.faults)


@dataclass(frozen=True)
class UserError:
    """One entry of a mutation's `userErrors`. `field` is the path into the input, `code` is blank where it has none."""

    code: str
    message: str
    field: tuple[str, ...] = ()


class Rejected(Refused):
    """A mutation was understood and not done; every reason is in `errors`, the first is the `code` and `message`."""

    def __init__(self, operation: str, errors: tuple[UserError, ...]) -> None:
        super().__init__(errors[0].code.lower() or "user_error", "; ".join(error.message for error in errors))
        self.operation = operation
        self.errors = errors


FIRST_GUESS = 10
"""Before a document's real cost is known, it is taken for this fraction of the most it may cost."""


class _Learned:
    """What each document really cost when it last ran. Shopify holds the most a query may cost and gives back what
    it did not: pacing by the most would use a fortieth of the bucket. When the held part is refused, the answer says
    how much is left, and the bucket is set by that."""

    cost: ClassVar[dict[str, float]] = {}


def expected_cost(document: Document) -> int:
    """Points a run of the document is likely to cost, for its place in the store's bucket."""
    return max(1, min(document.cost, math.ceil(_Learned.cost.get(document.name, document.cost / FIRST_GUESS))))


class ShopifyClient:
    """Speaks for one store."""

    def __init__(self, account: StoreAccount) -> None:
        self.account = account
        self._version = shopify_app(account.app).api_version
        self._url = f"https://{account.external_id}/admin/api/{self._version}/graphql.json"

    async def execute(self, document: Document, variables: Mapping[str, Json], *, repeatable: bool) -> Answer:
        """Run one document once its cost fits into the store's bucket.

        `repeatable` says that running it twice is harmless. Data that came with errors is kept, the errors beside
        it. Raises Rejected for `userErrors`, and the four outside failures.
        """
        credentials = await self._credentials()
        reply = await self._post(document, variables, credentials, repeatable)
        if _token_refused(reply):
            fresh = await self._credentials(stale=credentials)
            if fresh.access_token == credentials.access_token:
                raise Disconnected("Shopify no longer accepts the access token of this store.")
            reply = await self._post(document, variables, fresh, repeatable)
            if _token_refused(reply):
                raise Disconnected("Shopify no longer accepts the access token of this store.")
        watch.served(self._version, reply.headers.get("x-shopify-api-version"), self.account.external_id)
        if not reply.ok:
            raise _status_failure(reply)
        body = obj(reply.json())
        throttle = _throttle(body)
        if throttle:
            await self.account.retune(BUCKET, throttle.capacity, throttle.left, throttle.refill)
            if throttle.actual is not None:
                _Learned.cost[document.name] = throttle.actual
        return read_answer(document, body)

    async def _credentials(self, stale: ShopifyCredentials | None = None) -> ShopifyCredentials:
        held = await (self.account.credentials(stale=stale) if stale else self.account.credentials())
        return shopify_credentials(held)

    async def _post(
        self, document: Document, variables: Mapping[str, Json], credentials: ShopifyCredentials, repeatable: bool
    ) -> Reply:
        await self.account.pace(BUCKET, expected_cost(document))
        return await self.account.http.request(
            "POST",
            self._url,
            what=document.name,
            repeatable=repeatable,
            headers={
                "accept": "application/json",
                "x-shopify-access-token": credentials.access_token.get_secret_value(),
            },
            json={"query": document.text, "variables": dict(variables), "operationName": document.name},
        )


def read_answer(document: Document, body: Mapping[str, Json]) -> Answer:
    """A decoded reply → its data, or the failure it stands for."""
    faults = _faults(body.get("errors"))
    data = body.get("data")
    _raise_unless_usable(document, body, faults, data)
    if not isinstance(data, dict):
        raise Malformed(f"Shopify answered {document.name} with neither data nor errors", shown(body))
    answer = Answer(obj(data), faults)
    rejected = _user_errors(answer.data)
    if rejected:
        raise Rejected(document.name, rejected)
    if faults:
        log.info("shopify_partial_answer", what=document.name, codes=sorted({fault.code for fault in faults}))
    return answer


def _raise_unless_usable(document: Document, body: Mapping[str, Json], faults: tuple[Fault, ...], data: Json) -> None:
    codes = {fault.code for fault in faults}
    words = "; ".join(fault.message for fault in faults)[:500]
    if "THROTTLED" in codes:
        throttle = _throttle(body)
        wait = throttle.wait if throttle else 1.0
        raise Unavailable(f"Shopify throttled {document.name}", retry_after=wait)
    if "MAX_COST_EXCEEDED" in codes:
        raise Refused("query_too_costly", words)
    if codes & _NOT_NOW:
        raise Unavailable(f"Shopify failed inside {document.name}", maybe_received=document.kind == "mutation")
    something = isinstance(data, dict) and any(value is not None for value in obj(data).values())
    if not faults or something:
        return
    if any(fault.protected for fault in faults):
        raise _not_approved()
    if any(fault.scope for fault in faults):
        raise _no_scope(words)
    if "SHOP_INACTIVE" in codes:
        raise _frozen()
    raise Refused("bad_query", f"Shopify could not run {document.name}: {words}")


@dataclass(frozen=True)
class _Throttle:
    capacity: float
    left: float
    refill: float
    asked: float
    actual: float | None  # None when it was not run

    @property
    def wait(self) -> float:
        """Seconds until the bucket holds what was asked of it."""
        return min(max((self.asked - self.left) / self.refill, 0.5), _LONGEST_WAIT)


def _throttle(body: Mapping[str, Json]) -> _Throttle | None:
    try:
        cost = body["extensions"]["cost"]
        status = cost["throttleStatus"]
        read = _Throttle(
            capacity=float(status["maximumAvailable"]),
            left=float(status["currentlyAvailable"]),
            refill=float(status["restoreRate"]),
            asked=float(cost.get("requestedQueryCost") or 0),
            actual=float(cost["actualQueryCost"]) if cost.get("actualQueryCost") is not None else None,
        )
    except (KeyError, TypeError, ValueError):
        return None  # advice, not data: a reply without it is as good
    return read if read.refill > 0 else None


def _faults(errors: Json) -> tuple[Fault, ...]:
    """`errors` is a list of objects, or a single text, or a list of texts."""
    if not errors:
        return ()
    return tuple(_fault(entry) for entry in (entries(errors) if isinstance(errors, list) else [errors]))


def _fault(entry: Json) -> Fault:
    if not isinstance(entry, dict):
        return Fault("", str(entry))
    entry = obj(entry)
    extensions = obj(entry.get("extensions"))
    links = f"{extensions.get('documentation') or ''} {extensions.get('documentationUrl') or ''}".strip()
    message = str(entry.get("message") or "")
    return Fault(
        code=str(extensions.get("code") or ""),
        message=f"{message} ({links})" if links else message,
        path=tuple(str(step) for step in entries(entry.get("path"))),
    )


def _user_errors(data: Mapping[str, Json]) -> tuple[UserError, ...]:
    found: list[UserError] = []
    for payload in data.values():
        if not isinstance(payload, dict):
            continue
        for field, errors in obj(payload).items():
            if field.lower().endswith("usererrors"):
                found += [
                    UserError(
                        code=str(entry.get("code") or ""),
                        message=str(entry.get("message") or "Shopify gave no reason."),
                        field=tuple(str(step) for step in entries(entry.get("field"))),
                    )
                    for entry in objects(errors)
                ]
    return tuple(found)


def _token_refused(reply: Reply) -> bool:
    return reply.status == 401 or (
        reply.status in (200, 403) and b"Invalid API key or access token" in reply.body[:500]
    )


def _status_failure(reply: Reply) -> OutsideFailure:
    text = _words(reply)
    if reply.status in (402, 423):
        return _frozen()
    if reply.status == 403:
        return _forbidden(text)
    if reply.status == 404:
        return Disconnected("Shopify knows no store at this address.")
    if reply.status == 430:
        return Refused("security_rejection", "Shopify turned our call away as suspicious.")
    if 300 <= reply.status < 400:
        return Disconnected("The store answers at another address now; connect it again.")
    return Refused(f"http_{reply.status}", text or f"Shopify answered with status {reply.status}.")


def _forbidden(text: str) -> OutsideFailure:
    if "non-expiring access token" in text.lower():
        return Disconnected("Shopify no longer accepts tokens that never expire; sign in again.")
    if "protected-customer-data" in text:
        return _not_approved()
    if "scope" in text.lower():
        return _no_scope(text)
    return Refused("forbidden", text or "Shopify does not allow this.")


def _words(reply: Reply) -> str:
    """What an error body says, cut short; nothing of an HTML page."""
    try:
        body = reply.json()
    except Malformed:
        return ""
    errors = obj(body).get("errors") if isinstance(body, dict) else body
    return "; ".join(fault.message for fault in _faults(errors))[:500]


def _frozen() -> Refused:
    return Refused("shop_frozen", "Shopify has frozen or locked this store; its owner has to settle that with Shopify.")


def _not_approved() -> Refused:
    return Refused(
        "protected_customer_data",
        "Shopify has not approved the app to see buyers' data: ask for it in the Partner Dashboard under API access, "
        "Protected customer data access.",
    )


def _no_scope(words: str) -> Refused:
    return Refused(
        "missing_scope", f"The app lacks a permission at this store; sign in again to grant it. {words}".strip()
    )
