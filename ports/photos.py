"""The place where photos are kept: a folder of this machine, or a bucket behind the interface of S3.

It knows keys and bytes. Whose photo it is, who may see it, and whether it is one at all is known before. Keys are made
by us, never by whoever sends a photo.
"""

import asyncio
import hashlib
import hmac
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import SecretStr

from ports import bounded

KEY = re.compile(r"[0-9a-f]{32}")
TIMEOUT_S = 20.0
MOST_BYTES = 64_000_000  # of an answer: more than the largest photo that may be kept


class PhotoMissingError(Exception):
    """There is no photo under this key."""


class PhotosAwayError(Exception):
    """The store cannot be reached, or does not do what it is asked: trying again may help."""


class PhotoSettings(Protocol):
    """Where photos are kept, as the settings of a process say it: a folder, or a bucket when `photo_url` is given."""

    @property
    def home(self) -> Path: ...
    @property
    def photo_store(self) -> str: ...
    @property
    def photo_folder(self) -> Path | None: ...
    @property
    def photo_url(self) -> str | None: ...
    @property
    def photo_bucket(self) -> str | None: ...
    @property
    def photo_region(self) -> str: ...
    @property
    def photo_key_id(self) -> str | None: ...
    @property
    def photo_key(self) -> SecretStr | None: ...


class PhotoStore(Protocol):
    """Keeps bytes under keys of 32 hexadecimal digits."""

    async def put(self, key: str, content: bytes, media_type: str) -> None:
        """Keep them for good before it returns. Raises `PhotosAwayError`."""

    async def get(self, key: str) -> bytes:
        """Raises `PhotoMissingError`, `PhotosAwayError`."""

    async def remove(self, key: str) -> None:
        """Forget them; what is not there is forgotten already. Raises `PhotosAwayError`."""

    async def close(self) -> None:
        """Let go of what it holds open."""


def _checked(key: str) -> str:
    if not KEY.fullmatch(key):
        raise ValueError("a photo's key has 32 hexadecimal digits")
    return key


class FolderPhotos:
    """Files of a folder, which is made when the first one comes; spread over 256 folders in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, key: str) -> Path:
        return self._folder / _checked(key)[:2] / key

    async def put(self, key: str, content: bytes, media_type: str) -> None:  # noqa: ARG002  kept with its row
        await asyncio.to_thread(self._put, self._path(key), content)

    @staticmethod
    def _put(path: Path, content: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(draft).replace(path)  # nobody ever sees half a photo
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise PhotosAwayError(f"the folder of photos cannot be written: {error.strerror}") from error

    async def get(self, key: str) -> bytes:
        path = self._path(key)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError as error:
            raise PhotoMissingError(key) from error
        except OSError as error:
            raise PhotosAwayError(f"the folder of photos cannot be read: {error.strerror}") from error

    async def remove(self, key: str) -> None:
        path = self._path(key)
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as error:
            raise PhotosAwayError(f"a photo cannot be removed from its folder: {error.strerror}") from error

    async def close(self) -> None:
        """A folder holds nothing open."""


class S3Photos:
    """A bucket behind the interface of S3 (Amazon, MinIO, Ceph, …), addressed by path: `url/bucket/key`.

    Requests are signed with version 4 of Amazon's signatures; nothing is public.
    """

    def __init__(self, *, url: str, bucket: str, region: str, key_id: str, secret: str) -> None:
        self._base = f"{url.rstrip('/')}/{quote(bucket, safe='')}"
        self._region = region
        self._key_id = key_id
        self._secret = secret
        self._http: httpx2.AsyncClient | None = None

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            self._http = httpx2.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
        return self._http

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def put(self, key: str, content: bytes, media_type: str) -> None:
        answer = await self._ask("PUT", key, content, {"content-type": media_type})
        if answer.status_code not in (200, 201, 204):
            raise PhotosAwayError(f"the bucket answered {answer.status_code} when a photo was put into it")

    async def get(self, key: str) -> bytes:
        answer = await self._ask("GET", key, b"", {})
        if answer.status_code == 404:
            raise PhotoMissingError(key)
        if answer.status_code != 200:
            raise PhotosAwayError(f"the bucket answered {answer.status_code} when a photo was asked for")
        return answer.content

    async def remove(self, key: str) -> None:
        answer = await self._ask("DELETE", key, b"", {})
        if answer.status_code not in (200, 204, 404):
            raise PhotosAwayError(f"the bucket answered {answer.status_code} when a photo was to be removed")

    async def _ask(self, method: str, key: str, content: bytes, headers: Mapping[str, str]) -> httpx2.Response:
        url = f"{self._base}/{_checked(key)}"
        signed = signed_headers(
            method, url, content, headers, datetime.now(UTC),
            region=self._region, key_id=self._key_id, secret=self._secret,
        )  # fmt: skip
        try:
            return await bounded.ask(
                self._client(), method, url, headers=dict(signed), content=content or None, most_bytes=MOST_BYTES
            )
        except httpx2.HTTPError as error:
            raise PhotosAwayError(f"the bucket cannot be reached: {type(error).__name__}") from error


def store_of(settings: PhotoSettings) -> PhotoStore:
    """The store that the settings of a process name."""
    if settings.photo_store != "s3":
        return FolderPhotos(settings.photo_folder or settings.home.expanduser().absolute() / "photos")
    assert settings.photo_key is not None  # checked where settings are read, with the others
    return S3Photos(
        url=settings.photo_url or "",
        bucket=settings.photo_bucket or "",
        region=settings.photo_region,
        key_id=settings.photo_key_id or "",
        secret=settings.photo_key.get_secret_value(),
    )


def signed_headers(
    method: str,
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    at: datetime,
    *,
    region: str,
    key_id: str,
    secret: str,
) -> dict[str, str]:
    """The headers of a request to S3 with its signature (AWS4-HMAC-SHA256); the address has no query."""
    parts = urlsplit(url)
    digest = hashlib.sha256(content).hexdigest()
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {name.lower(): value.strip() for name, value in headers.items()}
    sent |= {"host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(sorted(sent))
    lines = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent))
    canonical = "\n".join([method, parts.path or "/", "", lines, names, digest])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    wanted = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, wanted.encode(), "sha256").hex()
    sent["authorization"] = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope},SignedHeaders={names},Signature={signature}"
    return sent
