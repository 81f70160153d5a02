"""A courier account of the seller's own, as the pages show it: connected, wrong, and its one-time secret."""

import dataclasses

import pytest
from pydantic import BaseModel, Field, SecretStr

from shipcrowd.couriers import vendors
from shipcrowd.integrations import velocity
from shipcrowd.kernel.outbound import Disconnected
from tests.console.world import Carriers, World
from tests.make.courier import Scripted

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Login(BaseModel):
    """As Velocity asks for it; a part of it is enough for the pages."""

    username: str = Field(title="Registered mobile number", description="With the country code: +919800000001")
    password: SecretStr = Field(title="Password")
    webhook_secret: SecretStr | None = Field(default=None, title="Webhook secret", description="Blank: we make one")


class WithALogin(Carriers):
    def __init__(self, script: Scripted, credentials: BaseModel) -> None:
        super().__init__(script)
        self.credentials = credentials

    async def check(self) -> None:
        assert isinstance(self.credentials, Login)
        if self.credentials.password.get_secret_value() != "right":
            raise Disconnected("Velocity did not accept the user name and password")


async def test_an_account_is_connected_and_looked_at(anyone, day: World):
    fake = dataclasses.replace(
        vendors.vendor("velocity"),
        credentials=Login,
        open=lambda account: WithALogin(day.script, account.credentials),
        login=lambda held: held.username,
        webhooks=velocity.vendor.webhooks,
    )
    manual = vendors.vendor("manual")
    await anyone.sign_in(day)
    vendors.use([fake, manual])
    page = anyone.page
    wide = {}

    async def seen(name: str) -> None:
        await anyone.picture(name)
        if over := await anyone.overflow():
            wide[name] = over

    # The day's shared account was connected with credentials of another model; nothing here opens it.
    await anyone.goto("/couriers")
    await page.get_by_text("Connect an account").click()
    await seen("couriers-form")
    form = page.locator("#connect-velocity")
    await form.get_by_label("Registered mobile number").fill("+919811122233")
    await form.get_by_label("Password").fill("wrong")
    await form.get_by_role("button", name="Try and connect").click()
    await page.get_by_text("did not accept the user name").first.wait_for()
    assert await form.get_by_label("Password").input_value() == ""
    assert await form.get_by_label("Registered mobile number").input_value() == "+919811122233"
    await seen("couriers-refused")
    await form.get_by_label("Password").fill("right")
    await form.get_by_role("button", name="Try and connect").click()
    await page.locator("#secret").wait_for()
    await seen("courier-connected")
    await anyone.goto("/couriers")
    await page.locator("table.couriers a").first.wait_for()
    assert await page.locator("#secret").count() == 0
    await seen("couriers-own")
    await page.locator("table.couriers a").first.click()
    await page.locator("#webhook").wait_for()
    await page.get_by_role("button", name="Pause").click()
    await page.get_by_text("no new parcel is booked with it").wait_for()
    await seen("courier-paused")
    assert wide == {}
