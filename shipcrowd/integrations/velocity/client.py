"""Velocity Shipfast over HTTP: every endpoint, its token, its envelopes and its errors. None of our words.

Requests and replies are plain JSON; `mapping` gives them meaning. Every method answers what stood inside the
envelope and raises only the four outside failures. A request that may have created something over there is sent
once, and whatever leaves its outcome open is `Unavailable(maybe_received=True)`.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from shipcrowd.couriers.contract import CourierAccount
from shipcrowd.integrations.velocity import reading, refusals
from shipcrowd.integrations.velocity.credentials import VelocityCredentials
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Disconnected, Json, Malformed, Refused, Reply, Unavailable
from shipcrowd.kernel.validation import expected

BASE_URL = "https://shazam.velocity.in"
"""Production. `account.settings["base_url"]` names another: staging is https://shazam.stagingvelocity.in."""
PREFIX = "/custom/api/v1"

TOKEN_LIFE = timedelta(hours=24)
RENEW_BEFORE = timedelta(hours=1)
# Logins are budgeted at ten an hour, so whatever the clocks say a fresh token is used for at least this long
# (a 401 still renews it), and a failed early renewal is not tried again sooner.
LOGIN_REST = timedelta(minutes=10)


@dataclass(frozen=True)
class Operation:
    """One endpoint. `creates` marks those after which something may exist over there although we read no answer."""

    what: str
    path: str
    method: str = "POST"
    read_seconds: float = 30.0
    repeatable: bool = False
    creates: bool = False
    bucket: str | None = None
    """Whose budget the call takes from. None for a second step: it must follow the first, not wait in a queue."""


AUTH = Operation("auth", "/auth-token")
WAREHOUSE = Operation("warehouse", "/warehouse", creates=True, bucket="warehouse")
SERVICEABILITY = Operation(
    "serviceability", "/serviceability", read_seconds=8.0, repeatable=True, bucket="serviceability"
)
FORWARD = Operation("forward", "/forward-order-orchestration", creates=True, bucket="forward")
FORWARD_ORDER = Operation("forward_order", "/forward-order", creates=True, bucket="forward")
FORWARD_SHIPMENT = Operation("forward_shipment", "/forward-order-shipment", creates=True)
REVERSE = Operation("reverse", "/reverse-order-orchestration", creates=True, bucket="reverse")
REVERSE_ORDER = Operation("reverse_order", "/reverse-order", creates=True, bucket="reverse")
REVERSE_SHIPMENT = Operation("reverse_shipment", "/reverse-order-shipment", creates=True)
CANCEL = Operation("cancel", "/cancel-order", bucket="cancel")
TRACK = Operation("track", "/order-tracking", repeatable=True, bucket="track")
REPORTS = Operation("reports", "/reports", repeatable=True, bucket="reports")
UPDATE = Operation("update_order", "/order", method="PUT")

FAILED = frozenset({"0", "false", "fail", "failed", "failure", "error"})


class VelocityClient:
    """One account at Velocity. Share it within a process: renewals of its token wait for each other."""

    def __init__(self, account: CourierAccount) -> None:
        self._account = account
        self._credentials = expected(VelocityCredentials, account.credentials)
        self._base = (account.settings.get("base_url") or BASE_URL).rstrip("/")
        self._signing_in = asyncio.Lock()
        self._rest_until: datetime | None = None

    @property
    def base_host(self) -> str:
        """Host (and port) the API is called at."""
        return urlsplit(self._base).netloc.lower()

    # -- endpoints ---------------------------------------------------------------------------------------------

    async def serviceability(self, lane: Mapping[str, Json]) -> Mapping[str, Json]:
        """`from, to, payment_mode, shipment_type` → `serviceability_results`, `zone`. No prices."""
        return await self._call(SERVICEABILITY, lane)

    async def create_warehouse(self, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """A pickup point → `warehouse_id`."""
        return await self._call(WAREHOUSE, body)

    async def forward(self, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """Order, AWB, label and pickup in one step. The AWB may be missing: see `forward_shipment`."""
        return await self._call(FORWARD, body)

    async def forward_order(self, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """First of two steps: the order alone → `shipment_id`."""
        return await self._call(FORWARD_ORDER, body)

    async def forward_shipment(self, shipment_id: str, carrier_id: str) -> Mapping[str, Json]:
        """Second of two steps: the AWB for an order that stands. A blank carrier lets Velocity choose."""
        return await self._call(FORWARD_SHIPMENT, {"shipment_id": shipment_id, **_carrier(carrier_id)})

    async def reverse(self, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """A return and its AWB in one step."""
        return await self._call(REVERSE, body)

    async def reverse_order(self, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """First of two steps: the return alone → `return_id`."""
        return await self._call(REVERSE_ORDER, body)

    async def reverse_shipment(self, return_id: str, warehouse_id: str, carrier_id: str) -> Mapping[str, Json]:
        """Second of two steps: the AWB for a return that stands."""
        body = {"return_id": return_id, "warehouse_id": warehouse_id, **_carrier(carrier_id)}
        return await self._call(REVERSE_SHIPMENT, body)

    async def cancel(self, awbs: Sequence[str]) -> str:
        """Ask to cancel up to 50 parcels; Velocity's message. It acts later: tracking confirms."""
        return refusals.words_of(await self._call(CANCEL, {"awbs": list(awbs)}))

    async def track(self, awbs: Sequence[str]) -> Mapping[str, Json]:
        """AWB → `{tracking_data}` or `{error}`."""
        return await self._call(TRACK, {"awbs": list(awbs)})

    async def reports(self, start: str, end: str, shipment_type: str) -> Mapping[str, Json]:
        """Counts of a period (ISO 8601 moments), `forward` or `return`."""
        return await self._call(
            REPORTS, {"start_date_time": start, "end_date_time": end, "shipment_type": shipment_type}
        )

    async def update_order(self, order_id: str, fields: Mapping[str, Json]) -> Mapping[str, Json]:
        """Correct the `billing_*` address fields of an order that is not picked up yet."""
        return await self._call(UPDATE, {"order_id": order_id, **fields})

    async def download(self, url: str) -> Reply:
        """GET a public file. Carries no token: the files lie with a third party."""
        return await self._account.http.request("GET", url, what="label", repeatable=True, read_seconds=30.0)

    # -- the token ---------------------------------------------------------------------------------------------

    async def sign_in(self) -> None:
        """Get a new token with the user name and password. Raises Disconnected when they are not accepted."""
        async with self._signing_in:
            await self._login()

    async def _token(self) -> str:
        async with self._signing_in:
            now = clock.now()
            token, expires = self._credentials.token, self._credentials.token_expires_at
            left = expires - now if expires else timedelta(0)
            usable = token is not None and left > timedelta(0)
            rested = self._rest_until is None or now >= self._rest_until
            if token and usable and (left >= RENEW_BEFORE or not rested):
                return token.get_secret_value()
            try:
                return await self._login()
            except Unavailable:
                if token and usable:  # renewing early failed; the present token still works
                    return token.get_secret_value()
                raise

    async def _renewed(self, rejected: str) -> str:
        """A token other than the one just rejected; another call may have renewed it meanwhile."""
        async with self._signing_in:
            token = self._credentials.token
            if token and token.get_secret_value() != rejected:
                return token.get_secret_value()
            return await self._login()

    async def _login(self) -> str:
        asked = clock.now()
        self._rest_until = asked + LOGIN_REST
        body = {
            "username": self._credentials.username,
            "password": self._credentials.password.get_secret_value(),
        }
        try:
            reply = await self._send(AUTH, body, token=None)
            if reply.status in (400, 401, 403, 422):
                raise Disconnected("Velocity did not accept the user name and password")
            if not reply.ok:
                raise Unavailable(f"Velocity answered {reply.status}")
            data = self._unwrapped(AUTH, reply)
        except Refused as refusal:
            raise Disconnected("Velocity did not accept the user name and password") from refusal
        except (Unavailable, Malformed) as failure:
            # Whatever was waiting for this token has not been sent, so nothing can have come of it.
            wait = failure.retry_after if isinstance(failure, Unavailable) else None
            raise Unavailable(f"signing in to Velocity: {failure}", retry_after=wait) from failure
        token = reading.text(data.get("token"))
        if not token:
            raise Unavailable("signing in to Velocity: the answer holds no token")
        # No zone is given. Read as IST, a UTC time merely renews early; the other way round it would expire in use.
        expires = reading.moment(data.get("expires_at")) or asked + TOKEN_LIFE
        self._credentials = self._credentials.model_copy(
            update={"token": SecretStr(token), "token_expires_at": max(expires, asked + LOGIN_REST)}
        )
        self._account.credentials = self._credentials
        if self._account.remember:
            await self._account.remember(self._credentials)
        return token

    # -- one call ----------------------------------------------------------------------------------------------

    async def _call(self, operation: Operation, body: Mapping[str, Json]) -> Mapping[str, Json]:
        if operation.bucket is not None and self._account.pace is not None:
            await self._account.pace(operation.bucket)
        token = await self._token()
        reply = await self._send(operation, body, token)
        if reply.status == 401:
            token = await self._renewed(rejected=token)
            reply = await self._send(operation, body, token)
            if reply.status == 401:
                raise Disconnected("Velocity keeps refusing our token; sign in to Velocity again")
        return self._unwrapped(operation, reply)

    async def _send(self, operation: Operation, body: Mapping[str, Json], token: str | None) -> Reply:
        headers = {"content-type": "application/json", "accept": "application/json"}
        if token is not None:
            headers["authorization"] = token  # raw: Velocity knows no `Bearer`
        try:
            return await self._account.http.request(
                operation.method,
                f"{self._base}{PREFIX}{operation.path}",
                what=operation.what,
                repeatable=operation.repeatable,
                headers=headers,
                content=encoded(body).encode(),
                read_seconds=operation.read_seconds,
            )
        except Malformed as failure:  # a reply too large to read
            raise self._unreadable(operation, failure) from failure

    def _unwrapped(self, operation: Operation, reply: Reply) -> Mapping[str, Json]:
        """What stands inside the envelope: `payload`, `result`, or the flat body itself."""
        try:
            body = reply.json()
        except Malformed as failure:
            if reply.ok:
                raise self._unreadable(operation, failure) from failure
            # Some gateway in between answered, not the API: nothing was acted on.
            raise Unavailable(f"Velocity answered {reply.status} without JSON to {operation.what}") from failure
        if not reply.ok:
            raise refusals.refusal(reply.status, body, doing=operation.what)
        if not isinstance(body, dict):
            failure = Malformed(f"Velocity answered {operation.what} with no object", reply.text())
            raise self._unreadable(operation, failure) from failure
        data = reading.record(cast(Json, body))
        inner = next((reading.record(data[name]) for name in ("payload", "result") if name in data), data)
        if _says_failed(data) and not _stands(inner):
            raise refusals.refusal(reply.status, data, doing=operation.what)
        return inner

    def _unreadable(self, operation: Operation, failure: Malformed) -> Malformed | Unavailable:
        if not operation.creates:
            return failure
        return Unavailable(f"Velocity's answer to {operation.what} could not be read", maybe_received=True)


def encoded(value: Json) -> str:
    """JSON text in which a `Decimal` is a number with exactly its digits: the API wants numbers, we want no floats."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        fields = cast(Mapping[str, Json], value).items()
        return "{" + ",".join(f"{json.dumps(name)}:{encoded(item)}" for name, item in fields) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(encoded(item) for item in cast(Sequence[Json], value)) + "]"
    return json.dumps(value)


def _carrier(carrier_id: str) -> Mapping[str, Json]:
    return {"carrier_id": carrier_id} if carrier_id else {}


def _says_failed(data: Mapping[str, Json]) -> bool:
    """A failure told with HTTP 200."""
    if (
        reading.text(data.get("status")).lower() in FAILED
        or data.get("status") is False
        or data.get("success") is False
    ):
        return True
    return "error" in data and bool(data["error"]) and not {"payload", "result", "token"} & set(data)


def _stands(inner: Mapping[str, Json]) -> bool:
    """An order exists over there, whatever the envelope says of the rest."""
    return any(reading.text(inner.get(name)) for name in ("shipment_id", "return_id", "awb_code"))
