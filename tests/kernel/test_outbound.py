"""The way out: what the network does becomes one of four failures, bounded in time, size and tries."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from email.utils import format_datetime

import httpx2
import pytest
from structlog.testing import capture_logs

from shipcrowd.kernel import clock, outbound
from shipcrowd.kernel.outbound import Http, Limits, Malformed, Unavailable

URL = "https://api.vendor.example/v1/orders?token=QUERYSECRET"


@pytest.fixture
def naps(monkeypatch):
    """The waits between tries, which are not waited for."""
    slept = []
    real = asyncio.sleep

    async def nap(seconds, result=None):
        slept.append(seconds)
        return await real(0, result)

    monkeypatch.setattr(asyncio, "sleep", nap)
    return slept


def vendor(*answers, limits=None):
    """A client whose far side gives these answers in turn (the last one for ever), and what it was asked."""
    asked = []

    def answer(request):
        asked.append(request)
        now = answers[min(len(asked), len(answers)) - 1]
        if isinstance(now, Exception):
            raise now
        return now

    return Http("vendor", transport=httpx2.MockTransport(answer), limits=limits), asked


async def call(http, *, repeatable=False, **given):
    return await http.request("POST", URL, what="book", repeatable=repeatable, **given)


@pytest.mark.parametrize(
    ("failure", "maybe_received"),
    [
        (httpx2.ConnectTimeout("x"), False),
        (httpx2.PoolTimeout("x"), False),
        (httpx2.ConnectError("x"), False),
        (httpx2.ReadTimeout("x"), True),
        (httpx2.WriteTimeout("x"), True),
        (httpx2.ReadError("x"), True),
        (httpx2.WriteError("x"), True),
        (httpx2.RemoteProtocolError("x"), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_only_what_was_never_sent_is_surely_not_received(failure, maybe_received):
    http, _ = vendor(failure)
    with pytest.raises(Unavailable) as raised:
        await call(http)
    assert raised.value.maybe_received is maybe_received
    assert raised.value.retry_after is None


@pytest.mark.parametrize(
    ("status", "maybe_received"), [(429, False), (500, True), (502, True), (503, True), (504, True)]
)
async def test_throttling_and_their_errors_are_unavailable(status, maybe_received):
    http, _ = vendor(httpx2.Response(status, text="<html>no</html>"))
    with pytest.raises(Unavailable, match=str(status)) as raised:
        await call(http)
    assert raised.value.maybe_received is maybe_received


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 400, 401, 403, 404, 409, 422])
async def test_every_other_answer_is_the_vendor_clients_to_read(status):
    http, asked = vendor(
        httpx2.Response(status, json={"total": 1.10}, headers={"Location": "https://elsewhere.example"})
    )
    reply = await call(http)
    assert (reply.status, reply.ok) == (status, 200 <= status < 300)
    assert reply.json() == {"total": Decimal("1.1")}
    assert reply.headers["location"] == "https://elsewhere.example"  # keys in lower case, and never followed
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("999999", 3600),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", 3600),
    ],
)
async def test_retry_after_as_a_number(value, seconds):
    http, _ = vendor(httpx2.Response(429, headers={"Retry-After": value}))
    with pytest.raises(Unavailable) as raised:
        await call(http)
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize(("ahead", "low", "high"), [(90, 85, 91), (-90, 0, 0), (99_999, 3600, 3600)])
async def test_retry_after_as_a_date(ahead, low, high):
    moment = format_datetime(clock.now() + timedelta(seconds=ahead), usegmt=True)
    assert low <= outbound.retry_after({"retry-after": moment}) <= high


async def test_a_date_without_a_zone_is_no_reason_to_fail():
    assert outbound.retry_after({"retry-after": "Sun, 22 Nov 2026 10:00:00 -0000"}) in (None, 0.0, 3600.0)


async def test_a_repeatable_call_is_tried_again_with_growing_waits(naps):
    http, asked = vendor(httpx2.Response(503), httpx2.ReadTimeout("x"), httpx2.Response(200, json=1))
    assert (await call(http, repeatable=True)).json() == 1
    assert len(asked) == 3
    assert len(naps) == 2 and naps[0] < naps[1]


async def test_a_repeatable_call_gives_up_after_its_tries(naps):
    http, asked = vendor(httpx2.Response(503), limits=Limits(tries=2))
    with pytest.raises(Unavailable):
        await call(http, repeatable=True)
    assert len(asked) == 2


async def test_a_vendor_that_says_when_is_not_pressed(naps):
    http, asked = vendor(httpx2.Response(429, headers={"Retry-After": "5"}))
    with pytest.raises(Unavailable):
        await call(http, repeatable=True)
    assert len(asked) == 1 and naps == []


TROUBLE = {
    "503": httpx2.Response(503),
    "500": httpx2.Response(500),
    "429": httpx2.Response(429),
    "read time-out": httpx2.ReadTimeout("x"),
    "no connection": httpx2.ConnectError("x"),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
async def test_what_must_not_happen_twice_is_sent_once(trouble, naps):
    http, asked = vendor(trouble)
    with pytest.raises(Unavailable):
        await call(http)
    assert len(asked) == 1 and naps == []


async def test_a_reply_over_the_cap_is_cut_off_and_malformed():
    sent = []

    async def endless():
        while True:
            sent.append(1)
            yield b"x" * 1000

    http, _ = vendor(httpx2.Response(200, content=endless()), limits=Limits(reply_bytes=5000))
    with pytest.raises(Malformed, match="5000"):
        await call(http)
    assert len(sent) <= 8  # the rest was never read


async def test_an_html_page_is_malformed_json_and_kept_for_whoever_looks():
    http, _ = vendor(httpx2.Response(200, text="<html>" + "x" * 5000))
    with pytest.raises(Malformed) as raised:
        (await call(http)).json()
    assert raised.value.raw.startswith("<html>") and len(raised.value.raw) == 2000


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN,"])
def test_what_is_not_json_is_malformed(raw):
    with pytest.raises(Malformed):
        outbound.read_json(raw)


async def test_decimals_are_sent_as_text_and_floats_never_arise():
    http, asked = vendor(httpx2.Response(200, text="{}"))
    await call(http, json={"amount": Decimal("10.10")})
    assert asked[0].content == b'{"amount": "10.10"}'
    assert asked[0].headers["content-type"] == "application/json"


async def test_neither_logs_nor_errors_hold_what_was_said():
    http, _ = vendor(httpx2.Response(500, text="BODYSECRET"))
    with capture_logs() as logs, pytest.raises(Unavailable) as raised:
        await call(http, headers={"authorization": "Bearer HEADERSECRET"}, json={"phone": "9000000001"})
    said = f"{logs} {raised.value} {raised.value.__cause__}"
    assert "api.vendor.example" in said
    for secret in ("QUERYSECRET", "HEADERSECRET", "9000000001", "BODYSECRET"):
        assert secret not in said


async def test_the_route_decides_where_a_call_really_goes():
    asked = []

    def answer(request):
        asked.append(str(request.url))
        return httpx2.Response(200, text="{}")

    http = Http(
        "vendor", transport=httpx2.MockTransport(answer), route=lambda url: url.replace("https://", "http://sandbox/")
    )
    await call(http)
    assert asked == ["http://sandbox/api.vendor.example/v1/orders?token=QUERYSECRET"]


# --- on real sockets ------------------------------------------------------------------------------------------------


async def served(handle):
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_closed_door_was_not_received():
    server, url = await served(lambda reader, writer: None)
    server.close()
    await server.wait_closed()
    http = Http("vendor")
    with pytest.raises(Unavailable) as raised:
        await http.request("GET", url, what="x", repeatable=False)
    assert raised.value.maybe_received is False
    await http.close()


async def test_a_server_that_hangs_up_without_a_word_may_have_received():
    async def hang_up(reader, writer):
        await reader.read(10)
        writer.close()

    server, url = await served(hang_up)
    http = Http("vendor")
    async with server:
        with pytest.raises(Unavailable) as raised:
            await http.request("GET", url, what="x", repeatable=False)
    assert raised.value.maybe_received is True
    await http.close()


async def test_silence_ends_at_the_time_allowed():
    async def silent(reader, writer):
        await asyncio.sleep(2)
        writer.close()

    server, url = await served(silent)
    http = Http("vendor")
    started = clock.now()
    async with server:
        with pytest.raises(Unavailable) as raised:
            await http.request("GET", url, what="x", repeatable=False, read_seconds=0.2)
        assert clock.now() - started < timedelta(seconds=1.5)
        assert raised.value.maybe_received is True
        await http.close()


async def test_a_full_bucket_is_not_knocked_at_again_and_says_what_it_said(naps):
    http, asked = vendor(httpx2.Response(429, headers={"X-RateLimit": "0.1"}))
    with pytest.raises(Unavailable) as raised:
        await call(http, repeatable=True)
    assert len(asked) == 1
    assert naps == []
    assert raised.value.throttled
    assert raised.value.reply.headers["x-ratelimit"] == "0.1"


async def test_trouble_without_an_answer_carries_none():
    http, _ = vendor(httpx2.ReadTimeout("x"))
    with pytest.raises(Unavailable) as raised:
        await call(http)
    assert raised.value.reply is None
    assert not raised.value.throttled
