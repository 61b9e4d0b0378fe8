"""Downloads the face detector's file once, checks its size and SHA-256, and stores it in the user's cache.

YuNet comes from the OpenCV Zoo (MIT license); Wu, Peng, Yu: YuNet, Machine Intelligence Research 20 (2023).
The file is not part of this package; an offline device can take it from a USB stick or another device.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from edge.errors import EdgeError, reason
from edge.system.atomic_write import drop_part, new_part, put_in_place
from edge.system.cache import cache_folder, is_ours
from edge.system.checked_file import FileRefused, open_checked, read_most
from edge.system.ownership import fix, make_own_folder, open_own
from edge.system.waiting import result_of

_ZOO = "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models"
YUNET_NAME = "face_detection_yunet_2023mar.onnx"
YUNET_URL = f"{_ZOO}/face_detection_yunet/{YUNET_NAME}"
YUNET_BYTES = 232_589
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

_CHUNK_BYTES = 65_536
_ANY_BYTES = 1 << 62  # the size is judged with a better message
_BY_SETTING = "set XDG_CACHE_HOME to a folder of your own"
_NAMED = partial(open_checked, follow=True)  # a file that the user named may be a link
_WHOLE = 20  # times the timeout of one response: a server of a byte a second would take days

log = logging.getLogger(__name__)


def cached_detector() -> Path | None:
    """The detector's file in the user's cache; None if it is missing, not the pinned one, or not the user's.

    Its content is pinned, but another user who puts it there would change which detector runs.
    """
    try:
        path = cache_folder() / YUNET_NAME
    except EdgeError:
        return None
    found = is_ours(path.parent) and _fault(path, YUNET_BYTES, YUNET_SHA256, open_own) is None
    return path if found else None


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
            ``destination`` is left untouched then, and no partial download remains. So is a cache in which
            another user may write.
    """
    path, opened = (cache_folder() / YUNET_NAME, open_own) if destination is None else (destination, _NAMED)
    if destination is None and not is_ours(path.parent):
        raise EdgeError(f"the face detector is not stored in {path.parent}; {fix(path.parent, _BY_SETTING)}")
    before = _fault(path, size, sha256, opened)
    if before is None:
        return path
    if os.path.lexists(path):
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


def _fault(
    path: Path, size: int, sha256: str, opened: Callable[[Path, int], BinaryIO] = _NAMED
) -> str | None:
    """A description of what is wrong with the file, or None."""
    try:
        with opened(path, _ANY_BYTES) as file:
            actual = os.fstat(file.fileno()).st_size
            if actual != size:
                return f"{actual} bytes, expected {size}"
            digest = hashlib.sha256(read_most(file, size)).hexdigest()
    except FileRefused as error:
        return f"it {error}"
    return None if digest == sha256 else f"SHA-256 {digest}, expected {sha256}"


def _new_file_beside(path: Path) -> BinaryIO:
    """A part in the folder of ``path``, which is created if missing."""
    try:
        make_own_folder(path.parent, 0o755)  # a service of another user may read it
        return new_part(path)
    except OSError as error:
        raise EdgeError(
            f"{path.parent} cannot be written ({error.strerror}); make it writable for this user, "
            "or set XDG_CACHE_HOME to another folder"
        ) from error
    except FileRefused as error:
        raise EdgeError(f"{path.parent} cannot be made: one above it {error}; remove it") from error


def _copy(url: str, part: BinaryIO, size: int, timeout_s: float, path: Path) -> None:
    """Copy ``url`` to ``part``, stopping one byte after ``size``, so that no server can fill the disk."""
    # Imported here, because every run checks the cache but few download the file.
    import http.client
    import urllib.error

    def copy() -> int:
        """How many bytes more the file could have."""
        left = size + 1
        with _opened(url, timeout_s) as stream:
            while left and (chunk := stream.read(min(_CHUNK_BYTES, left))):
                left -= part.write(chunk)
        part.flush()
        return left

    try:
        left = result_of(copy, patience_s=_WHOLE * timeout_s)
    except (OSError, http.client.HTTPException, ValueError, FileRefused) as error:
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


def _opened(url: str, timeout_s: float) -> Any:
    """A stream of what is at an http(s) or file: address, or in the file of that path."""
    import urllib.request
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return urllib.request.urlopen(url, timeout=timeout_s)  # nosec B310
    path = urllib.request.url2pathname(parts.path) if parts.scheme == "file" else url
    return _NAMED(path, _ANY_BYTES)


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
