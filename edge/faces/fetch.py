"""The face detector's file: fetched once, checked by size and SHA-256, kept in the user's cache.

YuNet comes from the OpenCV Zoo (MIT license); Wu, Peng, Yu: YuNet, Machine Intelligence Research 20 (2023).
The file is not part of this package, so a device without a network takes it from a stick or its neighbor.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from edge.errors import EdgeError
from edge.system import hashing
from edge.system.cache import cache_folder

_ZOO = "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models"
YUNET_NAME = "face_detection_yunet_2023mar.onnx"
YUNET_URL = f"{_ZOO}/face_detection_yunet/{YUNET_NAME}"
YUNET_BYTES = 232_589
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

_CHUNK_BYTES = 65_536

log = logging.getLogger(__name__)


def cached_detector() -> Path | None:
    """The detector's file in the user's cache, or None where it is missing or not the pinned one."""
    try:
        path = cache_folder() / YUNET_NAME
    except EdgeError:
        return None
    return path if _fault(path, YUNET_BYTES, YUNET_SHA256) is None else None


def fetch_detector(
    destination: Path | None = None,
    url: str = YUNET_URL,
    *,
    size: int = YUNET_BYTES,
    sha256: str = YUNET_SHA256,
    timeout_s: float = 30.0,
) -> Path:
    """Put the detector's file at ``destination`` and return that path; nothing is done if it is there.

    Args:
        destination: the file to write; by default ``face_detection_yunet_2023mar.onnx`` in the user's cache.
        url: an http(s) or ``file:`` address, or the path of a copy for a device without a network.
        size: bytes that the file must have.
        sha256: digest, in hexadecimal, that the file must have.
        timeout_s: longest wait for any one answer of the server, seconds.

    Raises:
        EdgeError: no answer, other bytes than the pinned ones, or a folder that cannot be written. What
            was at ``destination`` before is untouched then, and no part of a download stays behind.
    """
    path = cache_folder() / YUNET_NAME if destination is None else destination
    before = _fault(path, size, sha256)
    if before is None:
        return path
    if os.path.exists(path):  # unlike Path.exists, False where the folder may not be read
        log.warning("%s is not the expected file (%s); it will be replaced", path, before)
    part = _new_file_beside(path)
    try:
        _copy(url, part, size, timeout_s, path)
        after = _fault(part, size, sha256)
        if after is not None:
            raise EdgeError(f"{url} gave a wrong file: {after}; {_by_hand(path)}")
        _put_in_place(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _fault(path: Path, size: int, sha256: str) -> str | None:
    """What is wrong with the file, in words, or None."""
    try:
        found = path.stat().st_size
        if found != size:
            return f"{found} bytes, expected {size}"
        digest = hashing.sha256(path)
    except OSError as error:
        return error.strerror or str(error)
    return None if digest == sha256 else f"SHA-256 {digest}, expected {sha256}"


def _new_file_beside(path: Path) -> Path:
    """An empty file in the folder of ``path``, which is made if need be: os.replace stays on one disk."""
    import tempfile

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise EdgeError(
            f"{path.parent} cannot be written ({error.strerror}); make it a folder that this user can write, "
            "or set XDG_CACHE_HOME to one"
        ) from error
    os.close(handle)
    return Path(name)


def _copy(url: str, part: Path, size: int, timeout_s: float, path: Path) -> None:
    """Write what ``url`` holds to ``part``, and stop one byte after ``size``: no server can fill the disk."""
    # Imported here: every run looks for the file in the cache, and hardly one downloads it.
    import http.client
    import urllib.error
    import urllib.request
    from urllib.parse import urlsplit

    left = size + 1
    try:
        address = url if urlsplit(url).scheme in ("http", "https", "file") else Path(url).absolute().as_uri()
        with part.open("wb") as file, urllib.request.urlopen(address, timeout=timeout_s) as stream:
            while left and (chunk := stream.read(min(_CHUNK_BYTES, left))):
                left -= file.write(chunk)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise EdgeError(
            f"the face detector cannot be fetched from {url} ({reason or type(error).__name__}); "
            + _by_hand(path)
        ) from error
    if not left:
        raise EdgeError(f"{url} gave a wrong file: more than {size} bytes; {_by_hand(path)}")


def _put_in_place(part: Path, path: Path) -> None:
    try:
        part.chmod(0o644)  # mkstemp makes it private; a service may run as another user
        os.replace(part, path)
    except OSError as error:
        raise EdgeError(f"{path} cannot be written ({error.strerror}); remove what is there") from error


def _by_hand(path: Path) -> str:
    return (
        f"download {YUNET_URL} elsewhere and pass it with --from FILE, copy it to {path}, "
        "or set detector.model to it"
    )
