"""A scripted far side for Amazon: each operation answers what the test laid down and keeps what it was asked."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2
from pydantic import BaseModel, SecretStr

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.integrations.amazon.account import AmazonApp, AmazonCredentials
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import OPERATIONS, Operation
from shipcrowd.kernel.outbound import Disconnected, Http, Json, Limits, read_json

SELLER = "A1INSELLER0001"
NOW = datetime(2026, 11, 20, 6, 45, tzinfo=UTC)
ARN = "arn:aws:sqs:eu-west-1:111122223333:spapi"

Answer = Json | httpx2.Response | Exception | Callable[["Asked"], Any]


@dataclass
class Asked:
    """One call as it reached the far side: path fields decoded, array parameters split again."""

    operation: str
    path: dict[str, str]
    query: dict[str, str]
    body: Json
    token: str
    request: httpx2.Request


@dataclass
class Amazon:
    """`amazon.on("getOrder", answer, …)`: answers in turn, the last one for good. An answer is a body, a response, an
    exception, or a function of what was asked. `lwa` answers the token endpoint, `documents` presigned addresses."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    tokens: list[str] = field(default_factory=lambda: ["Atza|first", "Atza|second"])
    forms: list[dict[str, str]] = field(default_factory=list)
    lwa: list[Answer] = field(default_factory=list)
    documents: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    document: Answer = b""
    paced: list[tuple[str, int]] = field(default_factory=list)
    retuned: list[tuple[str, float, float, float]] = field(default_factory=list)
    marketplace: str = "IN"
    private: bool = False
    authorized_at: datetime | None = NOW - timedelta(days=10)
    app: AmazonApp = field(
        default_factory=lambda: AmazonApp(
            client_id="amzn1.application-oa2-client.ours",
            client_secret=SecretStr("our-secret"),
            application_id="amzn1.sp.solution.ours",
            queue_arn=ARN,
            relay_secret=SecretStr("relay-secret"),
        )
    )

    def on(self, operation: str, *answers: Answer) -> "Amazon":
        self.answers[operation] = list(answers)
        return self

    def calls(self, operation: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.operation == operation]

    def operations(self) -> list[str]:
        return [asked.operation for asked in self.asked]

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        parts = urlsplit(str(request.url))
        if parts.hostname == "api.amazon.com":
            self.forms.append(dict(parse_qsl(request.content.decode())))
            assert self.lwa, "nothing was laid down for the token endpoint"
            return reply(self.lwa.pop(0) if len(self.lwa) > 1 else self.lwa[0])
        if not (parts.hostname or "").startswith("sellingpartnerapi"):
            self.documents.append((request.method, str(request.url), dict(request.headers), request.content))
            return reply(self.document)
        operation, path = which(request.method, request.url.raw_path.decode().partition("?")[0])
        asked = Asked(
            operation.name,
            path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            read_json(request.content) if request.content else None,
            request.headers.get("x-amz-access-token", ""),
            request,
        )
        self.asked.append(asked)
        laid = self.answers.get(operation.name)
        assert laid, f"nothing was laid down for {operation.name}"
        answer = laid.pop(0) if len(laid) > 1 else laid[0]
        return reply(answer(asked) if callable(answer) and not isinstance(answer, httpx2.Response) else answer)

    def http(self) -> Http:
        return Http("amazon", transport=httpx2.MockTransport(self.handle), limits=Limits(tries=1))

    def credentials(self) -> AmazonCredentials:
        return AmazonCredentials(
            refresh_token=SecretStr("Atzr|refresh"),
            marketplace=self.marketplace,
            access_token=SecretStr(self.tokens[0]),
            expires_at=NOW + timedelta(hours=1),
            authorized_at=self.authorized_at,
            client_id="amzn1.application-oa2-client.theirs" if self.private else None,
            client_secret=SecretStr("their-secret") if self.private else None,
        )

    def account(self) -> StoreAccount:
        async def credentials(stale: BaseModel | None = None) -> BaseModel:
            if stale is not None:
                if len(self.tokens) < 2:
                    raise Disconnected("sign in again")
                self.tokens.pop(0)
            return self.credentials()

        async def pace(operation: str, cost: int) -> None:
            self.paced.append((operation, cost))

        async def retune(operation: str, capacity: float, left: float, refill: float) -> None:
            self.retuned.append((operation, capacity, left, refill))

        return StoreAccount(
            key=f"amazon:{SELLER}",
            external_id=SELLER,
            credentials=credentials,
            http=self.http(),
            app=self.app,
            pace=pace,
            retune=retune,
        )

    def client(self) -> AmazonClient:
        return AmazonClient(self.account())


def which(method: str, raw_path: str) -> tuple[Operation, dict[str, str]]:
    """The operation of a method and an undecoded path, and the path's fields decoded. Fixed paths go first."""
    for operation in sorted(OPERATIONS, key=lambda each: each.path.count("{")):
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(operation.path))
        found = re.fullmatch(pattern, raw_path)
        if found and operation.method == method:
            return operation, {name: unquote(value) for name, value in found.groupdict().items()}
    raise AssertionError(f"Amazon has no {method} {raw_path}")


def reply(answer: Any) -> httpx2.Response:
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, httpx2.Response):
        return answer
    if isinstance(answer, bytes):
        return httpx2.Response(200, content=answer)
    return httpx2.Response(200, content=json.dumps(answer, default=str), headers={"content-type": "application/json"})


def refused(status: int, code: str, message: str, details: str = "", **headers: str) -> httpx2.Response:
    """An error as Amazon words it."""
    return httpx2.Response(
        status,
        content=json.dumps({"errors": [{"code": code, "message": message, "details": details}]}),
        headers={"x-amzn-requestid": "r-1", **{name.replace("_", "-"): value for name, value in headers.items()}},
    )


def expired() -> httpx2.Response:
    return refused(
        403, "Unauthorized", "Access to requested resource is denied.", "The access token you provided has expired."
    )


def throttled(**headers: str) -> httpx2.Response:
    return refused(429, "QuotaExceeded", "You exceeded your quota for the requested resource.", **headers)


def channel_of(amazon: Amazon) -> Any:
    """The channel the vendor opens for this account."""
    from shipcrowd.integrations.amazon import vendor

    return vendor.open(amazon.account())
