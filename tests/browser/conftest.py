"""A real browser against a real server on this machine's own loopback. Chromium is found, never downloaded:
`$SHIPCROWD_CHROMIUM`, or Debian's. Where there is none, the tests are skipped and the summary says so aloud.

`SHIPCROWD_SCREENSHOTS=<folder>` keeps a picture of every page the tests look at.
"""

import asyncio
import contextlib
import os
import socket
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shipcrowd import console
from shipcrowd.channels import vendors as channel_vendors
from shipcrowd.couriers import vendors
from shipcrowd.documents import keeping
from shipcrowd.identity import passwords
from shipcrowd.kernel import db, problems, tenancy
from shipcrowd.settings import settings
from tests.console import world
from tests.console.world import PASSWORD, World
from tests.support import drain

FOUND_AT = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
SECONDS = 15
_skipped: list[str] = []


def chromium() -> str | None:
    named = os.environ.get("SHIPCROWD_CHROMIUM")
    return next((path for path in ([named] if named else FOUND_AT) if path and os.access(path, os.X_OK)), None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped:
        terminalreporter.section("BROWSER TESTS WERE SKIPPED", red=True, bold=True)
        terminalreporter.line(_skipped[0])


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = chromium()
    if path is None:
        named = os.environ.get("SHIPCROWD_CHROMIUM")
        words = (
            f"no Chromium: {f'SHIPCROWD_CHROMIUM={named} is no program' if named else 'none of ' + ', '.join(FOUND_AT)}"
        )
        words += "; install it (Debian: apt-get install chromium) or set SHIPCROWD_CHROMIUM"
        _skipped.append(words)
        # A warning reaches the summary from a worker process, too.
        warnings.warn(pytest.PytestWarning(f"BROWSER TESTS WERE SKIPPED: {words}"), stacklevel=1)
        pytest.skip(words)
    return path


@pytest.fixture(scope="session")
async def chrome(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    monkeypatch.setattr(passwords, "HASHER", quick)


@pytest.fixture
async def site(chromium_path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[str]:
    """The address of the console, with a worker beside it."""
    before = (vendors._Vendors.known, channel_vendors._Vendors.known)
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("SHIPCROWD_ENVIRONMENT", "test")
    monkeypatch.setenv("SHIPCROWD_PUBLIC_URL", address)
    settings.cache_clear()
    keeping.use(f"file://{tmp_path}")
    app = FastAPI()
    problems.install(app)
    console.install(app)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    yield address
    server.should_exit = True
    await serving
    await keeping.close()
    settings.cache_clear()
    vendors._Vendors.known, channel_vendors._Vendors.known = before


@pytest.fixture
async def day(site: str) -> World:
    return await world.build()


@pytest.fixture
async def worker(day: World) -> AsyncIterator[None]:
    """Runs what is enqueued, as a worker process would."""

    async def work() -> None:
        while True:
            await drain()
            await asyncio.sleep(0.1)

    working = asyncio.create_task(work())
    yield
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


class Visitor:
    """One person at one screen; remembers what the browser complained of."""

    def __init__(self, context: BrowserContext, page: Page, site: str, width: int) -> None:
        self.context, self.page, self.site, self.width = context, page, site, width
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        # A page that answers 404 or 422 on purpose is reported as a failed load; that is no fault of a script.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    async def goto(self, path: str) -> None:
        await self.page.goto(self.site + path)

    async def sign_in(self, day: World) -> None:
        await self.goto("/login")
        await self.page.get_by_label("E-mail").fill(day.seller.email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.wait_for_url("**/orders")

    async def overflow(self) -> int:
        """By how many pixels the page is wider than the screen."""
        return await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    async def picture(self, name: str) -> None:
        folder = os.environ.get("SHIPCROWD_SCREENSHOTS")
        if folder:
            path = Path(folder) / f"{name}-{self.width}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            await self.page.screenshot(path=path, full_page=True, caret="initial")


async def _visitor(chrome: Browser, site: str, screen: dict[str, int], **options: object) -> Visitor:
    context = await chrome.new_context(viewport=screen, locale="en-IN", timezone_id="Asia/Kolkata", **options)
    context.set_default_timeout(SECONDS * 1000)
    return Visitor(context, await context.new_page(), site, screen["width"])


@pytest.fixture
async def desk(chrome: Browser, site: str) -> AsyncIterator[Visitor]:
    visitor = await _visitor(chrome, site, DESK)
    yield visitor
    await visitor.context.close()


@pytest.fixture
async def phone(chrome: Browser, site: str) -> AsyncIterator[Visitor]:
    visitor = await _visitor(chrome, site, PHONE, is_mobile=True, has_touch=True)
    yield visitor
    await visitor.context.close()


@pytest.fixture
async def without_scripts(chrome: Browser, site: str) -> AsyncIterator[Visitor]:
    visitor = await _visitor(chrome, site, DESK, java_script_enabled=False)
    yield visitor
    await visitor.context.close()


@pytest.fixture(params=["desk", "phone"])
def anyone(request: pytest.FixtureRequest) -> Visitor:
    return request.getfixturevalue(request.param)
