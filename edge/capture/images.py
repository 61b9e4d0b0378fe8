"""A folder of images as a video."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.data import Frame
from edge.errors import SourceError
from edge.system.closing import Closing

_log = logging.getLogger(__name__)
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class ImageFolderSource(Closing):
    """Images of one folder in natural order, ``fps`` per second; subfolders are ignored.

    An unreadable image is skipped with a warning and leaves a gap in index and time.
    Raises SourceError if the folder is missing or contains no image.
    """

    live = False

    def __init__(self, folder: str | Path, fps: float = 10.0) -> None:
        """List the images of ``folder``; they are read later, one by one."""
        if not fps > 0:
            raise SourceError(f"fps is {fps}; set a positive number of images per second")
        self.folder = Path(folder)
        self.fps = fps
        self._paths = _images_of(self.folder)
        self.frame_count: int | None = len(self._paths)

    def frames(self) -> Iterator[Frame]:
        """Yield the images; the time of image i is i / fps seconds."""
        read = 0
        for index, path in enumerate(self._paths):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                _log.warning("%s cannot be decoded and is skipped", path)
                continue
            read += 1
            yield Frame(np.asarray(image, np.uint8), index / self.fps, index)
        if read == 0:
            raise SourceError(
                f"none of the {len(self._paths)} images in {self.folder} can be decoded; "
                f"save them again as JPEG or PNG"
            )


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts ``img2`` before ``img10``."""
    # Splitting by a group alternates text and digits, so equal positions hold equal types.
    parts = re.split(r"([0-9]+)", name.lower())
    return tuple((int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts))


def _images_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        fault = "is a file, not a folder" if folder.exists() else "does not exist"
        raise SourceError(f"image folder {folder} {fault}; give a folder with {' '.join(SUFFIXES)} files")
    paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not paths:
        raise SourceError(f"image folder {folder} holds no image; put {' '.join(SUFFIXES)} files there")
    return sorted(paths, key=lambda path: (natural_key(path.name), path.name))
