"""Where a label may be fetched from, and whether what came is one.

A label's address arrives in a reply, so it is not ours to trust: fetching it blindly would let whoever controls
that reply have our servers call anything.
"""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from shipcrowd.integrations.velocity import refusals
from shipcrowd.kernel.outbound import Malformed, Reply, Unavailable

MAX_BYTES = 5 * 1024 * 1024

HOSTS = re.compile(
    r"([a-z0-9][a-z0-9.-]*\.)?s3([.-]dualstack)?[.-]ap-south-1\.amazonaws\.com"
    r"|([a-z0-9-]+\.)*(velocity|stagingvelocity|shipfastt)\.in"
)
"""Velocity keeps labels in S3 in Mumbai, and may serve them from its own hosts."""


def extra_hosts(setting: str) -> frozenset[str]:
    """`"localhost:8123, labels.test"` → the hosts (with port) that may also be used, over http too."""
    return frozenset(host.strip().lower() for host in setting.split(",") if host.strip())


def check_url(url: str, extra: Collection[str] = ()) -> None:
    """Raises Refused("label_host_refused") unless the URL is https at one of Velocity's hosts, or at an extra host."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise refusals.refused("label_host_refused") from None
    named = f"{host}:{port}" if port else host
    if parts.username is None and parts.scheme in ("http", "https") and named in extra:
        return
    if parts.scheme != "https" or port not in (None, 443) or parts.username is not None or not HOSTS.fullmatch(host):
        raise refusals.refused("label_host_refused", host)


def pdf_of(reply: Reply) -> bytes:
    """The PDF in a download. Raises Refused when it is gone, Unavailable for other answers, Malformed for no PDF."""
    if reply.status in (403, 404, 410):  # a signed S3 address that has run out answers 403
        raise refusals.refused("label_unavailable")
    if not reply.ok:
        raise Unavailable(f"the label's host answered {reply.status}")
    if len(reply.body) > MAX_BYTES:
        raise Malformed(f"the label has {len(reply.body)} bytes, more than {MAX_BYTES}")
    if b"%PDF-" not in reply.body[:1024]:
        raise Malformed("the label is not a PDF", reply.text()[:200])
    return reply.body
