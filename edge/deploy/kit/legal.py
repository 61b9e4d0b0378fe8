"""What the law and Debian's policy ask of a package: licenses, the changelog, and known exceptions."""

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from edge.deploy.kit.models import DETECTOR, YUNET_LICENSE, Models

MAINTAINER = "emotion-edge kit <emotion-edge@localhost>"
_APACHE = """\
License: Apache-2.0
 On Debian systems the full text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
"""
# What lintian calls an error, and why it is none here.
OVERRIDES = """\
# The libraries come as their makers' wheels, which were tested as they are, each with copies of its own.
emotion-edge: embedded-library *
emotion-edge: unstripped-binary-or-object *
# NumPy's module of LAPACK, for Python 3.10, needs nothing of libc by itself.
emotion-edge: library-not-linked-against-libc *
# The environment is no part of the system's Python, whose tools would compile modules at the installation:
# no board compiles anything, and a root that is read-only starts as fast.
emotion-edge: package-installs-python-pycache-dir *
# Debian since 12 and Ubuntu since 18.04 unpack zstd; xz packs it in minutes.
emotion-edge: malformed-deb-archive *
# Whoever makes a kit is not known to it: the same kit has the same bytes, whoever makes it.
emotion-edge: bogus-mail-host *
emotion-edge: bogus-mail-host-in-debian-changelog *
"""


@dataclass(frozen=True)
class Part:
    """A distribution that a wheel has brought, from its own metadata."""

    name: str
    version: str
    license: str
    author: str
    files: tuple[str, ...]  # at the top of site-packages
    texts: tuple[str, ...]  # its license files, below site-packages


def parts(site: Path, wheels: Sequence[Path]) -> list[Part]:
    """The distributions of ``wheels``, which lie unpacked in ``site``, by name."""
    return sorted((_part(site, wheel) for wheel in wheels), key=lambda part: part.name)


def copyright_file(site: Path, inside: str, models: Models, wheels: Sequence[Path]) -> str:
    """debian/copyright (DEP 5) of the package; ``inside`` is where ``site`` lies on the board."""
    stanzas = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: emotion-edge\n",
        "Files: *\nCopyright: the authors of emotion-edge\nLicense: Apache-2.0\n",
    ]
    where = f"{models.folder[1:]}/*" if models.folder else f"{inside}/edge/models/reference/*"
    stanzas.append(_stanza([where], "the makers of the bundle", "bundle", [models.bundle.manifest.license]))
    if DETECTOR in models.files:
        stanzas.append(
            _stanza([DETECTOR], "2020 Shiqi Yu and contributors of the OpenCV Zoo", YUNET_LICENSE, _MIT)
        )
    for part in parts(site, wheels):
        files = [f"{inside}/{name}" for name in part.files]
        said = [f"{part.name} {part.version}: {part.license}"]
        said += [f"The full text: /{inside}/{name}" for name in part.texts]
        stanzas.append(_stanza(files, part.author, f"{part.name}-license", said))
    return "\n".join([*stanzas, _APACHE])


def changelog(version: str, system: str, epoch: int) -> bytes:
    """changelog.Debian.gz with the one entry that a kit has; the project's own stands in its repository."""
    date = datetime.fromtimestamp(epoch, timezone.utc).strftime("%a, %d %b %Y %H:%M:%S +0000")
    entry = f"  * Kit for {system}.\n\n -- {MAINTAINER}  {date}\n"
    return packed(f"emotion-edge ({version}) stable; urgency=medium\n\n{entry}")


def packed(text: str) -> bytes:
    """gzip without a name and a time, as Debian's policy asks."""
    return gzip.compress(text.encode(), 9, mtime=0)


_MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:
.
The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.
.
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.""".splitlines()


def _stanza(files: Sequence[str], author: str, name: str, said: Sequence[str]) -> str:
    lines = [
        f"Files: {files[0]}",
        *(f" {file}" for file in files[1:]),
        f"Copyright: {author}",
        f"License: {name}",
    ]
    return "\n".join([*lines, *(f" {' '.join(line.split())}" for line in said)]) + "\n"


def _part(site: Path, wheel: Path) -> Part:
    files = _installed(wheel)
    info = next(name for name in files if name.endswith(".dist-info/METADATA"))
    metadata = HeaderParser().parsestr((site / info).read_text("utf-8"))
    name, version = metadata["Name"], metadata["Version"]
    tops = sorted({file.split("/")[0] + ("/*" if "/" in file else "") for file in files})
    return Part(
        name,
        version,
        " ".join(_license(metadata).split())[:200],
        " ".join((metadata["Author"] or metadata["Author-email"] or f"the authors of {name}").split()),
        tuple(tops),
        tuple(file for file in files if _is_license(file)),
    )


def _installed(wheel: Path) -> list[str]:
    """The files of a wheel that go into site-packages, sorted; a module need not bear its name."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    moved = [re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", name) for name in names]
    return sorted(name for name in moved if not name.split("/")[0].endswith(".data"))


def _is_license(file: str) -> bool:
    """Whether it is a text of the law, in dist-info or at the top of a package."""
    *folders, name = file.lower().split("/")
    beside = len(folders) == 1 and name.startswith(("licen", "copying", "notice", "thirdparty"))
    return beside or folders[1:2] == ["licenses"]


def _license(metadata: Message) -> str:
    """The SPDX expression, else the first line of the license, else what it is classified as."""
    classified = [text for text in metadata.get_all("Classifier", []) if text.startswith("License ::")]
    first = next((line for line in (metadata["License"] or "").splitlines() if line.strip()), "")
    known = [text.rpartition(" :: ")[2] for text in classified]
    return metadata["License-Expression"] or " or ".join(known) or first or "not stated"
