"""The application's own client secret: asking for another one, and reading the news of it.

Amazon answers the request with nothing: the new secret arrives as a notification on the queue that the developer
console names, and the old one works for seven more days. A secret ends after 180 days. Source: Application
Management API 2023-11-30; the official schemas of the two notifications.
"""

from datetime import datetime

from pydantic import BaseModel, SecretStr

from shipcrowd.channels.app_contract import KeyNews
from shipcrowd.integrations.amazon import lwa, mapping, notifications, refusals, regions
from shipcrowd.integrations.amazon.account import amazon_app
from shipcrowd.integrations.amazon.client import USER_AGENT
from shipcrowd.integrations.amazon.operations import ROTATE_SECRET
from shipcrowd.integrations.amazon.raw import text
from shipcrowd.kernel import pace
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.outbound import Http, Malformed, Unavailable

SCOPE = "sellingpartnerapi::client_credential:rotation"


class AnotherApplication(Conflict):
    """This is news of an application that is not ours."""


def client_id(app: BaseModel) -> str:
    return amazon_app(app).client_id


async def rotate(app: BaseModel, http: Http) -> None:
    """Ask for a new client secret. Raises NotDone and the outside failures; one that may have been received
    (Unavailable) is not to be repeated at once: each request makes another secret."""
    speaker = lwa.Keys(amazon_app(app).client_id, amazon_app(app).client_secret, private=False)
    token = await lwa.grantless(http, speaker, SCOPE)
    bucket = f"amazon:app:{speaker.client_id}:{ROTATE_SECRET.name}"
    await pace.turn(bucket, capacity=ROTATE_SECRET.room, refill_per_second=ROTATE_SECRET.pace)
    reply = await http.request(
        ROTATE_SECRET.method,
        f"{regions.INDIA.api}{ROTATE_SECRET.path}",
        what=ROTATE_SECRET.name,
        repeatable=False,
        headers={
            "accept": "application/json",
            "user-agent": USER_AGENT,
            "x-amz-access-token": token.get_secret_value(),
        },
    )
    if refusals.token_refused(reply):
        await lwa.grantless(http, speaker, SCOPE, stale=token)
        raise Unavailable("Amazon refused a token it had just given; try again", retry_after=60)
    if not reply.ok:
        raise refusals.refusal(reply, ROTATE_SECRET.name)


def news(app: BaseModel, body: bytes) -> KeyNews | None:
    """What a notification says of our secret; None for one of another kind. Raises Malformed, AnotherApplication."""
    told = notifications.read(body)
    if told.type not in notifications.ABOUT_THE_APPLICATION:
        return None
    whose = text(told.about.get("clientid"))
    if whose != amazon_app(app).client_id:
        raise AnotherApplication(f"Its client id begins with {whose[:24]!r}" if whose else "It names none.")
    if told.type == notifications.SECRET_EXPIRES:
        return KeyNews(whose, None, _when(told, "clientsecretexpirytime"))
    secret = text(told.about.get("newclientsecret"))
    if not secret:
        raise Malformed("a notification of a new client secret without one")  # quoting nothing of it
    return KeyNews(
        whose,
        SecretStr(secret),
        _when(told, "newclientsecretexpirytime"),
        others_until=_when(told, "oldclientsecretexpirytime"),
    )


def _when(told: notifications.Notification, field: str) -> datetime | None:
    return mapping.moment(told.about.get(field))
