import gzip
import zlib

import httpx2
import pytest

from shipcrowd.integrations.amazon import documents
from shipcrowd.integrations.amazon.documents import UntrustedDocument
from shipcrowd.kernel.outbound import Malformed, Refused, Unavailable

URL = "https://tortuga-prod-eu.s3-eu-west-1.amazonaws.com/feed?X-Amz-Signature=secret"
JSON = "application/json; charset=UTF-8"


async def test_a_feed_is_put_with_exactly_its_content_type_and_nothing_of_the_api(amazon):
    await documents.upload(amazon.http(), URL, b'{"header":{}}', JSON)
    [(method, url, headers, content)] = amazon.documents
    assert (method, url, content) == ("PUT", URL, b'{"header":{}}')
    assert headers["content-type"] == JSON
    assert not {"x-amz-access-token", "authorization", "x-amz-date"} & set(headers)


async def test_a_feed_over_amazons_limit_is_not_sent(amazon):
    with pytest.raises(Refused) as raised:
        await documents.upload(amazon.http(), URL, b"x" * (documents.FEED_BYTES + 1), JSON)
    assert raised.value.code == "too_large"
    assert amazon.documents == []


@pytest.mark.parametrize(
    ("body", "failure", "words"),
    [
        (b"<Error><Code>SignatureDoesNotMatch</Code></Error>", Refused, "content type"),
        (b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", Unavailable, "lapsed"),
        (b"<Error><Code>ExpiredToken</Code></Error>", Unavailable, "lapsed"),
        (b"", Refused, "status 403"),
    ],
)
async def test_what_the_storage_refuses_is_told_without_its_address(amazon, body, failure, words):
    amazon.document = httpx2.Response(403, content=body)
    with pytest.raises(failure) as raised:
        await documents.upload(amazon.http(), URL, b"{}", JSON)
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)


async def test_a_packed_document_is_unpacked(amazon):
    amazon.document = gzip.compress("नमस्ते".encode())
    got = await documents.download(amazon.http(), {"url": URL, "compressionAlgorithm": "GZIP"})
    assert got.decode() == "नमस्ते"


async def test_a_plain_document_comes_as_it_is(amazon):
    amazon.document = b"\x1f\x8b not gzip at all"
    assert await documents.download(amazon.http(), {"url": URL}) == b"\x1f\x8b not gzip at all"


async def test_a_document_whose_address_lapsed_is_asked_for_again(amazon):
    amazon.document = httpx2.Response(403, content=b"<Message>Request has expired</Message>")
    with pytest.raises(Unavailable):
        await documents.download(amazon.http(), {"url": URL})


@pytest.mark.parametrize(
    "url",
    [
        "http://x.s3.amazonaws.com/1",
        "https://169.254.169.254/latest/meta-data",
        "https://amazonaws.com.evil.example/1",
        "https://evilamazonaws.com/1",
        "https://amazonaws.com/1",
        "https://x.s3.amazonaws.com@evil.example/1",
        "https://x.s3.amazonaws.com:8443/1",
        "file:///etc/passwd",
        "",
    ],
)
async def test_a_document_elsewhere_is_never_opened(amazon, url):
    with pytest.raises(UntrustedDocument):
        await documents.download(amazon.http(), {"url": url})
    with pytest.raises(UntrustedDocument):
        await documents.upload(amazon.http(), url, b"{}", JSON)
    assert amazon.documents == []


@pytest.mark.parametrize("document", [{}, {"url": None}, {"url": URL, "compressionAlgorithm": "BROTLI"}])
async def test_a_document_of_another_shape_is_malformed(amazon, document):
    with pytest.raises(Malformed):
        await documents.download(amazon.http(), document)
    assert amazon.documents == []


def test_a_bomb_stops_at_the_cap():
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(UntrustedDocument, match="more than"):
        documents.unpacked(bomb, most=1_000_000)


def test_several_members_count_together():
    twice = gzip.compress(b"a" * 600) + gzip.compress(b"b" * 600)
    assert documents.unpacked(twice, most=1200) == b"a" * 600 + b"b" * 600
    with pytest.raises(UntrustedDocument):
        documents.unpacked(twice, most=1199)


@pytest.mark.parametrize(
    "content",
    [b"plain", gzip.compress(b"whole" * 100)[:-12], zlib.compress(b"not gzip")],
    ids=["plain", "cut short", "another packing"],
)
def test_what_is_no_whole_gzip_is_refused(content):
    with pytest.raises(UntrustedDocument):
        documents.unpacked(content)


def test_xml_is_read():
    root = documents.read_xml(b"<?xml version='1.0' encoding='UTF-8'?><Report><Code>8</Code></Report>")
    assert root.findtext("Code") == "8"


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE r [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><r>&b;</r>",
        b"<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r/>",
        b"<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><r>&x;</r>",
        b"<a>" * 200 + b"</a>" * 200,
        b"<a><b></a>",
        b"",
        b"\xff\xfe\x00",
    ],
)
def test_xml_that_could_harm_is_not_read(content):
    with pytest.raises(UntrustedDocument):
        documents.read_xml(content)
