"""What every request goes through: the body cap, the request id, the security headers."""

from typing import Annotated, Any
from uuid import UUID

import httpx2
import pytest
import structlog
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from pydantic import BaseModel, Field
from structlog.testing import capture_logs

from shipcrowd.kernel import problems
from shipcrowd.kernel.web import BodyCap, Observe, known_query, raw_body
from shipcrowd.settings import settings

MOST = 1000
reached: list[str] = []


def made(*, https: bool = False) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    reached.clear()

    @app.post("/json")
    async def takes_json(body: dict[str, Any]) -> dict[str, int]:
        reached.append("json")
        return {"size": len(str(body))}

    @app.post("/raw")
    async def takes_raw(request: Request) -> dict[str, int]:
        return {"size": len(await raw_body(request, most=500))}

    @app.post("/stream")
    async def takes_stream(request: Request) -> dict[str, int]:
        size = 0
        async for part in request.stream():
            size += len(part)
        reached.append("stream")
        return {"size": size}

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("no")

    @app.get("/own")
    async def own() -> dict[str, str]:
        return {"id": structlog.contextvars.get_contextvars()["request_id"]}

    app.add_middleware(BodyCap, most=MOST)
    app.add_middleware(Observe, https=https)
    return app


def client(app: FastAPI) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://shipcrowd.test")


@pytest.fixture
async def http():
    async with client(made()) as opened:
        yield opened


async def parts(size, step=100):
    """A body sent in parts, whose length is not declared."""
    for _ in range(size // step):
        yield b'"' + b"x" * (step - 2) + b'"'


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("path", ["/json", "/raw", "/stream"])
async def test_a_body_declared_too_large_is_refused_before_it_is_read(http, path):
    async def unread():
        yield b"x"
        raise AssertionError("it was read")

    answer = await http.post(path, content=unread(), headers={**JSON, "content-length": "5000"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert reached == []


@pytest.mark.parametrize("path", ["/json", "/raw", "/stream"])
async def test_a_body_that_grows_too_large_without_saying_so_is_refused(http, path):
    answer = await http.post(path, content=parts(5000), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.headers["content-type"] == "application/problem+json"
    assert reached == []


async def test_a_body_of_just_the_size_goes_through(http):
    assert (await http.post("/stream", content=parts(1000))).json() == {"size": 1000}
    assert (await http.post("/stream", content=b"x" * 1000)).json() == {"size": 1000}
    assert (await http.post("/stream", content=b"x" * 1001)).status_code == 413


@pytest.mark.parametrize(("size", "status"), [(500, 200), (600, 413)])
async def test_a_route_may_have_a_smaller_cap_of_its_own(http, size, status):
    assert (await http.post("/raw", content=parts(size))).status_code == status
    assert (await http.post("/raw", content=b"x" * size)).status_code == status


async def test_a_webhook_has_the_cap_of_the_settings():
    app = FastAPI()
    problems.install(app)

    @app.post("/hook")
    async def hook(request: Request) -> int:
        return len(await raw_body(request))

    most = settings().webhook_body_bytes
    async with client(app) as http:
        assert (await http.post("/hook", content=b"x" * most)).json() == most
        assert (await http.post("/hook", content=b"x" * (most + 1))).status_code == 413


SAFE = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin", "x-frame-options": "DENY"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/own", 200), ("GET", "/nowhere", 404), ("GET", "/json", 405), ("POST", "/json", 422)],
)
async def test_every_answer_has_the_security_headers_and_a_request_id(http, method, path, status):
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert SAFE.items() <= dict(answer.headers).items()
    assert "strict-transport-security" not in answer.headers  # not over plain HTTP
    assert UUID(answer.headers["x-request-id"])


async def test_a_refused_body_and_an_error_of_ours_can_be_found_by_their_request_id(http):
    answer = await http.post("/stream", content=b"x" * 5000)
    assert UUID(answer.headers["x-request-id"])
    with capture_logs() as logs:
        answer = await http.get("/broken")
    assert answer.status_code == 500
    assert "request failed" in {line["event"] for line in logs}
    assert UUID(answer.json()["request_id"])


async def test_over_https_browsers_are_told_to_stay_there():
    async with client(made(https=True)) as http:
        assert "max-age=31536000" in (await http.get("/own")).headers["strict-transport-security"]


async def test_the_request_id_is_in_the_logs_of_its_own_request_only(http):
    ids = [((await http.get("/own")).json()["id"], (await http.get("/own")).headers["x-request-id"]) for _ in range(3)]
    assert len({value for pair in ids for value in pair}) == 6
    answer = await http.get("/own")
    assert answer.json()["id"] == answer.headers["x-request-id"]
    assert "request_id" not in structlog.contextvars.get_contextvars()


async def test_a_request_id_from_outside_is_not_believed(http):
    answer = await http.get("/own", headers={"x-request-id": "forged\nline"})
    assert "forged" not in answer.headers["x-request-id"]


async def test_a_routes_name_in_logs_and_metrics_is_its_whole_path_without_ids():
    router, app = APIRouter(prefix="/things"), FastAPI()

    @router.get("/{thing_id}")
    async def thing(thing_id: str) -> None: ...

    app.include_router(router, prefix="/api/v1")
    app.add_middleware(Observe, https=False)
    async with client(app) as http:
        with capture_logs() as logs:
            await http.get("/api/v1/things/4711")
            await http.get("/nowhere/4711")
    assert [line["route"] for line in logs] == ["/api/v1/things/{thing_id}", "unmatched"]


class Filter(BaseModel):
    state: str = ""
    kind: str = Field(default="", alias="type")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/list?limit=5", 200),
        ("/list?limit=5&stat=x", 422),
        ("/model?state=x&type=y", 200),
        ("/model?kind=y", 422),
        ("/own?whatever=x", 200),
        ("/none", 200),
        ("/none?x=1", 422),
    ],
)
async def test_a_misspelt_filter_is_refused_by_name(path, status):
    app = FastAPI(dependencies=[Depends(known_query)])
    problems.install(app)

    @app.get("/list")
    async def listed(limit: int = 1) -> None: ...

    @app.get("/model")
    async def model(wanted: Annotated[Filter, Query()]) -> None: ...

    @app.get("/own")
    async def own(request: Request) -> None: ...

    @app.get("/none")
    async def none() -> None: ...

    async with client(app) as http:
        answer = await http.get(path)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["field"] in ("stat", "kind", "x")


async def test_the_log_line_names_the_route_and_not_what_was_asked(http):
    with capture_logs() as logs:
        await http.post("/json?phone=9000000001", json={"name": "Asha"}, headers={"authorization": "Bearer SECRET"})
    (line,) = [line for line in logs if line["event"] == "request"]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/json", 200)
    for hidden in ("9000000001", "Asha", "SECRET"):
        assert hidden not in str(logs)
