"""Feed and report documents: files in a bucket, reached by presigned links that live five minutes."""

import gzip
import hashlib
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.sandbox.amazon.state import Amazon, Document, Poison, Seller
from shipcrowd.sandbox.faults import Faults, with_faults

HOST = "tortuga-prod-eu.s3-eu-west-1.amazonaws.com"
MOST_BYTES = 64 * 1024 * 1024
MOST_HELD = 256 * 1024 * 1024
BOMB_BYTES = 512 * 1024 * 1024
SIGNED = {"PUT": "content-type;host", "GET": "host"}


def make(world: Amazon, owner: Seller, kind: str, content_type: str, content: bytes | None = None) -> Document:
    """A document to upload to (`content` None), or one Amazon wrote, gzipped. `kind` is how its id begins."""
    packed = None if content is None else gzip.compress(content, compresslevel=1, mtime=0)
    document = Document(
        id=f"amzn1.{kind}.4.eu.{world.uuid()}.{world.code(16, 'ABCDEFGHJKLMNPQRSTUVWXYZ0123456789')}",
        key=world.uuid(),
        content_type=content_type,
        owner=owner,
        made_at=world.now(),
        content=packed,
        gzip=packed is not None,
    )
    world.documents[document.id] = document
    return document


def told(world: Amazon, document: Document, id_name: str) -> dict[str, object]:
    """How getFeedDocument and getReportDocument answer."""
    body: dict[str, object] = {id_name: document.id, "url": link(world, document, "GET")}
    return body | ({"compressionAlgorithm": "GZIP"} if document.gzip else {})


def link(world: Amazon, document: Document, method: str) -> str:
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Date": f"{world.now():%Y%m%dT%H%M%SZ}",
        "X-Amz-SignedHeaders": SIGNED[method],
        "X-Amz-Expires": str(world.knobs.document_url_seconds),
        "X-Amz-Credential": "sandbox/eu-west-1/s3/aws4_request",
    }
    signature = _signature(method, document, query, document.content_type)
    return f"https://{HOST}/{document.key}?{urlencode({**query, 'X-Amz-Signature': signature})}"


def _signature(method: str, document: Document, query: Mapping[str, str], content_type: str) -> str:
    signed = content_type if method == "PUT" else ""
    parts = (method, document.key, query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", ""), signed)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


async def answer(world: Amazon, faults: Faults, request: Request, path: str) -> Response:
    """Any request to the bucket. It speaks XML and knows no token but the signature in the link."""
    world.settle()
    key, query = path.strip("/"), request.query_params
    document = next((one for one in world.documents.values() if one.key == key), None)
    if document is None:
        return _xml(404, "NoSuchKey", "The specified key does not exist.")
    if request.method not in SIGNED:
        return _xml(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    if any(name.startswith("x-amz-") for name in request.headers):
        return _xml(403, "AccessDenied", "There were headers present in the request which were not signed")
    content_type = request.headers.get("content-type", "")
    if query.get("X-Amz-Signature") != _signature(request.method, document, query, content_type):
        return _xml(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
    if _expired(query, world.now()):
        return _xml(403, "AccessDenied", "Request has expired")
    raw = await request.body()

    async def act() -> Response:
        if request.method == "PUT":
            if len(raw) > MOST_BYTES:
                return _xml(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
            document.content = raw
            _forget(world)
            return Response(status_code=200)
        if document.content is None:
            return _xml(404, "NoSuchKey", "The specified key does not exist.")
        content = poisoned(world.knobs.poison) if world.knobs.poison else document.content
        return Response(content, media_type=document.content_type)

    operation = f"document.{request.method.lower()}"
    return await with_faults(faults, request, "amazon", (operation,), act, throttled={"Code": "SlowDown"})


def _forget(world: Amazon) -> None:
    """Let the oldest files go once all together are too many bytes: uploads that no feed ever used stay for ever."""
    held = sum(len(one.content or b"") for one in world.documents.values())
    for one in world.documents.values():
        if held <= MOST_HELD:
            return
        held -= len(one.content or b"")
        one.content = None


def _expired(query: Mapping[str, str], now: datetime) -> bool:
    made = datetime.strptime(f"{query['X-Amz-Date']}+0000", "%Y%m%dT%H%M%SZ%z")
    return now >= made + timedelta(seconds=int(query["X-Amz-Expires"]))


def _xml(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(body, status, media_type="application/xml")


@cache
def poisoned(kind: Poison) -> bytes:
    """What an attacker would leave in place of a report."""
    match kind:
        case "bomb":
            return _bomb()
        case "entities":
            nested = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
            text = f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e0 "ha">{nested}]><r>&e9;</r>'
            return gzip.compress(text.encode(), mtime=0)
        case "not_gzip":
            return b"this was never compressed"


def _bomb() -> bytes:
    """Half a gigabyte of zeros in half a megabyte, made without ever holding the half gigabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1024 * 1024)
    return b"".join(packer.compress(block) for _ in range(BOMB_BYTES // len(block))) + packer.flush()
