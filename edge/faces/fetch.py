"""Downloads the face detector's file once, checks its size and SHA-256, and stores it in the user's cache.

YuNet comes from the OpenCV Zoo (MIT license); Wu, Peng, Yu: YuNet, Machine Intelligence Research 20 (2023).
The file is not part of this package; an offline device can take it from a USB stick or another device.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import BinaryIO

from edge.errors import EdgeError, reason
from edge.system import hashing
from edge.system.atomic_write import drop_part, new_part, put_in_place
from edge.system.cache import cache_folder

_ZOO = "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models"
YUNET_NAME = "face_detection_yunet_2023mar.onnx"
YUNET_URL = f"{_ZOO}/face_detection_yunet/{YUNET_NAME}"
YUNET_BYTES = 232_589
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

_CHUNK_BYTES = 65_536

log = logging.getLogger(__name__)


def cached_detector() -> Path | None:
    """The detector's file in the user's cache, or None if it is missing or not the pinned one."""
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
    """Write the detector's file to ``destination`` and return that path; does nothing if it exists.

    Args:
        destination: the file to write; by default ``face_detection_yunet_2023mar.onnx`` in the user's cache.
        url: an http(s) or ``file:`` address, or the path of a copy for a device without a network.
        size: expected size in bytes.
        sha256: expected digest in hexadecimal.
        timeout_s: timeout for each response of the server, in seconds.

    Raises:
        EdgeError: no response, not the pinned file, or a folder that cannot be written. An existing file at
            ``destination`` is left untouched then, and no partial download remains.
    """
    path = cache_folder() / YUNET_NAME if destination is None else destination
    before = _fault(path, size, sha256)
    if before is None:
        return path
    if os.path.exists(path):  # unlike Path.exists, False if the folder is not readable
        log.warning("%s is not the expected file (%s); it will be replaced", path, before)
    part = _new_file_beside(path)
    try:
        _copy(url, part, size, timeout_s, path)
        after = _fault(Path(part.name), size, sha256)
        if after is not None:
            raise EdgeError(f"{url} gave a wrong file: {after}; {_by_hand(path)}")
        _put_in_place(part, path)
    finally:
        drop_part(part)
    return path


def _fault(path: Path, size: int, sha256: str) -> str | None:
    """A description of what is wrong with the file, or None."""
    try:
        actual = path.stat().st_size
        if actual != size:
            return f"{actual} bytes, expected {size}"
        digest = hashing.sha256(path)
    except OSError as error:
        return error.strerror or str(error)
    return None if digest == sha256 else f"SHA-256 {digest}, expected {sha256}"


def _new_file_beside(path: Path) -> BinaryIO:
    """A part in the folder of ``path``, which is created if missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return new_part(path)
    except OSError as error:
        raise EdgeError(
            f"{path.parent} cannot be written ({error.strerror}); make it writable for this user, "
            "or set XDG_CACHE_HOME to another folder"
        ) from error


def _copy(url: str, part: BinaryIO, size: int, timeout_s: float, path: Path) -> None:
    """Copy ``url`` to ``part``, stopping one byte after ``size``, so that no server can fill the disk."""
    # Imported here, because every run checks the cache but few download the file.
    import http.client
    import urllib.error
    import urllib.request
    from urllib.parse import urlsplit

    left = size + 1
    try:
        address = url if urlsplit(url).scheme in ("http", "https", "file") else Path(url).absolute().as_uri()
        with urllib.request.urlopen(address, timeout=timeout_s) as stream:
            while left and (chunk := stream.read(min(_CHUNK_BYTES, left))):
                left -= part.write(chunk)
        part.flush()
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it keeps the connection open
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        told = reason(cause) if isinstance(cause, Exception) else cause
        raise EdgeError(
            f"the face detector cannot be fetched from {url} ({told or type(error).__name__}); "
            + _by_hand(path)
        ) from error
    if not left:
        raise EdgeError(f"{url} gave a wrong file: more than {size} bytes; {_by_hand(path)}")


def _put_in_place(part: BinaryIO, path: Path) -> None:
    try:
        os.fchmod(part.fileno(), 0o644)  # whatever the umask is: a service may run as another user
        put_in_place(part, path)
    except OSError as error:
        raise EdgeError(f"{path} cannot be written ({error.strerror}); remove it first") from error


def _by_hand(path: Path) -> str:
    return (
        f"download {YUNET_URL} elsewhere and pass it with --from FILE, copy it to {path}, "
        "or set detector.model to it"
    )
