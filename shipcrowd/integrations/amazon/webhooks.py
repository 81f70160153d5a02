"""Amazon's notifications posted to us by a relay of the operator's own, and how their parts are read.

Amazon itself posts nothing: it writes to a queue (see `channels.listening`). Where the queue cannot be reached from
here, a function beside it posts each message, signed as `sign` does, to the address of the store. The readers serve
both ways in.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

from shipcrowd.channels.contract import ChannelEvent
from shipcrowd.integrations.amazon import notifications
from shipcrowd.kernel.errors import Unauthenticated

SIGNATURE = "x-shipcrowd-signature"
TIME = "x-shipcrowd-time"
FRESH_SECONDS = 300


class ForgedRelay(Unauthenticated):
    """The signature of this notification is missing, wrong, or too old."""


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Raises ForgedRelay unless one of `secrets` signed this body, and its time, within the last five minutes."""
    stamp = headers.get(TIME, "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 11):
        raise ForgedRelay("The time of this notification is missing.")
    given = headers.get(SIGNATURE, "")
    matches = [hmac.compare_digest(_signature(secret, stamp, body).encode(), given.encode()) for secret in secrets]
    if not any(matches):
        raise ForgedRelay("The signature of this notification is missing or wrong.")
    if abs(now.timestamp() - int(stamp)) > FRESH_SECONDS:
        raise ForgedRelay("This notification was signed too long ago.")


def sign(secret: str, topic: str, store: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers a relay sends with `body`: HMAC-SHA256 over the time in seconds, a dot, and the body, as hex."""
    stamp = str(int(now.timestamp()))
    return {"content-type": "application/json", TIME: stamp, SIGNATURE: _signature(secret, stamp, body)}


def delivery_id(headers: Mapping[str, str], body: bytes) -> str:
    """Amazon's NotificationId, the same however often it comes; the digest of what came where there is none.

    Raises Malformed.
    """
    return notifications.read(body).id or "sha256:" + hashlib.sha256(body).hexdigest()


def topic(headers: Mapping[str, str], body: bytes) -> str:
    """The notification's type. Raises Malformed."""
    return notifications.read(body).type


def store(headers: Mapping[str, str], body: bytes) -> str:
    """The seller it is about; blank for what concerns the application. Raises Malformed."""
    return notifications.read(body).seller


def read(topic: str, body: bytes, headers: Mapping[str, str]) -> list[ChannelEvent]:
    """What it means for us. Raises Malformed."""
    return notifications.events(notifications.read(body))


def _signature(secret: str, stamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
