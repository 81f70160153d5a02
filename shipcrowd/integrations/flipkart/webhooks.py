"""Flipkart's notifications: whether one is real, and which order it is about.

Two ways of signing are accepted. Flipkart's own (`X_Authorization: FKLOGIN …`) covers the registered address and the
time but *not the body*; the other (`X-Flipkart-Signature`) is an HMAC-SHA256 of the body. Since the first says nothing
of what was sent, a notification is only ever a hint: the shipment is read afresh before anything moves.

They come at least once, and one that is not answered with 200 blocks those behind it: whatever is authentic is taken,
what we have no use for included.

Source: Flipkart's seller API documentation, "Notification service"; its signature example is among the tests.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Literal

from shipcrowd.channels.contract import PATH_TOPIC, ChannelEvent, NothingToDo, OrderTouched
from shipcrowd.channels.returns_contract import ReturnTouched
from shipcrowd.integrations.flipkart.reading import first, moment, obj, objects, shown, text
from shipcrowd.kernel.errors import BadRequest, Unauthenticated
from shipcrowd.kernel.outbound import Json, Malformed, read_json

EVENTS: Mapping[str, str] = {
    "shipment_created": "order.created",
    "shipment_hold": "order.on_hold",
    "shipment_unhold": "order.confirmed",
    "shipment_packed": "order.confirmed",
    "shipment_ready_to_dispatch": "shipment.tracking_updated",
    "shipment_dispatch_dates_changed": "shipment.tracking_updated",
    "shipment_pickup_complete": "order.shipped",
    "shipment_shipped": "order.shipped",
    "shipment_delivered": "order.delivered",
    "shipment_cancelled": "order.cancelled",
    "shipment_form_failed": "order.forms_failed",
    "return_created": "order.returned",
    "return_picked_up": "order.returned",
    "return_completed": "order.returned",
    "return_cancelled": "order.returned",
    "return_expected_date_changed": "order.returned",
    "return_item_tracking_id_update": "shipment.tracking_updated",
}
"""Flipkart's event → the topic it is one of."""

TOPICS = (
    "order.created",
    "order.confirmed",
    "order.shipped",
    "order.delivered",
    "order.cancelled",
    "order.returned",
    "shipment.tracking_updated",
    "inventory.updated",
)
ROUTES: Mapping[str, str] = {
    "order-placed": "order.created",
    "order-cancelled": "order.cancelled",
    "return-initiated": "order.returned",
    **{topic: topic for topic in TOPICS},
}
"""What may follow a store's address → the topic of what comes there."""

_KNOWN = frozenset(EVENTS.values()) | frozenset(TOPICS)


class ForgedNotification(Unauthenticated):
    """The signature of this notification is missing, wrong or old."""


class NamelessNotification(BadRequest):
    """This notification does not say which store it is of."""


@dataclass(frozen=True)
class Key:
    """One way a store's notifications may be signed; `window` is how many seconds old one may be."""

    how: Literal["fklogin", "hmac"]
    secret: str
    window: int
    app_id: str = ""
    url: str = ""

    def written(self) -> str:
        """As a text, which is what the door to webhooks keeps."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, written: str) -> "Key":
        return cls(**json.loads(written))


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Raises ForgedNotification unless the delivery was signed with one of the keys, lately."""
    route = headers.get(PATH_TOPIC)
    # Every key is tried, found or not, so that the time taken tells nothing.
    genuine = [_genuine(Key.of(secret), headers, body, route, now) for secret in secrets]
    if not any(genuine):
        raise ForgedNotification()


def _genuine(key: Key, headers: Mapping[str, str], body: bytes, route: str | None, now: datetime) -> bool:
    return _fklogin(key, headers, route, now) if key.how == "fklogin" else _hmac(key, headers, body, now)


def _fklogin(key: Key, headers: Mapping[str, str], route: str | None, now: datetime) -> bool:
    # nginx drops names with underscores unless told otherwise, and some proxies turn them into hyphens.
    given = headers.get("x_authorization") or headers.get("x-authorization") or ""
    at = _date(headers.get("x_date") or headers.get("x-date") or "")
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "fklogin" or at is None or abs(now - at) > timedelta(seconds=key.window):
        return False
    url = f"{key.url}/{route}" if route else key.url
    try:
        offered = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    expected = f"{key.app_id}:{digest(at, url, key.secret)}".encode()
    return hmac.compare_digest(expected, offered)


def digest(at: datetime, url: str, secret: str) -> str:
    """Flipkart's hash of a notification: of the second, the registered address, the method and the secret."""
    said = f"{int(at.timestamp())}{url}POST{secret}"
    return hashlib.sha1(said.encode(), usedforsecurity=False).hexdigest()


def _hmac(key: Key, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    given = headers.get("x-flipkart-signature", "").strip()
    given = given[7:] if given[:7].lower() == "sha256=" else given
    made = hmac.new(key.secret.encode(), body, hashlib.sha256)
    forms = (made.hexdigest(), base64.b64encode(made.digest()).decode())
    offered = given.lower() if len(given) == len(forms[0]) else given
    matches = [hmac.compare_digest(form.encode(), offered.encode()) for form in forms]
    if not any(matches):
        return False
    # The body is signed, and the time in it: a body replayed later shows its age. The time in a header is not signed
    # and says nothing. A body without any time may be sent again; it is the same delivery then (`delivery_id`), and
    # is taken in once for as long as deliveries are kept.
    at = _said_at(body)
    return at is None or abs(now - at) <= timedelta(seconds=key.window)


def sign(secret: str, topic: str, store: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers Flipkart would send with `body`."""
    key = Key.of(secret)
    headers = {"content-type": "application/json", "x-flipkart-seller-id": store, "x-flipkart-topic": topic}
    if key.how == "hmac":
        made = hmac.new(key.secret.encode(), body, hashlib.sha256).hexdigest()
        return headers | {"x-flipkart-signature": made}
    at = now.astimezone(UTC).replace(microsecond=0)
    token = base64.b64encode(f"{key.app_id}:{digest(at, key.url, key.secret)}".encode()).decode()
    return headers | {"x_date": format_datetime(at, usegmt=True), "x_authorization": f"FKLOGIN {token}"}


def delivery_id(headers: Mapping[str, str], body: bytes) -> str:
    """Flipkart names none: the digest of what happened, to what, and when."""
    said = obj(read_json(body))
    about = [said.get(name) for name in ("shipmentId", "shipment_id", "returnId", "orderId", "data")]
    identity = [event(headers, body), about, said.get("timestamp"), said.get("attributes")]
    if said.get("eventType") is None or _said_at(body) is None:
        identity.append(said)  # nothing tells one such event from the next but its whole body
    return "sha256:" + hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()


def event(headers: Mapping[str, str], body: bytes) -> str:
    """Flipkart's own word for what happened, else the topic in the headers or the address. May be blank."""
    said = obj(read_json(body))
    named = text(first(said, "eventType", "event", "topic")) or headers.get("x-flipkart-topic", "")
    return named or ROUTES.get(headers.get(PATH_TOPIC, ""), "")


def topic(headers: Mapping[str, str], body: bytes) -> str:
    """The topic, in the words of `TOPICS`; an event we do not know under its own name."""
    named = event(headers, body)
    return EVENTS.get(named, named) or "unnamed"


def store(headers: Mapping[str, str], body: bytes) -> str:
    """The seller the notification names. Raises NamelessNotification: most name none, their address does."""
    try:
        said = obj(read_json(body))
    except Malformed:
        said = {}
    named = headers.get("x-flipkart-seller-id") or text(said.get("sellerId"))
    if not named:
        raise NamelessNotification()
    return named.strip().lower()


def read(topic: str, body: bytes, headers: Mapping[str, str]) -> list[ChannelEvent]:
    """The shipments and returns to be read afresh. Raises Malformed when it should name one and does not."""
    said = obj(read_json(body))
    if topic not in _KNOWN or topic == "inventory.updated":
        return [NothingToDo(topic)]
    shipments, returned = (
        dict.fromkeys(_named(said, "shipmentId", "shipment_id")),
        dict.fromkeys(_named(said, "returnId")),
    )
    if shipments or returned:
        # A later event of a return names only itself.
        return [*(OrderTouched(each) for each in shipments), *(ReturnTouched(each) for each in returned)]
    raise Malformed("Flipkart's notification names no shipment", shown(said))


def _named(said: Mapping[str, Json], *fields: str) -> list[str]:
    attributes, data = obj(said.get("attributes")), _body_of(said.get("data"))
    holders = [said, attributes, data, *objects(attributes.get("returnItems"))]
    return [named for holder in holders if (named := text(first(holder, *fields)))]


def _body_of(data: Json) -> dict[str, Json]:
    return obj(data) if isinstance(data, dict) else {}


def _said_at(body: bytes) -> datetime | None:
    """When it is said to have happened: ISO 8601, or seconds or milliseconds since 1970. None where nobody can read
    it."""
    try:
        said = obj(read_json(body))
        told = first(said, "timestamp") or first(_body_of(said.get("data")), "timestamp")
        if (number := text(told)).isdigit():
            return datetime.fromtimestamp(int(number) / (1000 if len(number) > 11 else 1), UTC)
        return moment(told)
    except (Malformed, ValueError, OverflowError, OSError):
        return None


def _date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
