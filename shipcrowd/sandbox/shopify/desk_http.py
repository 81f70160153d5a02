"""Shopify's part of the desk over HTTP: shops and their orders."""

from fastapi import APIRouter

from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.schemas import (
    Access,
    Count,
    Frozen,
    Mode,
    NewEdit,
    NewOrder,
    NewShop,
    OrderView,
    ShopView,
    StockView,
)


class Why(Frozen):
    reason: str = ""
    note: str = ""
    awb: str = ""
    company: str = "Other"
    topic: str = "orders/updated"


class ShopChange(Frozen):
    mode: Mode | None = None
    access: Access | None = None


class PrivacyAsk(Frozen):
    topic: str
    order: str | None = None


class Url(Frozen):
    url: str


class ComplianceUrl(Frozen):
    url: str | None


class Scopes(Frozen):
    scopes: list[str]


class CustomToken(Frozen):
    token: str
    secret: str


def router(desk: Desk) -> APIRouter:
    """Every verb of `desk` about shops. Its errors are answered by the app this is put into."""
    made = APIRouter()
    _shops(made, desk)
    _orders(made, desk)
    return made


def _shops(on: APIRouter, desk: Desk) -> None:
    @on.post("/shops", status_code=201)
    async def create(new: NewShop) -> ShopView:
        return desk.create_shop(new.domain, new)

    @on.get("/shops")
    async def shops() -> list[ShopView]:
        return desk.shops()

    @on.patch("/shops/{domain}")
    async def change(domain: str, change: ShopChange) -> ShopView:
        return desk.set_shop(domain, mode=change.mode, access=change.access)

    @on.post("/approve")
    async def approve(asked: Url) -> Url:
        return Url(url=desk.approve(asked.url))

    @on.post("/shops/{domain}/custom-token")
    async def custom_token(domain: str, asked: Scopes) -> CustomToken:
        token, secret = desk.custom_token(domain, asked.scopes)
        return CustomToken(token=token, secret=secret)

    @on.post("/shops/{domain}/uninstall", status_code=204)
    async def uninstall(domain: str) -> None:
        desk.uninstall(domain)

    @on.post("/shops/{domain}/drain-bucket", status_code=204)
    async def drain_bucket(domain: str) -> None:
        desk.drain_bucket(domain)

    @on.post("/shops/{domain}/privacy", status_code=204)
    async def privacy(domain: str, asked: PrivacyAsk) -> None:
        desk.privacy(domain, asked.topic, asked.order)

    @on.get("/shops/{domain}/stock")
    async def stock(domain: str) -> list[StockView]:
        return desk.stock(domain)

    @on.put("/compliance-url", status_code=204)
    async def compliance_url(asked: ComplianceUrl) -> None:
        desk.set_compliance_url(asked.url)


def _orders(on: APIRouter, desk: Desk) -> None:
    at = "/shops/{domain}/orders"

    @on.post(at, status_code=201)
    async def place(domain: str, new: NewOrder) -> OrderView:
        return desk.place_order(domain, new)

    @on.get(at)
    async def orders(domain: str) -> list[OrderView]:
        return desk.orders(domain)

    @on.get(at + "/{name}")
    async def order(domain: str, name: str) -> OrderView:
        return desk.order(domain, name)

    @on.patch(at + "/{name}")
    async def edit(domain: str, name: str, change: NewEdit) -> OrderView:
        return desk.edit_order(domain, name, change)

    @on.delete(at + "/{name}", status_code=204)
    async def delete(domain: str, name: str) -> None:
        desk.delete_order(domain, name)

    @on.post(at + "/{name}/cancel")
    async def cancel(domain: str, name: str, why: Why) -> OrderView:
        return desk.cancel_order(domain, name, why.reason or "CUSTOMER")

    @on.post(at + "/{name}/hold")
    async def hold(domain: str, name: str, why: Why) -> OrderView:
        return desk.hold_order(domain, name, why.reason or "OTHER", why.note)

    @on.post(at + "/{name}/release")
    async def release(domain: str, name: str) -> OrderView:
        return desk.release_order(domain, name)

    @on.post(at + "/{name}/fulfil-elsewhere")
    async def fulfil_elsewhere(domain: str, name: str, why: Why) -> OrderView:
        return desk.fulfil_elsewhere(domain, name, why.awb, why.company)

    @on.post(at + "/{name}/resend-webhook")
    async def resend(domain: str, name: str, why: Why) -> Count:
        return Count(count=desk.resend_webhook(domain, name, why.topic))
