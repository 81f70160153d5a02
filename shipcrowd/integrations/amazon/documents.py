"""Files that travel beside the API: put to and fetched from addresses that are signed, short-lived and secret.

What comes is not trusted: the host must be Amazon's storage, sizes are capped before and after unpacking, and XML with
a document type (the home of entity bombs) is not read. Source: Amazon's feeds and reports guides.
"""

import zlib
from collections.abc import Mapping
from urllib.parse import urlsplit
from xml.etree import ElementTree
from xml.parsers import expat

from shipcrowd.integrations.amazon.raw import reading, text
from shipcrowd.kernel.outbound import Http, Json, Malformed, Refused, Unavailable

FEED_BYTES = 10 * 1024 * 1024
"""Amazon's own limit of one feed."""
UNPACKED_BYTES = 100 * 1024 * 1024
PACKED_BYTES = 32 * 1024 * 1024
DEPTH = 64

_HOSTS = ("amazonaws.com", "cloudfront.net")
"""Where Amazon keeps documents: S3, and for some reports its content network."""


class UntrustedDocument(Malformed):
    """Amazon pointed at a file we do not open."""


def trusted(url: str) -> str:
    """The address, when it leads to Amazon's storage over TLS. Raises UntrustedDocument, quoting the host alone: the
    rest of the address is a secret."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    ours = any(host.endswith(f".{known}") for known in _HOSTS)
    if parts.scheme != "https" or parts.username is not None or parts.port not in (None, 443) or not ours:
        raise UntrustedDocument(f"a document at {host or 'nowhere'} is not opened")
    return url


async def upload(http: Http, url: str, content: bytes, content_type: str) -> None:
    """Put a feed's content. `content_type` is signed into the address: it must be exactly what the document was made
    with. Raises Refused("too_large" | "upload_refused", …), UntrustedDocument and Unavailable."""
    if len(content) > FEED_BYTES:
        raise Refused("too_large", f"A feed may hold {FEED_BYTES} bytes; this one has {len(content)}.")
    reply = await http.request(
        "PUT",
        trusted(url),
        what="upload_document",
        repeatable=True,
        headers={"content-type": content_type},
        content=content,
        read_seconds=60,
    )
    if not reply.ok:
        raise _storage_failure("upload_refused", reply.status, reply.body)


async def download(http: Http, document: Mapping[str, Json], *, most: int = UNPACKED_BYTES) -> bytes:
    """The content of a document as `getFeedDocument` or `getReportDocument` describes it, unpacked.

    Raises UntrustedDocument, Malformed (it does not unpack, or is larger than `most`, or than PACKED_BYTES on the way),
    Refused and Unavailable (the address has lapsed: ask for the document again).
    """
    with reading("document", {key: value for key, value in document.items() if key != "url"}):
        url = text(document["url"])
        packed = text(document.get("compressionAlgorithm")).upper()
    trusted(url)
    if packed not in ("", "GZIP"):
        raise UntrustedDocument(f"Amazon packed a document as {packed[:20]}, which we cannot unpack")
    reply = await http.request(
        "GET",
        url,
        what="download_document",
        repeatable=True,
        read_seconds=60,
        reply_bytes=PACKED_BYTES if packed else min(PACKED_BYTES, most),
    )
    if not reply.ok:
        raise _storage_failure("download_refused", reply.status, reply.body)
    return unpacked(reply.body, most) if packed else reply.body


def unpacked(content: bytes, most: int = UNPACKED_BYTES) -> bytes:
    """Gzip's content. Raises UntrustedDocument when it is no gzip, is cut short, or holds more than `most` bytes."""
    parts: list[bytes] = []
    size = 0
    while content:
        # Wrapped in 16 + the largest window: gzip and nothing else. A file may be several members in a row.
        engine = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            part = engine.decompress(content, most - size + 1)
        except zlib.error as error:
            raise UntrustedDocument("a document does not unpack") from error
        size += len(part)
        if size > most:
            raise UntrustedDocument(f"a document unpacks to more than {most} bytes")
        if not engine.eof:
            raise UntrustedDocument("a document is cut short")
        parts.append(part)
        content = engine.unused_data.lstrip(b"\0")  # padding between and after members
    return b"".join(parts)


def read_xml(content: bytes) -> ElementTree.Element:
    """The root of an XML document. Raises UntrustedDocument for one with a document type, one nested deeper than
    DEPTH, and one that is not well formed."""
    depth = 0

    def deeper(name: str, attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH:
            raise UntrustedDocument(f"an XML document is nested more than {DEPTH} deep")

    def higher(name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise UntrustedDocument("an XML document brings a document type")

    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    guard.StartElementHandler, guard.EndElementHandler = deeper, higher
    try:
        guard.Parse(content, True)
        return ElementTree.fromstring(content)  # noqa: S314 - what could harm was refused above
    except (expat.ExpatError, ElementTree.ParseError, ValueError) as error:
        raise UntrustedDocument("an XML document is not well formed") from error


def _storage_failure(code: str, status: int, body: bytes) -> Refused | Unavailable:
    # S3 speaks XML; its code is all that is fit to be told, the rest may quote the signed address.
    if b"Request has expired" in body or b"<Code>ExpiredToken" in body:
        return Unavailable("the document's address has lapsed", retry_after=1)
    why = "the content type is not the one it was made with" if b"SignatureDoesNotMatch" in body else f"status {status}"
    return Refused(code, f"Amazon's storage refused the document: {why}.")
