"""Errors on the wire: RFC 9457 problem documents, all of one shape, each with a stable `code`."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from shipcrowd.kernel.errors import BadRequest, Invalid, ShipcrowdError
from shipcrowd.kernel.outbound import Disconnected, Malformed, OutsideFailure, Refused, Unavailable
from shipcrowd.kernel.validation import Fault, request_faults

log = structlog.get_logger(__name__)


class WrongField(BaseModel):
    field: str
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457). `code` is for programs and stays; `detail` says what to do. Some codes tell more."""

    model_config = ConfigDict(extra="allow")

    type: str
    code: str
    title: str
    status: int
    detail: str = ""
    field: str = Field(default="", description="The input at fault, when it is one")
    errors: list[WrongField] = Field(default=[], description="Every input at fault; always there when input is invalid")


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""For routers: every route may answer with a problem."""


def problem(
    status: int, code: str, title: str, detail: str = "", *, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    body = {"type": f"urn:shipcrowd:problem:{code}", "code": code, "title": title, "status": status}
    if detail:
        body["detail"] = detail
    body |= {key: value for key, value in extra.items() if value is not None}
    return JSONResponse(body, status, media_type="application/problem+json", headers=dict(headers or {}))


def of_error(error: ShipcrowdError) -> JSONResponse:
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    if error.status == 429 and "retry_after" in error.extra:
        headers["retry-after"] = str(error.extra["retry_after"])
    named: Sequence[Fault] = error.extra.get("errors") or ()
    if not named and error.field:
        named = [{"field": error.field, "message": error.detail or error.title()}]
    shape = _at_fault(named) if named or isinstance(error, Invalid) else {}
    return problem(error.status, error.code(), error.title(), error.detail, headers=headers, **error.extra | shape)


def _at_fault(named: Sequence[Fault]) -> dict[str, Any]:
    """The one shape of wrong input: `errors` names each field, and `field` the only one."""
    fields = {each["field"] for each in named}
    return {"field": fields.pop() if len(fields) == 1 else None, "errors": list(named)}


def of_outside(error: OutsideFailure) -> JSONResponse:
    match error:
        case Unavailable():
            wait = {"retry-after": str(int(error.retry_after or 30) + 1)}
            return problem(
                503, "outside_unavailable", "The other side does not answer just now.", str(error), headers=wait
            )
        case Refused():
            return problem(422, "refused", "The other side refused this.", error.message, reason=error.code)
        case Disconnected():
            return problem(409, "disconnected", "The account there must be connected again.", error.reason)
        case Malformed() | OutsideFailure():
            return problem(502, "outside_malformed", "The other side answered something unreadable.", str(error))


def of_validation(errors: Sequence[Mapping[str, Any]]) -> JSONResponse:
    """Which fields are wrong and why; the values themselves are not repeated, for they may be secrets."""
    for error in errors:
        if error["type"] == "json_invalid":
            return of_error(BadRequest(f"the body is not valid JSON from character {error['loc'][-1] + 1} on"))
    named = request_faults(errors)
    detail = "; ".join(f"{each['field']}: {each['message']}" for each in named[:5])
    return of_error(Invalid(detail, errors=named))


HTTP: Mapping[int, tuple[str, str]] = {
    400: (BadRequest.code(), BadRequest.title()),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address is there, but not for this method."),
}
"""What the framework refuses by itself: status → our code and title."""


def describe(app: FastAPI) -> None:
    """Put `Problem`, which `RESPONSES` points to, into the description of `app`."""
    plain = app.openapi
    template = "#/components/schemas/{model}"

    def openapi() -> dict[str, Any]:
        document = plain()
        schema = Problem.model_json_schema(ref_template=template)
        found: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
        found |= {**schema.pop("$defs", {}), "Problem": schema}
        return document

    app.openapi = openapi


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    async def domain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ShipcrowdError)
        return of_error(error)

    async def outside(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, OutsideFailure)
        return of_outside(error)

    async def validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return of_validation(error.errors())

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code, title = HTTP.get(error.status_code, ("http_error", HTTPStatus(error.status_code).phrase))
        detail = "" if error.status_code in (404, 405) else str(error.detail)
        return problem(error.status_code, code, title, detail, headers=error.headers)

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", path=request.url.path, exc_info=error)
        return problem(
            500,
            "internal",
            "Something went wrong on our side.",
            "It was recorded; quote the request id.",
            request_id=getattr(request.state, "request_id", None),
        )

    app.add_exception_handler(ShipcrowdError, domain)
    app.add_exception_handler(OutsideFailure, outside)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)
