"""One call to the Selling Partner API: its place, token and pace, and Amazon's ways of saying no. None of our words.

No request is signed: since October 2023 the access token is the whole authentication. A call is never repeated here
for trouble on their side, for every try takes a place in the seller's bucket; jobs try again. Source: Amazon's
"Connecting to the SP-API", "Usage plans and rate limits".
"""

import math
import platform
import random
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC
from importlib.metadata import version
from typing import ClassVar
from urllib.parse import quote, urlencode

import structlog
from pydantic import SecretStr

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.integrations.amazon import lwa, refusals
from shipcrowd.integrations.amazon.account import AmazonCredentials, amazon_app, amazon_credentials
from shipcrowd.integrations.amazon.operations import OURS, RESTRICTED_TOKEN, Operation
from shipcrowd.integrations.amazon.raw import obj, text
from shipcrowd.kernel import clock, pace
from shipcrowd.kernel.outbound import Disconnected, Http, Json, Malformed, Refused, Reply, Unavailable

log = structlog.get_logger(__name__)

USER_AGENT = (
    f"ShipCrowd/{version('shipcrowd')} "
    f"(Language=Python/{sys.version_info.major}.{sys.version_info.minor}; Platform={platform.system()})"
)
Query = Mapping[str, str | int | bool | Sequence[str] | None]

_ROOM = 50_000
_TURNS = 3


class _Told:
    """The rate Amazon last told, by account and operation, so that the shared bucket is set only when it changes."""

    rates: ClassVar[dict[str, float]] = {}


class AmazonClient:
    """Speaks for one seller at one marketplace. `seller` is the merchant token."""

    def __init__(self, account: StoreAccount) -> None:
        self.account = account
        self.app = amazon_app(account.app)

    @property
    def seller(self) -> str:
        return self.account.external_id

    @property
    def http(self) -> Http:
        return self.account.http

    def rate(self, operation: Operation) -> float:
        """How often a second it is called for this seller: a little less than Amazon allows, as far as this process
        was told."""
        return _Told.rates.get(self._key(operation), operation.rate) * OURS

    async def credentials(self) -> AmazonCredentials:
        """The seller's credentials, good for at least a minute. Raises Disconnected and Unavailable."""
        return amazon_credentials(await self.account.credentials())

    async def call(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str] | None = None,
        query: Query | None = None,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        restricted: SecretStr | None = None,
    ) -> dict[str, Json]:
        """One call once there is room for it in the bucket; the decoded reply, empty where Amazon sends none.

        `path` fills the operation's path, `query` becomes comma-joined parameters (None is left out). `restricted`
        is a restricted data token to speak with instead of the seller's. Raises NotDone and the four outside
        failures; a 429 is Unavailable with the time after which the bucket holds a request again.
        """
        credentials = await self.credentials()
        url = _url(credentials, operation, path or {}, query or {})
        token = restricted or await self._token(operation, credentials)
        reply = await self._send(operation, url, token, body, headers, credentials)
        if refusals.token_refused(reply):
            if restricted is not None:
                raise Unavailable(f"the restricted token for {operation.name} has lapsed", retry_after=1)
            # A consent that was taken back shows here: Login with Amazon gives no token for it any more. A new token
            # that is refused in the same words is about this operation (a role, an enrolment), not about the seller.
            fresh = await self._another_token(operation, credentials, token)
            if fresh != token:
                reply = await self._send(operation, url, fresh, body, headers, credentials)
        if not reply.ok:
            failure = refusals.refusal(reply, operation.name)
            log.info("amazon_refused", what=operation.name, status=reply.status, why=failure.code, request=_id(reply))
            raise failure
        return obj(reply.json()) if reply.body else {}

    async def call_patiently(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str] | None = None,
        query: Query | None = None,
        body: Json = None,
    ) -> dict[str, Json]:
        """As `call`, for one of many calls that would all be made again: where Amazon throttled it, it takes another
        turn, for the bucket is known to be empty now, and that turn is worth waiting for."""
        for _ in range(_TURNS - 1):
            try:
                return await self.call(operation, path=path, query=query, body=body)
            except Unavailable as failure:
                if failure.maybe_received or failure.retry_after is None:
                    raise
        return await self.call(operation, path=path, query=query, body=body)

    async def restricted_token(self, resources: Sequence[Mapping[str, Json]]) -> SecretStr:
        """A token that opens buyers' data of these resources (`method`, `path`, `dataElements`), at most fifty, for an
        hour. Raises NotDone and the outside failures."""
        answer = await self.call(RESTRICTED_TOKEN, body={"restrictedResources": [dict(each) for each in resources]})
        token = text(answer.get("restrictedDataToken"))
        if not token:
            raise Malformed("Amazon answered without a restricted data token")
        return SecretStr(token)

    async def _token(self, operation: Operation, credentials: AmazonCredentials) -> SecretStr:
        if operation.grantless:
            return await lwa.grantless(self.http, lwa.keys(self.app, credentials))
        if credentials.access_token is None:
            raise Disconnected("There is no access token for this seller; sign in to Amazon again.")
        return credentials.access_token

    async def _another_token(self, operation: Operation, credentials: AmazonCredentials, stale: SecretStr) -> SecretStr:
        if operation.grantless:
            return await lwa.grantless(self.http, lwa.keys(self.app, credentials), stale=stale)
        return await self._token(operation, amazon_credentials(await self.account.credentials(stale=credentials)))

    async def _send(
        self,
        operation: Operation,
        url: str,
        token: SecretStr,
        body: Json,
        headers: Mapping[str, str] | None,
        credentials: AmazonCredentials,
    ) -> Reply:
        await self._turn(operation, credentials)
        try:
            reply = await self.http.request(
                operation.method,
                url,
                what=operation.name,
                repeatable=False,
                headers={
                    "accept": "application/json",
                    "user-agent": USER_AGENT,
                    "x-amz-date": clock.now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
                    **dict(operation.headers),
                    **(headers or {}),
                    "x-amz-access-token": token.get_secret_value(),
                },
                json=body,
            )
        except Unavailable as failure:
            raise await self._not_now(operation, failure) from failure
        log.debug("amazon_call", what=operation.name, status=reply.status, request=_id(reply))
        await self._learn(operation, reply)
        return reply

    async def _turn(self, operation: Operation, credentials: AmazonCredentials) -> None:
        if operation.grantless:
            # Counted for the application, not for the seller it is asked on behalf of.
            bucket = f"amazon:app:{lwa.keys(self.app, credentials).client_id}:{operation.name}"
            await pace.turn(bucket, capacity=operation.room, refill_per_second=operation.pace)
        else:
            await self.account.pace(operation.name, 1)

    async def _not_now(self, operation: Operation, failure: Unavailable) -> Unavailable:
        reply = failure.reply
        if failure.maybe_received and not operation.once:
            # Whether it was received makes no difference: it may simply be asked again.
            failure = Unavailable(str(failure), retry_after=failure.retry_after, reply=reply)
        if reply is None:
            return failure
        log.info("amazon_unavailable", what=operation.name, status=reply.status, request=_id(reply))
        if reply.status != 429:
            return failure
        await self._learn(operation, reply)
        rate = self.rate(operation)
        if not operation.grantless:
            # Somebody else spent the bucket (another tool of the seller's, a process that died): all of us wait.
            await self.account.retune(operation.name, operation.room, 0, rate)
        wait = max(1.0, 1 / rate) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        return Unavailable(f"Amazon throttled {operation.name}", retry_after=max(wait, 1.0))

    async def _learn(self, operation: Operation, reply: Reply) -> None:
        rate = _rate(reply.headers.get("x-amzn-ratelimit-limit"))
        key = self._key(operation)
        known = _Told.rates.get(key, operation.rate)
        if rate is None or operation.grantless or math.isclose(rate, known, rel_tol=0.02):
            return
        while len(_Told.rates) >= _ROOM:
            del _Told.rates[next(iter(_Told.rates))]
        _Told.rates[key] = rate
        await self.account.retune(operation.name, operation.room, operation.room, self.rate(operation))

    def _key(self, operation: Operation) -> str:
        return f"{self.account.key}:{operation.name}"


def forget_rates() -> None:
    """Drop the rates this process was told."""
    _Told.rates.clear()


def _url(credentials: AmazonCredentials, operation: Operation, path: Mapping[str, str], query: Query) -> str:
    filled = operation.path.format(**{name: _segment(name, value) for name, value in path.items()})
    asked = {name: _parameter(value) for name, value in query.items() if value is not None}
    return f"{credentials.place.api}{filled}" + (f"?{urlencode(asked, safe=',')}" if asked else "")


def _segment(name: str, value: str) -> str:
    # Dots alone would climb in the path, and a blank would drop the segment: neither is an id of anything.
    if not value or set(value) <= {"."}:
        raise Refused("bad_id", f"{value!r} is no {name} at Amazon.")
    return quote(value, safe="")


def _parameter(value: str | int | bool | Sequence[str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int)):
        return str(value)
    return ",".join(value)


def _rate(told: str | None) -> float | None:
    try:
        rate = float(told or "")
    except ValueError:
        return None
    return rate if math.isfinite(rate) and 0 < rate < 10_000 else None


def _id(reply: Reply) -> str:
    return reply.headers.get("x-amzn-requestid") or reply.headers.get("x-amz-request-id") or ""
