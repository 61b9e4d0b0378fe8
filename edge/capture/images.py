"""A folder of pictures as a video, or a single picture."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edge.capture.cv_capture import silence_opencv
from edge.capture.levels import Levels
from edge.capture.picture_files import decoded, read_bytes
from edge.capture.picture_headers import SUFFIXES, holds_more
from edge.capture.regular_file import shown
from edge.config import SourceConfig
from edge.data import Frame
from edge.errors import SourceError
from edge.system.closing import Closing

_log = logging.getLogger(__name__)
_HIDDEN = (
    "thumbs.db",
    "desktop.ini",
    "ehthumbs.db",
)  # made by Windows; elsewhere hidden files begin with a dot
_NAMES = " ".join(SUFFIXES)


class ImageSource(Closing):
    """Pictures of one folder in natural order, ``fps`` per second, or one picture; subfolders are ignored.

    Frames are BGR (H,W,3), turned as their EXIF data says. A picture that cannot be read leaves a gap in
    index and time; other and hidden files take no place. The log tells once what was passed over.
    Raises SourceError if there is no picture, and from ``frames`` if none can be read.
    """

    live = False

    def __init__(
        self, address: str | Path, fps: float = 10.0, *, most_pixels: int = SourceConfig.most_pixels
    ) -> None:
        """List the pictures of ``address``; they are read later, one by one."""
        if not fps > 0:
            raise SourceError(f"fps is {fps}; set a positive number of images per second")
        silence_opencv()
        self.name = shown(address)
        self.fps = fps
        self._most_pixels = most_pixels
        self._passed_over: Counter[str] = Counter()
        self._broken: list[str] = []
        self._more: list[str] = []  # names of files with further pictures
        self._levels = Levels()
        self._paths = [Path(address)] if os.path.isfile(address) else self._listed(Path(address))
        self.frame_count: int | None = len(self._paths)

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures; the time of picture i is i / fps seconds."""
        read = 0
        try:
            for index, path in enumerate(self._paths):
                try:
                    data = read_bytes(path, self._most_pixels)
                    image = self._levels.to_8_bits(decoded(data, self._most_pixels))
                except SourceError as error:
                    self._broken.append(f"{shown(path.name)}: {error}")
                    continue
                read += 1
                if holds_more(data):
                    self._more.append(shown(path.name))
                del data  # or it would be kept while the frame is worked on
                yield Frame(image, index / self.fps, index)
            if read == 0:
                raise self._nothing()
        finally:
            if read:
                self._tell()

    def _listed(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            raise SourceError(f"image folder {self.name} does not exist; give a folder with {_NAMES} files")
        try:
            entries = sorted(folder.iterdir(), key=lambda path: (natural_key(path.name), path.name))
        except OSError as error:
            raise SourceError(
                f"image folder {self.name} cannot be listed ({error.strerror}); check its mode and the disk"
            ) from None
        paths = [path for path in entries if not path.is_dir() and self._is_frame(path)]
        if not paths:
            there = f" (passed over: {self._kinds()})" if self._passed_over else ""
            raise SourceError(f"image folder {self.name} holds no image{there}; put {_NAMES} files there")
        return paths

    def _is_frame(self, path: Path) -> bool:
        """Whether it is a picture; what is none is counted by its kind."""
        suffix = path.suffix.lower()
        if path.name.startswith(".") or path.name.lower() in _HIDDEN:  # ._f1.jpg is macOS's twin of f1.jpg
            self._passed_over["hidden"] += 1
        elif suffix not in SUFFIXES:
            self._passed_over[shown(suffix) or "without a suffix"] += 1
        elif path.exists() and not path.is_file():  # a link to nothing is a picture that is missing
            self._passed_over["pipe or device"] += 1
        else:
            return True
        return False

    def _kinds(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in self._passed_over.most_common())

    def _tell(self) -> None:
        kinds = [self._kinds()] if self._passed_over else []
        if self._broken:
            first = self._broken[0] + (", ..." if len(self._broken) > 1 else "")
            kinds.append(f"{len(self._broken)} broken ({first})")
        if kinds:
            level = logging.WARNING if self._broken or set(self._passed_over) - {"hidden"} else logging.INFO
            _log.log(level, "%s: passed over %s", self.name, ", ".join(kinds))
        if self._more:
            more = self._more[0] + (f" and {len(self._more) - 1} others" if len(self._more) > 1 else "")
            text = "%s: only the first picture of %s is read; make a video or single pictures of it"
            _log.warning(text, self.name, more)

    def _nothing(self) -> SourceError:
        if len(self._paths) == 1 and shown(self._paths[0]) == self.name:
            reason = self._broken[0].partition(": ")[2]
            return SourceError(f"{self.name} cannot be read ({reason}); save it again as JPEG or PNG")
        return SourceError(
            f"none of the {len(self._paths)} images in {self.name} can be decoded ({self._broken[0]}); "
            f"save them again as JPEG or PNG"
        )


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts ``img2`` before ``img10``."""
    # Splitting by a group alternates text and digits, so equal positions hold equal types.
    parts = re.split(r"([0-9]+)", name.lower())
    return tuple((int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts))
