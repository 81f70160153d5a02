import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shipcrowd.documents.store import BadKey, BucketStore, FolderStore, NoSuchDocument, Store, checked, open_store
from shipcrowd.kernel.errors import NotFound
from shipcrowd.kernel.outbound import Unavailable

KEY = "0192f0c1-7b1e-7cc0-9d5e-4a8e5b7f0a11/labels/shipment-1.pdf"


@dataclass
class Bucket:
    """A stand-in for an S3-compatible server: objects in memory, errors on demand."""

    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    fail_with: list[tuple[int, str]] = field(default_factory=list)
    address: str = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        self.requests.append((method, path, headers))
        if self.fail_with:
            status, code = self.fail_with.pop(0)
            return status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        if not headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential=test-key/"):
            return 403, b"<Error><Code>AccessDenied</Code></Error>"
        if method == "PUT":
            self.objects[path] = body
        elif method == "DELETE":
            self.objects.pop(path, None)
            return 204, b""
        elif path not in self.objects:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>"
        return 200, self.objects.get(path, b"") if method == "GET" else b""


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    kept = Bucket()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = kept.answer(self.command, self.path, headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_GET = do_PUT = do_DELETE = do_HEAD = _do

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # It looks that often whether it is to end: half a second, unless told, for each of these tests.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    kept.address = f"http://127.0.0.1:{server.server_port}"
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["folder", "bucket"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket, credentials: None
) -> AsyncIterator[Store]:
    url = {
        "folder": (tmp_path / "made when missing").as_uri(),
        "bucket": f"s3://papers/some/prefix?endpoint={bucket.address}&region=ap-south-1",
    }[request.param]
    opened = open_store(url)
    yield opened
    await opened.close()


async def test_what_is_put_is_what_is_got(store: Store):
    data = b"%PDF-1.7 " + os.urandom(70_000)
    assert not await store.exists(KEY)
    await store.put(KEY, data, "application/pdf")
    assert await store.exists(KEY)
    assert await store.get(KEY) == data


async def test_putting_again_replaces(store: Store):
    await store.put(KEY, b"first", "application/pdf")
    await store.put(KEY, b"second", "application/pdf")
    assert await store.get(KEY) == b"second"


async def test_what_was_never_put_is_not_found(store: Store):
    with pytest.raises(NotFound):
        await store.get(KEY)


async def test_what_is_deleted_is_gone_and_deleting_again_is_no_error(store: Store):
    await store.put(KEY, b"x", "application/pdf")
    await store.delete(KEY)
    assert not await store.exists(KEY)
    with pytest.raises(NoSuchDocument):
        await store.get(KEY)
    await store.delete(KEY)


async def test_an_empty_document_is_still_a_document(store: Store):
    await store.put(KEY, b"", "text/plain")
    assert await store.get(KEY) == b""
    assert await store.exists(KEY)


UNSAFE = [
    "",
    "/etc/passwd",
    "../secrets",
    "a/../../b",
    "a/./b",
    "a//b",
    "a/",
    "a/.hidden",
    ".half-x",
    "a\\b",
    "C:/x",
    "a\x00b",
    "a b",
    "a\n",
    "अ",
    "a/%2e%2e/b",
    "x" * 513,
    "~/x",
]


@pytest.mark.parametrize("key", UNSAFE)
async def test_an_unsafe_key_is_refused_and_nothing_happens(store: Store, bucket: Bucket, tmp_path: Path, key: str):
    for attempt in (store.put(key, b"x", "text/plain"), store.get(key), store.delete(key), store.exists(key)):
        with pytest.raises(BadKey):
            await attempt
    assert bucket.requests == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("key", [KEY, "a", "a/b/c", "A-1_2.PDF", "x=1/y@2+3"])
def test_a_plain_key_is_taken(key: str):
    assert checked(key) == key


async def test_a_link_inside_the_folder_leads_nowhere(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "company").symlink_to(outside)
    store = FolderStore(folder)
    with pytest.raises(BadKey):
        await store.get("company/secret")
    with pytest.raises(BadKey):
        await store.put("company/planted", b"x", "text/plain")
    assert not (outside / "planted").exists()


async def test_a_folder_never_shows_half_a_document(tmp_path: Path):
    store = FolderStore(tmp_path)
    bodies = [bytes([i]) * 300_000 for i in range(1, 9)]
    await store.put(KEY, bodies[0], "application/pdf")
    seen: set[bytes] = set()

    async def read() -> None:
        for _ in range(40):
            seen.add(await store.get(KEY))

    await asyncio.gather(read(), *(store.put(KEY, body, "application/pdf") for body in bodies))
    assert seen <= set(bodies)
    assert [path.name for path in tmp_path.rglob(".half-*")] == []


async def test_a_write_that_fails_leaves_the_old_document_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = FolderStore(tmp_path)
    await store.put(KEY, b"old", "application/pdf")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        await store.put(KEY, b"new", "application/pdf")
    monkeypatch.undo()
    assert await store.get(KEY) == b"old"
    assert [path.name for path in tmp_path.rglob(".half-*")] == []


async def test_files_are_readable_by_their_owner_alone(tmp_path: Path):
    store = FolderStore(tmp_path)
    await store.put(KEY, b"x", "application/pdf")
    assert (tmp_path / KEY).stat().st_mode & 0o077 == 0


async def test_a_bucket_gets_its_prefix_type_and_encryption(bucket: Bucket, credentials: None):
    store = open_store(f"s3://papers/some/prefix?endpoint={bucket.address}&region=ap-south-1")
    await store.put(KEY, b"x", "application/pdf")
    await store.close()
    ((method, path, headers),) = bucket.requests
    assert (method, path) == ("PUT", f"/papers/some/prefix/{KEY}")
    assert headers["content-type"] == "application/pdf"
    assert headers["x-amz-server-side-encryption"] == "AES256"
    assert "/ap-south-1/s3/aws4_request" in headers["authorization"]


async def test_a_server_without_encryption_at_rest_is_not_asked_for_it(bucket: Bucket, credentials: None):
    store = open_store(f"s3://papers?endpoint={bucket.address}&region=ap-south-1&sse=none")
    await store.put("a", b"x", "application/pdf")
    await store.close()
    ((_, path, headers),) = bucket.requests
    assert path == "/papers/a"
    assert "x-amz-server-side-encryption" not in headers


async def test_a_passing_fault_is_tried_again(bucket: Bucket, credentials: None):
    store = open_store(f"s3://papers?endpoint={bucket.address}&region=ap-south-1")
    bucket.fail_with = [(503, "SlowDown")]
    await store.put("a", b"x", "application/pdf")
    assert bucket.objects == {"/papers/a": b"x"}
    await store.close()


@pytest.mark.parametrize("refusal", [(403, "AccessDenied"), (404, "NoSuchBucket")])
async def test_a_refusal_is_told_from_a_missing_document(bucket: Bucket, credentials: None, refusal: tuple[int, str]):
    store = open_store(f"s3://papers?endpoint={bucket.address}&region=ap-south-1")
    bucket.fail_with = [refusal]
    with pytest.raises(Unavailable, match=refusal[1]):
        await store.get("a")
    await store.close()


async def test_a_bucket_that_cannot_be_reached_is_unavailable(credentials: None):
    store = open_store("s3://papers?endpoint=http://127.0.0.1:9&region=ap-south-1")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await store.get("a")
    await store.close()


async def test_a_closed_bucket_opens_again_when_asked(bucket: Bucket, credentials: None):
    store = open_store(f"s3://papers?endpoint={bucket.address}&region=ap-south-1")
    await store.put("a", b"x", "text/plain")
    await store.close()
    assert await store.get("a") == b"x"
    await store.close()


def test_a_url_says_which_store():
    folder = open_store("file:///var/lib/my%20papers")
    assert isinstance(folder, FolderStore)
    assert folder.folder == Path("/var/lib/my papers")
    bucket = open_store("s3://papers/a/b/?region=ap-south-1&sse=aws:kms")
    assert isinstance(bucket, BucketStore)
    assert (bucket.bucket, bucket.prefix, bucket.region, bucket.endpoint) == ("papers", "a/b", "ap-south-1", None)
    assert bucket.encryption == "aws:kms"


@pytest.mark.parametrize(
    "url",
    ["", "/var/lib", "file://host/path", "file:relative", "s3://", "s3://b?sse=maybe", "s3://b?secret=1", "gs://b"],
)
def test_a_url_that_names_no_store_is_refused(url: str):
    with pytest.raises(ValueError, match=r"store|sse"):
        open_store(url)
