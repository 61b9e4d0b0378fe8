"""The file that is given as an image: opened only if it is one that may be changed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from edge.errors import ConfigError

_PACKED = (
    (b"\xfd7zXZ\x00", "compressed (xz)", "xz -d -k {name}"),
    (b"\x1f\x8b", "compressed (gzip)", "gunzip -k {name}"),
    (b"PK\x03\x04", "an archive (zip)", "unzip {name}"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", "unzstd {name}"),
    (b"BZh", "compressed (bzip2)", "bunzip2 -k {name}"),
    (b"7z\xbc\xaf", "an archive (7z)", "7z x {name}"),
)  # fmt: skip
BLOCKS = Path("/sys/block")


def open_image(path: Path, blocks: Path = BLOCKS) -> BinaryIO:
    """The image, to be read.

    ConfigError for a device, a folder, a compressed file, or one that is mounted; ``blocks`` is /sys/block.
    """
    try:
        kind = path.stat().st_mode
        if stat.S_ISBLK(kind):
            raise ConfigError(
                f"{path} is a block device; give an image file, and write it to the card with rpi-imager"
            )
        if not stat.S_ISREG(kind):
            raise ConfigError(f"{path} is no regular file; give the image of the system, such as raspios.img")
        if loop := mounted(path, blocks):
            raise ConfigError(f"{path} is in use by {loop}; unmount it, then: losetup -d /dev/{loop}")
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); give the image of the system"
        ) from error
    head = file.read(8)
    for magic, what, command in _PACKED:
        if head.startswith(magic):
            file.close()
            raise ConfigError(f"{path} is {what}; unpack it first: {command.format(name=path.name)}")
    return file


def mounted(path: Path, blocks: Path) -> str:
    """The loop device that shows ``path``, else "". Linux names its file in loop/backing_file."""
    for place in sorted(blocks.glob("loop*/loop/backing_file")):
        try:
            backing = place.read_text("utf-8", "surrogateescape").strip("\n")
            if os.path.samefile(backing, path):
                return place.parts[-3]
        except OSError:  # it was let go meanwhile, or its file is gone
            continue
    return ""
