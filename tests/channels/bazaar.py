"""Bazaar: an imaginary sales channel, declared like a real one, whose far side is scripted by the tests."""

import base64
import dataclasses
import hashlib
import hmac
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shipcrowd.channels.app_contract import SignIn
from shipcrowd.channels.contract import (
    ChannelEvent,
    ChannelVendor,
    Dispatch,
    FailedItem,
    FeedFinished,
    FeedState,
    FeedStep,
    FeedTicket,
    Listing,
    MarketplaceLevel,
    MarketplaceStockChanged,
    Milestone,
    NothingToDo,
    OrderChanged,
    OrderTouched,
    Page,
    ParcelRefusal,
    PriceChange,
    PrivacyAsk,
    ReadyParcel,
    StockLevel,
    StockRefusal,
    StoreAccount,
    StoreInfo,
    StoreLeft,
)
from shipcrowd.channels.returns_contract import ChannelReturn, ReturnDecision, ReturnResult, ReturnTouched
from shipcrowd.kernel import clock
from shipcrowd.kernel.errors import Invalid, Unauthenticated
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Disconnected, Http, Malformed, Refused, read_json
from shipcrowd.orders.schemas import IncomingLine, IncomingOrder, Payment
from shipcrowd.pincodes.address import Address

APP_SECRET = "bazaar-app-secret"
GOOD_TOKEN = "tok-good-1"


class BazaarApp(BaseModel):
    client_id: str = "bazaar-app"
    client_secret: SecretStr = SecretStr(APP_SECRET)


class BazaarKeys(BaseModel):
    model_config = ConfigDict(frozen=True)

    token: SecretStr = Field(title="Access token", description="Bazaar → Settings → API", min_length=6)
    note: str | None = None
    expires_at: datetime | None = Field(default=None, json_schema_extra={"form": False})


def order(external_id: str = "1001", *, minutes_ago: float = 60, name: str = "Asha Iyer", **changes: object):
    at = clock.now() - timedelta(minutes=minutes_ago)
    return IncomingOrder(
        **{
            "external_id": external_id,
            "number": f"#{external_id}",
            "placed_at": at,
            "source_updated_at": at,
            "payment": Payment.prepaid,
            "subtotal": Money(49900),
            "total": Money(49900),
            "ship_to": Address(
                name=name,
                phone="9000000001",
                email="asha@kaveri.example",
                line1="12, 4th Cross",
                city="Bengaluru",
                state="Karnataka",
                pincode="560038",
            ),
            "lines": (
                IncomingLine(
                    external_id=f"{external_id}-1",
                    sku="SAREE-RED",
                    name="Cotton saree",
                    quantity=1,
                    unit_price=Money(49900),
                    weight_grams=600,
                ),
            ),
            **changes,
        }
    )


@dataclass
class FarSide:
    """One shop over there: what it has, what it accepts, what it was told."""

    external_id: str
    tokens: set[str] = field(default_factory=lambda: {GOOD_TOKEN})
    orders: dict[str, IncomingOrder] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    page_size: int = 2
    calls: list[str] = field(default_factory=list)
    sinces: list[datetime] = field(default_factory=list)
    placed: list[datetime] = field(default_factory=list)
    fails: dict[str, list[BaseException]] = field(default_factory=dict)
    """Operation → what its next calls raise, in turn."""
    hooks: str | None = None
    dispatches: dict[str, Dispatch] = field(default_factory=dict)
    milestones: list[tuple[str, Milestone]] = field(default_factory=list)
    withdrawals: list[str] = field(default_factory=list)
    missing_scopes: tuple[str, ...] = ()
    stock: dict[tuple[str, str], int] = field(default_factory=dict)
    """(variant, place) → what the shop sells by now."""
    sent: list[tuple[list[StockLevel], bool]] = field(default_factory=list)
    """Every `set_stock`: its levels, and whether they were sent singly."""
    refuses: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Variant → why its stock is refused."""
    by_file: bool = False
    files: dict[str, list[StockLevel]] = field(default_factory=dict)
    reports: dict[str, FeedState] = field(default_factory=dict)
    before_stock: Callable[[], object] = lambda: None
    held: list[list[MarketplaceLevel]] = field(default_factory=list)
    """Pages of what lies in Bazaar's own warehouse."""
    on_sale: list[list[Listing]] = field(default_factory=list)
    ready: list[ReadyParcel] = field(default_factory=list)
    not_ready: dict[str, str] = field(default_factory=dict)
    cancelled: list[tuple[str, str]] = field(default_factory=list)
    coming_back: dict[str, ChannelReturn] = field(default_factory=dict)
    asked_back: list[datetime] = field(default_factory=list)
    """Since when each search for returns asked."""
    prices: dict[str, PriceChange] = field(default_factory=dict)
    expected: list[tuple[str, datetime]] = field(default_factory=list)
    decided: list[ReturnDecision] = field(default_factory=list)
    after_decision: Callable[[ReturnDecision], ReturnResult] = lambda decision: ReturnResult(decision.external_id, True)

    def put(self, *orders: IncomingOrder) -> None:
        for each in orders:
            self.orders[each.external_id] = each

    def report(self, reference: str, *refusals: StockRefusal, failed: str = "") -> None:
        """Work off a file: what it holds is on sale now, but for the refusals."""
        if failed:
            self.reports[reference] = FeedState(FeedStep.failed, reason=failed)
            return
        out = {refusal.external_variant_id for refusal in refusals}
        self.take(level for level in self.files[reference] if level.external_variant_id not in out)
        self.reports[reference] = FeedState(FeedStep.done, refusals)

    def take(self, levels: Iterable[StockLevel]) -> None:
        self.stock |= {(level.external_variant_id, level.location): level.available for level in levels}

    def fail(self, operation: str, *failures: BaseException) -> None:
        self.fails.setdefault(operation, []).extend(failures)

    def count(self, operation: str) -> int:
        return self.calls.count(operation)


SHOPS: dict[str, FarSide] = {}


class BazaarChannel:
    def __init__(self, account: StoreAccount) -> None:
        self.account = account

    async def _call(self, operation: str) -> FarSide:
        far = SHOPS[self.account.external_id]
        await self.account.pace("calls", 1)
        far.calls.append(operation)
        if far.fails.get(operation):
            raise far.fails[operation].pop(0)
        held = await self.account.credentials()
        if held.token.get_secret_value() not in far.tokens:  # as a vendor's 401
            held = await self.account.credentials(stale=held)
            if held.token.get_secret_value() not in far.tokens:
                raise Disconnected("Bazaar no longer accepts the token.")
        return far

    async def store(self) -> StoreInfo:
        far = await self._call("store")
        return StoreInfo(
            far.external_id,
            "Kaveri Handlooms",
            missing_scopes=far.missing_scopes,
            details={"location.L1": "Peenya"},
        )

    async def orders(self, since: datetime) -> AsyncIterator[Page]:
        SHOPS[self.account.external_id].sinces.append(since)
        known = sorted(SHOPS[self.account.external_id].orders.values(), key=lambda o: o.source_updated_at)
        changed = [each for each in known if each.source_updated_at >= since]
        size = SHOPS[self.account.external_id].page_size
        for start in range(0, len(changed), size):
            far = await self._call("orders")
            some = changed[start : start + size]
            yield Page(
                orders=tuple(each for each in some if each.external_id not in far.unreadable),
                failed=tuple(
                    FailedItem(each.external_id, "the product of a line is gone", {"id": each.external_id, "sum": 1})
                    for each in some
                    if each.external_id in far.unreadable
                ),
                through=some[-1].source_updated_at,
            )

    async def order(self, external_id: str) -> IncomingOrder:
        far = await self._call("order")
        if external_id in far.unreadable:
            raise Malformed("the product of a line is gone", '{"id": 1}')
        if external_id not in far.orders:
            raise Refused("not_found", "There is no such order.")
        return far.orders[external_id]

    async def dispatched(self, order_ref: str, dispatch: Dispatch) -> str | None:
        far = await self._call("dispatched")
        far.dispatches[dispatch.reference] = dispatch
        return f"F-{dispatch.reference}"

    async def moved(self, dispatch_ref: str, milestone: Milestone, at: datetime, message: str) -> None:
        far = await self._call("moved")
        far.milestones.append((dispatch_ref, milestone))

    async def withdrawn(self, dispatch_ref: str) -> None:
        far = await self._call("withdrawn")
        far.withdrawals.append(dispatch_ref)

    async def set_stock(
        self, levels: Sequence[StockLevel], *, singly: bool = False
    ) -> Sequence[StockRefusal] | FeedTicket:
        far = await self._call("set_stock")
        far.sent.append((list(levels), singly))
        waits = far.before_stock()
        if inspect.isawaitable(waits):
            await waits
        if far.by_file and not singly:
            reference = f"FEED-{len(far.files) + 1}"
            far.files[reference] = list(levels)
            return FeedTicket(reference)
        refused = [
            StockRefusal(level.external_variant_id, *far.refuses[level.external_variant_id])
            for level in levels
            if level.external_variant_id in far.refuses
        ]
        far.take(level for level in levels if level.external_variant_id not in far.refuses)
        return refused

    async def feed(self, reference: str) -> FeedState:
        far = await self._call("feed")
        return far.reports.get(reference, FeedState(FeedStep.under_way))

    async def marketplace_stock(self) -> AsyncIterator[Sequence[MarketplaceLevel]]:
        far = await self._call("marketplace_stock")
        for page in far.held:
            yield page
            await self._call("marketplace_stock_page")

    async def listings(self) -> AsyncIterator[Sequence[Listing]]:
        far = await self._call("listings")
        for page in far.on_sale:
            yield page
            await self._call("listings_page")

    async def ready_to_dispatch(self, parcels: Sequence[ReadyParcel]) -> Sequence[ParcelRefusal]:
        far = await self._call("ready_to_dispatch")
        far.ready += [parcel for parcel in parcels if parcel.order_ref not in far.not_ready]
        return [
            ParcelRefusal(parcel.reference, "held", far.not_ready[parcel.order_ref])
            for parcel in parcels
            if parcel.order_ref in far.not_ready
        ]

    async def cancel_order(self, order_ref: str, reason: str) -> None:
        far = await self._call("cancel_order")
        far.cancelled.append((order_ref, reason))

    async def set_prices(self, changes: Sequence[PriceChange]) -> Sequence[StockRefusal]:
        far = await self._call("set_prices")
        far.prices |= {
            each.external_variant_id: each for each in changes if each.external_variant_id not in far.refuses
        }
        asked = [each.external_variant_id for each in changes]
        return [StockRefusal(each, *far.refuses[each]) for each in asked if each in far.refuses]

    async def rescheduled(self, dispatch_ref: str, expected: datetime) -> None:
        far = await self._call("rescheduled")
        far.expected.append((dispatch_ref, expected))

    async def returns(self, since: datetime) -> AsyncIterator[Sequence[ChannelReturn]]:
        far = await self._call("returns")
        far.asked_back.append(since)
        for each in list(far.coming_back.values()):
            yield [each]

    async def returns_named(self, external_ids: Sequence[str]) -> Sequence[ChannelReturn]:
        far = await self._call("returns_named")
        return [far.coming_back[each] for each in external_ids if each in far.coming_back]

    async def decide_returns(self, decisions: Sequence[ReturnDecision]) -> Sequence[ReturnResult]:
        far = await self._call("decide_returns")
        far.decided += decisions
        return [far.after_decision(each) for each in decisions]

    async def subscribe(self, webhook_url: str) -> Sequence[str]:
        far = await self._call("subscribe")
        far.hooks = webhook_url
        return ["orders/create", "app/uninstalled"]

    async def unsubscribe(self) -> None:
        far = await self._call("unsubscribe")
        far.hooks = None


class BazaarWebhooks:
    def verify(self, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        given = headers.get("x-bazaar-hmac", "")
        if not any(hmac.compare_digest(signature(secret, body), given) for secret in secrets):
            raise Unauthenticated("wrong signature")

    def sign(self, secret: str, topic: str, store: str, body: bytes, now: datetime) -> dict[str, str]:
        return {
            "x-bazaar-hmac": signature(secret, body),
            "x-bazaar-topic": topic,
            "x-bazaar-shop": store,
            "x-bazaar-id": str(new_id()),
            "x-bazaar-at": now.isoformat(),
            "content-type": "application/json",
        }

    def delivery_id(self, headers: Mapping[str, str], body: bytes) -> str:
        return headers.get("x-bazaar-id") or hashlib.sha256(body).hexdigest()

    def topic(self, headers: Mapping[str, str], body: bytes) -> str:
        return headers.get("x-bazaar-topic") or headers.get("x-path-topic", "")

    def store(self, headers: Mapping[str, str], body: bytes) -> str:
        return headers.get("x-bazaar-shop", "")

    def read(self, topic: str, body: bytes, headers: Mapping[str, str]) -> list[ChannelEvent]:
        found = read_json(body)
        match topic:
            case "orders/create":
                if "order" not in found:
                    raise Malformed("the payload holds no order", body.decode())
                return [OrderChanged(IncomingOrder.model_validate_json(found["order"]))]
            case "orders/updated":
                return [OrderTouched(found["id"])]
            case "returns/updated":
                return [OrderTouched(found["order"]), ReturnTouched(found["id"])]
            case "app/uninstalled":
                at = headers.get("x-bazaar-at")
                return [StoreLeft(datetime.fromisoformat(at).astimezone(UTC) if at else None)]
            case "customers/redact":
                return [PrivacyAsk("redact_buyer", tuple(found["orders"]))]
            case "customers/data_request":
                return [PrivacyAsk("data_request", tuple(found["orders"]))]
            case "shop/redact":
                return [PrivacyAsk("redact_store")]
            case "feeds/finished":
                return [FeedFinished(found["feed"])]
            case "warehouse/changed":
                return [MarketplaceStockChanged()]
            case _:
                return [NothingToDo(topic)]


def signature(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def store_id(typed: str) -> str:
    name = typed.strip().lower().removeprefix("https://").rstrip("/")
    if "." not in name:
        raise Invalid("type the shop's address, such as kaveri.bazaar.example", field="store")
    return name


def _start(app: BaseModel, shop: str, state: str, redirect_uri: str) -> str:
    return f"https://{shop}/oauth?client_id=bazaar-app&state={state}&redirect_uri={redirect_uri}"


def _check(app: BaseModel, query: Sequence[tuple[str, str]], now: datetime) -> str:
    found = dict(query)
    if found.get("hmac") != "right":
        raise Unauthenticated("forged callback")
    return found["shop"]


async def _finish(
    app: BaseModel, http: Http, shop: str, query: Mapping[str, str], redirect: str, now: datetime
) -> BazaarKeys:
    SHOPS[shop].calls.append("finish")
    if query.get("code") != "good-code":
        raise Disconnected("The code was used before.")
    return BazaarKeys(token=SecretStr(GOOD_TOKEN), expires_at=now + timedelta(hours=1))


async def _renew(app: BaseModel, http: Http, external_id: str, credentials: BaseModel, now: datetime) -> BazaarKeys:
    far = SHOPS[external_id]
    far.calls.append("renew")
    if far.fails.get("renew"):
        raise far.fails["renew"].pop(0)
    if not far.tokens:
        raise Disconnected("invalid_grant")
    return BazaarKeys(token=SecretStr(sorted(far.tokens)[-1]), expires_at=now + timedelta(hours=1))


vendor = ChannelVendor(
    slug="bazaar",
    name="Bazaar",
    credentials=BazaarKeys,
    app_settings=BazaarApp,
    open=BazaarChannel,
    webhooks=BazaarWebhooks(),
    webhook_secrets=lambda app, credentials: [APP_SECRET],
    sign_in=SignIn(start=_start, check=_check, finish=_finish),
    expires_at=lambda credentials: credentials.expires_at,  # type: ignore[attr-defined]
    renew=_renew,
    paces={"calls": (1000.0, 1000.0)},
    store_id=store_id,
    stock_batch=5,
    dispatch_batch=2,
)


class PlainChannel:
    """A channel that hands over orders, and can do nothing besides."""

    def __init__(self, account: StoreAccount) -> None:
        bazaar = BazaarChannel(account)
        self.store, self.orders, self.order = bazaar.store, bazaar.orders, bazaar.order


PLAIN = dataclasses.replace(vendor, slug="plain", name="Plain", open=PlainChannel)

RUGGED = ChannelVendor(
    slug="rugged",
    name="Rugged",
    credentials=BazaarKeys,
    app_settings=BazaarApp,
    open=BazaarChannel,
    webhooks=BazaarWebhooks(),
    # Its webhooks are signed with each store's own secret.
    webhook_secrets=lambda app, credentials: [credentials.token.get_secret_value()],  # type: ignore[attr-defined]
    paces={"calls": (1000.0, 1000.0)},
    store_id=store_id,
)


def webhook(topic: str, shop: str, payload: object, *, secret: str = APP_SECRET, **headers: str):
    """The body and the headers of a delivery."""
    body = json.dumps(payload).encode()
    return body, BazaarWebhooks().sign(secret, topic, shop, body, clock.now()) | headers


def created(incoming: IncomingOrder) -> dict[str, str]:
    """The payload of orders/create."""
    return {"order": incoming.model_dump_json()}
