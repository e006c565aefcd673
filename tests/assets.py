"""htmx for the browser tests: the released package, checked by its digest, kept in the checkout's ignored `.cache/`.

`python -m tests.assets` fetches it once. The repository holds digests, never the files.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "4.0.1"
PACKAGE_SHA512 = "oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg=="
FILES_SHA384 = {
    "dist/htmx.min.js": "Qp9rdC8H7EqOoX+nR0P3RPG2Noji+qdwJlGpfzwQJsfOpp3sGwIdSP9xO3+UlEhn",
    "dist/ext/hx-sse.min.js": "v8HvucQ+ohQhMg0arboXc5049yNR46QKMjphs7YDch+Wm7zpfK5XVS01f26mQDJV",
}
FOLDER = Path(__file__).resolve().parent.parent / ".cache" / f"htmx.org-{VERSION}"


class AssetError(Exception):
    """The package cannot be had, or is not the one we mean."""


def digest(algorithm: str, content: bytes) -> str:
    """The digest in the base64 form of subresource integrity, without its prefix."""
    return base64.b64encode(hashlib.new(algorithm, content).digest()).decode()


def present(folder: Path = FOLDER) -> bool:
    """True when every file is there with the digest it must have."""
    return all(
        (folder / name).is_file() and digest("sha384", (folder / name).read_bytes()) == expected
        for name, expected in FILES_SHA384.items()
    )


def unpack(package: Path, folder: Path = FOLDER) -> None:
    """Check the package and write its files. Raises AssetError when a digest differs; then nothing is written."""
    if digest("sha512", package.read_bytes()) != PACKAGE_SHA512:
        raise AssetError(f"{package.name} is not the package whose digest we keep")
    contents: dict[str, bytes] = {}
    with tarfile.open(package) as archive:
        for name, expected in FILES_SHA384.items():
            member = archive.extractfile(f"package/{name}")
            content = member.read() if member is not None else b""
            if digest("sha384", content) != expected:
                raise AssetError(f"{name} in {package.name} is not the file whose digest we keep")
            contents[name] = content
    for name, content in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def fetch(folder: Path = FOLDER) -> None:
    """Get the package with npm. Raises AssetError with what to install when that is impossible."""
    npm = shutil.which("npm")
    if npm is None:
        raise AssetError("npm is missing (Debian: apt-get install npm): browser tests need htmx from its package")
    with tempfile.TemporaryDirectory() as where:
        done = subprocess.run(
            [npm, "pack", "--silent", f"htmx.org@{VERSION}"],
            cwd=where,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        packages = list(Path(where).glob("*.tgz"))
        if done.returncode != 0 or len(packages) != 1:
            raise AssetError(f"npm pack failed: {done.stderr.strip()}")
        unpack(packages[0], folder)


def main() -> int:
    """Fetch unless present."""
    if present():
        return 0
    try:
        fetch()
    except AssetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
