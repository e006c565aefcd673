"""The store of photos: a folder that never has half a photo, and a bucket that is asked by signed requests."""

import hashlib
import hmac
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ports.photos import FolderPhotos, PhotoMissingError, PhotosAwayError, S3Photos, signed_headers

KEY = "e229f72dc5e24c4a92bb3f43ea67391c"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"


class TestFolder:
    async def test_what_is_put_is_got_and_nothing_lies_about(self, tmp_path: Path) -> None:
        store = FolderPhotos(tmp_path / "photos")
        await store.put(KEY, b"picture", "image/png")
        assert await store.get(KEY) == b"picture"
        assert [one.name for one in tmp_path.rglob("*") if one.is_file()] == [KEY]

    async def test_one_that_is_removed_is_gone_and_stays_so(self, tmp_path: Path) -> None:
        store = FolderPhotos(tmp_path)
        await store.put(KEY, b"picture", "image/png")
        for _ in range(2):
            await store.remove(KEY)
        with pytest.raises(PhotoMissingError):
            await store.get(KEY)

    async def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(PhotoMissingError):
            await FolderPhotos(tmp_path).get(KEY)

    @pytest.mark.parametrize("key", ["../../etc/passwd", "", KEY.upper(), KEY + "0", f"{KEY[:30]}/x"])
    async def test_a_key_that_is_none_of_ours_touches_no_file(self, tmp_path: Path, key: str) -> None:
        store = FolderPhotos(tmp_path)
        with pytest.raises(ValueError, match="32 hexadecimal digits"):
            await store.put(key, b"x", "image/png")
        with pytest.raises(ValueError, match="32 hexadecimal digits"):
            await store.get(key)
        assert list(tmp_path.iterdir()) == []

    async def test_a_folder_that_cannot_be_made_is_said_by_name(self, tmp_path: Path) -> None:
        (tmp_path / "photos").write_text("a file stands where the folder should be")
        store = FolderPhotos(tmp_path / "photos")
        with pytest.raises(PhotosAwayError, match="cannot be written"):
            await store.put(KEY, b"x", "image/png")
        with pytest.raises(PhotosAwayError, match="cannot be read"):
            await store.get(KEY)


class Bucket(BaseHTTPRequestHandler):
    """What a bucket does: it works the signature out for itself, and keeps objects in memory."""

    objects: dict[str, tuple[str, bytes]]
    is_broken: bool

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes | None:
        """The body, or None after a refusal."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.is_broken:  # type: ignore[attr-defined]
            self._answer(503)
            return None
        if self.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest() or not self._is_signed():
            self._answer(403)
            return None
        return body

    def _is_signed(self) -> bool:
        scheme, _, rest = self.headers["Authorization"].partition(" ")
        parts = dict(part.split("=", 1) for part in rest.split(","))
        key_id, day, region, service, end = parts["Credential"].split("/")
        names = parts["SignedHeaders"].split(";")
        listed = "".join(f"{name}:{self.headers[name]}\n" for name in names)
        digest = self.headers["x-amz-content-sha256"]
        asked = f"{self.command}\n{self.path}\n\n{listed}\n{parts['SignedHeaders']}\n{digest}"
        stamp = self.headers["x-amz-date"]
        hashed = hashlib.sha256(asked.encode()).hexdigest()
        text = f"{scheme}\n{stamp}\n{day}/{region}/{service}/{end}\n{hashed}"
        key = ("AWS4" + SECRET).encode()
        for part in (day, region, service, end):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return key_id == KEY_ID and "host" in names and hmac.compare_digest(signature, parts["Signature"])

    def do_PUT(self) -> None:
        body = self._body()
        if body is not None:
            self.server.objects[self.path] = (self.headers["Content-Type"], body)  # type: ignore[attr-defined]
            self._answer(200)

    def do_GET(self) -> None:
        if self._body() is not None:
            found = self.server.objects.get(self.path)  # type: ignore[attr-defined]
            self._answer(200, found[1]) if found else self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_DELETE(self) -> None:
        if self._body() is not None:
            self.server.objects.pop(self.path, None)  # type: ignore[attr-defined]
            self._answer(204)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def bucket() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    server.objects, server.is_broken = {}, False  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))  # how soon it hears of its end, in seconds
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def at(server: ThreadingHTTPServer, secret: str = SECRET) -> S3Photos:
    url = f"http://127.0.0.1:{server.server_port}/"
    return S3Photos(url=url, bucket="returns", region="eu-central-1", key_id=KEY_ID, secret=secret)


class TestBucket:
    def test_the_published_example_of_a_signed_request(self) -> None:
        """`GET Object` of Amazon's guide to signatures."""
        found = signed_headers(
            "GET", "https://examplebucket.s3.amazonaws.com/test.txt", b"", {"range": "bytes=0-9"},
            datetime(2013, 5, 24, tzinfo=UTC), region="us-east-1", key_id=KEY_ID, secret=SECRET,
        )  # fmt: skip
        assert found["authorization"].endswith(
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        )

    async def test_what_is_put_is_got(self, bucket: ThreadingHTTPServer) -> None:
        store = at(bucket)
        await store.put(KEY, b"picture", "image/jpeg")
        assert await store.get(KEY) == b"picture"
        assert bucket.objects == {f"/returns/{KEY}": ("image/jpeg", b"picture")}  # type: ignore[attr-defined]
        for _ in range(2):
            await store.remove(KEY)
        assert bucket.objects == {}  # type: ignore[attr-defined]
        await store.close()

    async def test_one_that_is_not_there(self, bucket: ThreadingHTTPServer) -> None:
        store = at(bucket)
        with pytest.raises(PhotoMissingError):
            await store.get(KEY)
        await store.close()

    async def test_a_wrong_secret_and_a_broken_bucket_are_said_by_name(self, bucket: ThreadingHTTPServer) -> None:
        stranger = at(bucket, "another secret")
        with pytest.raises(PhotosAwayError, match="answered 403"):
            await stranger.put(KEY, b"x", "image/png")
        await stranger.close()
        store = at(bucket)
        bucket.is_broken = True  # type: ignore[attr-defined]
        with pytest.raises(PhotosAwayError, match="answered 503"):
            await store.get(KEY)
        with pytest.raises(PhotosAwayError, match="answered 503"):
            await store.remove(KEY)
        await store.close()
        assert bucket.objects == {}  # type: ignore[attr-defined]

    async def test_nobody_listens(self, bucket: ThreadingHTTPServer) -> None:
        store = S3Photos(url="http://127.0.0.1:9", bucket="b", region="r", key_id="k", secret="s")
        with pytest.raises(PhotosAwayError, match="cannot be reached"):
            await store.put(KEY, b"x", "image/png")
        await store.close()
