"""Signing in at Seller Central: the consent page, the way back, and the variant that begins in Amazon's app store.

Source: Amazon's "Website authorization workflow" and "Selling Partner Appstore authorization workflow". Who signs in
is known only when the browser comes back; the way back is not signed, so the state, bound to the person who started
it and good once within ten minutes, is all that vouches for it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel

from shipcrowd.integrations.amazon import lwa, regions
from shipcrowd.integrations.amazon.account import SELLER, AmazonCredentials, amazon_app
from shipcrowd.kernel.errors import Invalid, Unauthenticated
from shipcrowd.kernel.outbound import Http

CODE = "spapi_oauth_code"

_AMAZON = frozenset((urlsplit(place.seller_central).hostname or "").partition(".")[2] for place in regions.MARKETPLACES)
"""Amazon's own domains: `amazon.in`, `amazon.com`, …"""


class ForgedCallback(Unauthenticated):
    """This sign-in did not come from Amazon, or was refused there; start it again."""


class NotFromAmazon(Invalid):
    """This address does not lead back to Amazon."""


class NotSetUp(Invalid):
    """Signing in at Amazon is not set up here; paste the refresh token of an application of your own instead."""


def place(typed: str) -> str:
    """What a seller typed, a country or nothing → the marketplace to sign in at. Raises UnknownMarketplace."""
    return regions.marketplace(typed).id


def start(app: BaseModel, marketplace: str, state: str, redirect_uri: str) -> str:
    """The address of the consent page. Raises NotSetUp, UnknownMarketplace."""
    ours = amazon_app(app)
    if not ours.application_id:
        raise NotSetUp
    query = {"application_id": ours.application_id, "state": state, "redirect_uri": redirect_uri}
    if ours.draft:
        query["version"] = "beta"
    return f"{regions.marketplace(marketplace).seller_central}/apps/authorize/consent?{urlencode(query)}"


def check(app: BaseModel, query: Sequence[tuple[str, str]], now: datetime) -> str:
    """The seller a callback speaks for. Raises ForgedCallback for one without a seller, a state or a code.

    A legacy `mws_auth_token` beside them is of no use and not looked at.
    """
    seller, _ = _single(query, "selling_partner_id"), _single(query, "state")
    if not SELLER.fullmatch(seller):
        raise ForgedCallback("The sign-in names no seller.")
    _single(query, CODE)
    return seller


async def finish(
    app: BaseModel, http: Http, marketplace: str, query: Mapping[str, str], redirect_uri: str, now: datetime
) -> AmazonCredentials:
    """Exchange the code of a callback. Raises what `lwa.exchange` does."""
    return await lwa.exchange(amazon_app(app), http, query[CODE], redirect_uri, regions.marketplace(marketplace).id)


def arrive(app: BaseModel, query: Sequence[tuple[str, str]]) -> str:
    """A seller chose our application in Amazon's app store, and Amazon sent the browser to our sign-in address: the
    marketplace it came from. Raises NotFromAmazon."""
    host = urlsplit(_way_back(query)).hostname or ""
    return next(
        (each.id for each in regions.MARKETPLACES if urlsplit(each.seller_central).hostname == host), regions.INDIA.id
    )


def go_back(app: BaseModel, query: Sequence[tuple[str, str]], state: str, redirect_uri: str) -> str:
    """Where the browser goes on to once the person is signed in here: back to Amazon, which then sends it to
    `redirect_uri` as after any consent. Raises NotFromAmazon."""
    sent = {"redirect_uri": redirect_uri, "amazon_state": _one(query, "amazon_state"), "state": state}
    if amazon_app(app).draft:
        sent["version"] = "beta"
    way_back = _way_back(query)
    return f"{way_back}{'&' if urlsplit(way_back).query else '?'}{urlencode(sent)}"


def _way_back(query: Sequence[tuple[str, str]]) -> str:
    url = _one(query, "amazon_callback_uri")
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    amazons = any(host == domain or host.endswith(f".{domain}") for domain in _AMAZON)
    if parts.scheme != "https" or parts.username is not None or parts.port not in (None, 443) or not amazons:
        raise NotFromAmazon("The sign-in does not lead back to Amazon.", field="amazon_callback_uri")
    if parts.fragment or any(letter.isspace() or letter == "\\" for letter in url):
        raise NotFromAmazon("The sign-in does not lead back to Amazon.", field="amazon_callback_uri")
    return url


def _one(query: Sequence[tuple[str, str]], key: str) -> str:
    try:
        return _single(query, key)
    except ForgedCallback as error:
        raise NotFromAmazon(str(error), field=key) from None


def _single(query: Sequence[tuple[str, str]], key: str) -> str:
    values = [value for name, value in query if name == key]
    if len(values) != 1 or not values[0]:
        raise ForgedCallback(f"The sign-in must give {key} exactly once.")
    return values[0]
