"""Where the bytes of documents live: a folder, or an S3-compatible bucket. One URL says which.

A key is a path of plain parts, its company first: `<company_id>/labels/<shipment>.pdf`. The bytes are kept as they
are; who may read them is decided before a store is asked.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError

from shipcrowd.kernel.errors import Invalid, NotFound
from shipcrowd.kernel.outbound import Unavailable

MAX_KEY = 512
PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._=+@-]*")
"""No part begins with a dot: no `..`, no hidden and no half-written files."""

SECONDS = 15
TRIES = 3
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class BadKey(Invalid):
    """This is not a key a document can be stored under."""


class NoSuchDocument(NotFound):
    """There is no such document in the store."""


class Store(Protocol):
    """Keeps documents by key. Every method raises BadKey for an unsafe key; a bucket that cannot be reached or
    refuses raises kernel.outbound.Unavailable."""

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Keep `data` under `key`, whole or not at all; what was there before is replaced."""
        ...

    async def get(self, key: str) -> bytes:
        """The bytes under `key`. Raises NoSuchDocument, which is a NotFound."""
        ...

    async def delete(self, key: str) -> None:
        """Forget `key`; no error when there is nothing under it."""
        ...

    async def exists(self, key: str) -> bool: ...

    async def close(self) -> None:
        """Give back what the store holds open."""
        ...


def open_store(url: str) -> Store:
    """The store a URL names. Raises ValueError for one that names none.

    `file:///var/lib/shipcrowd/documents` is a folder (made when missing).
    `s3://bucket/prefix?endpoint=https://…&region=ap-south-1&sse=AES256` is a bucket; `endpoint` is left out for
    Amazon's own, `sse` is how the bucket encrypts at rest: `AES256` (the default), `aws:kms`, or `none` for a server
    that does not offer it. Credentials come from the environment, as every AWS tool finds them.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        options = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
        if unknown := sorted(options.keys() - {"endpoint", "region", "sse"}):
            raise ValueError(f"a document store has no option {', '.join(unknown)}")
        sse = options.get("sse", "AES256")
        if sse not in ("AES256", "aws:kms", "none"):
            raise ValueError(f"sse={sse} is not one of AES256, aws:kms, none")
        return BucketStore(
            parts.netloc,
            prefix=unquote(parts.path).strip("/"),
            endpoint=options.get("endpoint"),
            region=options.get("region"),
            encryption=None if sse == "none" else sse,
        )
    raise ValueError("a document store is file:///a/folder or s3://bucket/prefix")


def checked(key: str) -> str:
    """`key`, if it is a safe one. Raises BadKey."""
    if len(key) > MAX_KEY or not all(PART.fullmatch(part) for part in key.split("/")):
        raise BadKey("a document's key is parts of plain letters, digits, '-', '_' and '.', with '/' between them")
    return key


class FolderStore:
    """Documents as files under one folder. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        await asyncio.to_thread(self._put, self._path(key), data)

    async def get(self, key: str) -> bytes:
        try:
            return await asyncio.to_thread(self._path(key).read_bytes)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NoSuchDocument from error

    async def delete(self, key: str) -> None:
        path = self._path(key)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self._path(key).is_file)

    async def close(self) -> None:
        """Nothing is held open."""

    def _path(self, key: str) -> Path:
        path = self.folder.joinpath(*checked(key).split("/"))
        # A link planted inside the folder must not lead out of it.
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise BadKey("this key leads out of the store")
        return path

    @staticmethod
    def _put(path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, half = tempfile.mkstemp(dir=path.parent, prefix=".half-")  # mkstemp: readable by the owner alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(half, path)
        except BaseException:
            Path(half).unlink(missing_ok=True)
            raise


class _Body(Protocol):
    async def read(self) -> bytes: ...


class _S3(Protocol):
    """The part of botocore's S3 client used here, which it generates at run time and so cannot type."""

    async def put_object(self, **arguments: str | bytes) -> Mapping[str, Any]: ...
    async def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, AbstractAsyncContextManager[_Body]]: ...
    async def head_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...
    async def delete_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]: ...


class BucketStore:
    """Documents as objects in an S3-compatible bucket."""

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        region: str | None = None,
        encryption: str | None = "AES256",
    ) -> None:
        self.bucket, self.prefix, self.endpoint, self.region = bucket, prefix, endpoint, region
        self.encryption = encryption
        self._opening = asyncio.Lock()
        self._held = AsyncExitStack()
        self._client: _S3 | None = None

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        encryption = {"ServerSideEncryption": self.encryption} if self.encryption else {}
        async with self._talking() as s3:
            await s3.put_object(
                Bucket=self.bucket, Key=self._key(key), Body=data, ContentType=content_type, **encryption
            )

    async def get(self, key: str) -> bytes:
        async with self._talking() as s3:
            answer = await s3.get_object(Bucket=self.bucket, Key=self._key(key))
            async with answer["Body"] as body:
                return await body.read()

    async def delete(self, key: str) -> None:
        async with self._talking() as s3:
            await s3.delete_object(Bucket=self.bucket, Key=self._key(key))

    async def exists(self, key: str) -> bool:
        try:
            async with self._talking() as s3:
                await s3.head_object(Bucket=self.bucket, Key=self._key(key))
        except NoSuchDocument:
            return False
        return True

    async def close(self) -> None:
        async with self._opening:
            self._client = None
            await self._held.aclose()

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{checked(key)}" if self.prefix else checked(key)

    @asynccontextmanager
    async def _talking(self) -> AsyncGenerator[_S3]:
        """The client, opened once; what it raises, in our words."""
        try:
            yield await self._opened()
        except ClientError as error:
            code = str(cast("Mapping[str, Any]", error.response).get("Error", {}).get("Code", ""))
            if code in MISSING:
                raise NoSuchDocument from error
            raise Unavailable(f"the document store refused ({code})") from error
        except (BotoCoreError, OSError, TimeoutError) as error:
            raise Unavailable(f"the document store cannot be reached ({type(error).__name__})") from error

    async def _opened(self) -> _S3:
        async with self._opening:
            if self._client is None:
                making = cast(
                    "AbstractAsyncContextManager[_S3]",
                    AioSession().create_client(  # pyright: ignore[reportUnknownMemberType]
                        "s3",
                        endpoint_url=self.endpoint,
                        region_name=self.region,
                        config=AioConfig(
                            connect_timeout=SECONDS,
                            read_timeout=SECONDS,
                            retries={"mode": "standard", "total_max_attempts": TRIES},
                            # S3-compatible servers often know neither the newer checksums nor bucket host names.
                            request_checksum_calculation="when_required",
                            response_checksum_validation="when_required",
                            s3={"addressing_style": "path" if self.endpoint else "auto"},
                        ),
                    ),
                )
                self._client = await self._held.enter_async_context(making)
            return self._client
