"""The pages on a small app of their own, and browsers without scripts."""

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from html import unescape
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shipcrowd import console
from shipcrowd.channels import vendors as channel_vendors
from shipcrowd.couriers import vendors
from shipcrowd.identity import passwords
from shipcrowd.kernel import db, problems, tenancy
from shipcrowd.settings import settings
from tests.console import world
from tests.console.world import PASSWORD, Seller, World


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    monkeypatch.setattr(passwords, "HASHER", quick)
    monkeypatch.setattr(passwords, "DECOY", quick.hash("nobody's"))


@pytest.fixture(autouse=True)
def test_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SHIPCROWD_ENVIRONMENT", "test")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(autouse=True)
async def house() -> AsyncIterator[None]:
    """No vendor and no job of another test."""
    before = (vendors._Vendors.known, channel_vendors._Vendors.known)
    vendors.use([])
    channel_vendors.use([])
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    yield
    vendors._Vendors.known, channel_vendors._Vendors.known = before


@dataclass
class Browser:
    """A browser without scripts: it follows redirects and sends the token of the page it saw last."""

    http: httpx2.AsyncClient
    csrf: str = ""

    async def get(self, path: str, *, status: int = 200) -> str:
        answer = await self.http.get(path, headers={"accept": "text/html"})
        return self._read(answer, status)

    async def post(self, path: str, *, status: int = 200, csrf: str | None = None, **form: object) -> str:
        answer = await self.send(path, csrf=csrf, **form)
        return self._read(answer, status)

    async def send(self, path: str, *, csrf: str | None = None, **form: object) -> httpx2.Response:
        fields = {"csrf_token": self.csrf if csrf is None else csrf} | form
        return await self.http.post(path, data=fields, headers={"accept": "text/html"})

    def _read(self, answer: httpx2.Response, status: int) -> str:
        assert answer.status_code == status, f"{answer.status_code} from {answer.url}\n{words(answer.text)[:1500]}"
        if found := re.search(r'name="csrf_token" value="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer.text

    async def sign_in(self, seller: Seller, password: str = PASSWORD) -> str:
        return await self.post("/login", email=seller.email, password=password)


def words(page: str) -> str:
    """A page's text, as one line."""
    body = re.sub(r"(?s)<(script|style|head|dialog)\b.*?</\1>", " ", page)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body))).strip()


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    problems.install(app)
    console.install(app)
    return app


@pytest.fixture
async def new_browser(app: FastAPI) -> AsyncIterator[Callable[[], Awaitable[Browser]]]:
    async with AsyncExitStack() as stack:

        async def make() -> Browser:
            # An address of its own, so that one test's pace is not another's.
            at = "10." + ".".join(str(secrets.randbelow(250)) for _ in range(3))
            transport = httpx2.ASGITransport(app=app, client=(at, 4321))
            http = httpx2.AsyncClient(transport=transport, base_url="http://shipcrowd.test", follow_redirects=True)
            return Browser(await stack.enter_async_context(http))

        yield make


@pytest.fixture
async def browser(new_browser: Callable[[], Awaitable[Browser]]) -> Browser:
    return await new_browser()


@pytest.fixture
async def day() -> World:
    """A seller with orders in every state."""
    return await world.build()


@pytest.fixture
async def signed_in(browser: Browser, day: World) -> Browser:
    await browser.sign_in(day.seller)
    return browser


@pytest.fixture
async def newcomer(new_browser: Callable[[], Awaitable[Browser]]) -> Browser:
    """Signed in for a company that has nothing yet."""
    browser = await new_browser()
    await browser.sign_in(await world.new_seller("Nila Ceramics", rupees="0", place=False))
    return browser


async def count_of(company_id: UUID, table: str) -> int:
    async with tenancy.acting_for(company_id) as session:
        return await (await db.driver(session)).fetchval(f"SELECT count(*) FROM {table}")
