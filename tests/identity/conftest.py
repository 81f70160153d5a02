"""People, companies and browsers for the identity tests. Everything goes through the module's own verbs or routes."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI, Form, Request
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shipcrowd.identity import passwords, service
from shipcrowd.identity.api import May, Member, router
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import problems
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for

PASSWORD = "blue-kettle-on-the-roof"


@dataclass
class Seller:
    """A company and its owner."""

    company_id: UUID
    user_id: UUID
    email: str
    company_name: str

    @property
    def owner(self) -> Member:
        return Member.person(self.company_id, self.user_id, Role.owner)


@dataclass
class Browser:
    """A client with its own cookies, network address and the CSRF token of its session."""

    http: httpx2.AsyncClient
    csrf: str = ""

    async def sign_in(self, seller_or_email: "Seller | str", password: str = PASSWORD) -> httpx2.Response:
        email = seller_or_email if isinstance(seller_or_email, str) else seller_or_email.email
        answer = await self.http.post("/auth/login", json={"email": email, "password": password})
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf_token"]
        return answer

    async def send(self, method: str, path: str, json: object = None) -> httpx2.Response:
        return await self.http.request(method, path, json=json, headers={"X-CSRF-Token": self.csrf})


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cheapest argon2id there is; `test_passwords` looks at the real parameters by itself."""
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    monkeypatch.setattr(passwords, "HASHER", quick)
    monkeypatch.setattr(passwords, "DECOY", quick.hash("nobody's"))


@pytest.fixture
def email() -> str:
    return f"asha.{secrets.token_hex(6)}@kaveri.example"


@pytest.fixture
def new_seller() -> Callable[..., Awaitable[Seller]]:
    async def make(company_name: str = "Kaveri Handlooms", email: str | None = None) -> Seller:
        email = email or f"asha.{secrets.token_hex(6)}@kaveri.example"
        password_hash = await passwords.hashed(PASSWORD, email=email)
        async with acting_for(new_id()) as session:
            made = await service.register(
                session, company_name=company_name, name="Asha Iyer", email=email, password_hash=password_hash
            )
        return Seller(made.company_id, made.user_id, email, company_name)

    return make


@pytest.fixture
async def seller(new_seller: Callable[..., Awaitable[Seller]]) -> Seller:
    return await new_seller()


@pytest.fixture
def new_colleague() -> Callable[..., Awaitable[tuple[UUID, str]]]:
    """Adds a person with a role to a seller's team; their id and e-mail."""

    async def make(seller: Seller, role: Role, email: str | None = None) -> tuple[UUID, str]:
        email = email or f"ravi.{secrets.token_hex(6)}@kaveri.example"
        password_hash = await passwords.hashed(PASSWORD, email=email)
        async with acting_for(seller.company_id) as session:
            user_id = await service.add_member(
                session, by=seller.owner, email=email, name="Ravi Menon", role=role, password_hash=password_hash
            )
        return user_id, email

    return make


@pytest.fixture
def acted() -> list[str]:
    """What the guarded routes of the test app were really asked to do."""
    return []


@pytest.fixture
def app(acted: list[str]) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.include_router(router)

    @app.get("/orders")
    async def read(who: Annotated[Member, May("orders:read")]) -> str:
        return who.actor

    @app.post("/orders")
    async def write(who: Annotated[Member, May("orders:write")]) -> str:
        acted.append(who.actor)
        return who.actor

    @app.post("/notes")
    async def note(request: Request, note: Annotated[str, Form()], who: Annotated[Member, May("orders:write")]) -> str:
        acted.append(note)
        return f"{note}, {(await request.form())['note']}"

    return app


@pytest.fixture
async def new_browser(app: FastAPI) -> AsyncIterator[Callable[[], Awaitable[Browser]]]:
    async with AsyncExitStack() as stack:

        async def make(address: str | None = None) -> Browser:
            # An address of its own, so that one test's pace is not another's.
            at = address or "10." + ".".join(str(secrets.randbelow(250)) for _ in range(3))
            transport = httpx2.ASGITransport(app=app, client=(at, 4321), raise_app_exceptions=False)
            http = httpx2.AsyncClient(transport=transport, base_url="http://shipcrowd.test")
            return Browser(await stack.enter_async_context(http))

        yield make


@pytest.fixture
async def browser(new_browser: Callable[[], Awaitable[Browser]]) -> Browser:
    return await new_browser()


@pytest.fixture
async def signed_in(browser: Browser, seller: Seller) -> Browser:
    """The seller's owner, in a browser."""
    assert (await browser.sign_in(seller)).status_code == 200
    return browser
