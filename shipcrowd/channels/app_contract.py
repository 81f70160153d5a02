"""Our own application at a channel: how sellers sign in to it, how its keys change, how a typed name is proved. A part
of the contract."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, SecretStr

from shipcrowd.kernel.outbound import Http


@dataclass(frozen=True)
class BegunThere:
    """A sign-in that begins at the vendor (its app store), which sends the browser to us first.

    `place(app, query)` → the place it is about; `go_back(app, query, state, redirect_uri)` → the URL to send the
    browser back to. Both raise Invalid for a query that does not lead back to the vendor.
    """

    place: Callable[[BaseModel, Sequence[tuple[str, str]]], str]
    go_back: Callable[[BaseModel, Sequence[tuple[str, str]], str, str], str]


@dataclass(frozen=True)
class SignIn:
    """A sign-in by redirect (OAuth). Both functions are pure but for `finish`, which exchanges the code.

    `start(app, shop, state, redirect_uri)` → the URL to send the browser to; raises Invalid for a bad shop.
    `check(app, query, now)` → the shop, or None where the vendor's callback names none: then the `state`, which the
    caller bound to the session and the shop, is all there is to go by. Raises Unauthenticated for a forged or stale
    callback. `query` is the list of decoded (key, value) pairs.
    `await finish(app, http, shop, query, redirect_uri, now)` → credentials; `query` holds the vendor's code.

    Where the vendor says who signed in only when the browser comes back, `place(typed)` makes of what the seller
    typed the place to sign in at (a marketplace; it may be typed blank): `start` and `finish` get that instead of a
    shop, and `check` tells the store.
    """

    start: Callable[[BaseModel, str, str, str], str]
    check: Callable[[BaseModel, Sequence[tuple[str, str]], datetime], str | None]
    finish: Callable[[BaseModel, Http, str, Mapping[str, str], str, datetime], Awaitable[BaseModel]]
    place: Callable[[str], str] | None = None
    begun_there: BegunThere | None = None
    asks: str = "Store address"  # what the seller is to type


@dataclass(frozen=True)
class KeyNews:
    """What a vendor tells of our own application's keys: a new secret (None: only when the present one ends), when
    that ends, and until when those before it still work."""

    client_id: str
    secret: SecretStr | None
    expires_at: datetime | None
    others_until: datetime | None = None


@dataclass(frozen=True)
class OwnKeys:
    """Keys of our own application that the vendor changes while we run (`kernel.app_secrets`).

    `client_id(app)` → whose they are; empty where we have no application there. `news(app, body)` reads a message that
    names no store; None when it is about something else. `await rotate(app, http)` asks for another secret.
    """

    client_id: Callable[[BaseModel], str]
    news: Callable[[BaseModel, bytes], KeyNews | None]
    rotate: Callable[[BaseModel, Http], Awaitable[None]]


@runtime_checkable
class ProvesStore(Protocol):
    """A channel at which a store's name is typed beside credentials that do not say whose they are."""

    async def prove(self) -> None:
        """Raises Refused, in words about the name, where the credentials are not seen to be that store's."""
        ...
