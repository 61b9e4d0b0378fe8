"""``kit make``: a folder with one package that a board unpacks and runs, and what proves it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from edge.config_file import Reader
from edge.deploy.kit import (
    bytecode,
    legal,
    models,
    out_folder,
    own_package,
    package,
    packaged,
    proofs,
    settings,
    tree,
    wheels,
)
from edge.deploy.kit.maintainer import scripts
from edge.deploy.kit.packaged import HOME, SETTINGS
from edge.deploy.kit.programs import Programs
from edge.deploy.kit.targets import Target
from edge.system.steps import Steps
from edge.version import RELEASED, __version__


@dataclass(frozen=True)
class Order:
    """What kit is wanted."""

    target: Target
    settings: Path
    out: Path
    bundle: Path | None = None
    detector: Path | None = None
    wheels: Path | None = None  # a folder in place of a package index
    added: tuple[Path, ...] = ()  # wheels of one's own
    key: Path | None = None  # SSH key that signs
    accepted: bool = False  # weights for research only
    compile_with: str | None = None
    bytecode: bool = True
    revision: str = "1"
    manual: str = ""  # the manual page


def epoch() -> int:
    """Seconds of the release's day: the time of every file, so that it does not matter when a kit is made."""
    return int(datetime.fromisoformat(f"{RELEASED}T00:00:00+00:00").timestamp())


def make(order: Order, steps: Steps, dry_run: bool = False) -> Path | None:
    """Write the kit and return its folder; it is complete or not there.

    With ``dry_run`` it is made all the same, but in a temporary folder, and only printed: each file of the
    package with mode and owner, and each command.

    Raises:
        ConfigError: wrong settings or options, weights for research only, a folder that is no kit.
        EdgeError: a missing wheel, Python or program, a full disk.
    """
    full_version = package.version(__version__, order.revision)
    reader = settings.read(order.settings)
    source = reader.config.source.address
    order.target.refuse_other_camera(source)
    out = Path(os.path.abspath(order.out))
    out_folder.refuse_other(out)
    package.ready()
    proofs.ready(order.key)
    with out_folder.beside(out) as part:
        programs = Programs(part, dry_run)
        python = bytecode.find(order.target.python, order.compile_with, programs) if order.bytecode else ""
        found = models.gather(reader.config, order.bundle, order.detector, order.accepted)
        root, kit = part / "root", part / "kit"
        kit.mkdir()
        steps.begin(f"fetching the wheels for Python {order.target.python} on {order.target.arch}")
        taken = wheels.fetch(order.target, part / "wheels", programs, order.wheels, order.added)
        site = root / HOME / f"lib/python{order.target.python}/site-packages"
        steps.begin("unpacking them")
        wheels.unpack(order.target, taken, site, programs)
        _fill(root, site, taken, order, reader, found, full_version)
        if python:
            steps.begin(f"compiling for Python {order.target.python}")
            bytecode.compile_modules(root, root / HOME, python, programs)
        steps.begin("packing")
        _control(root, order.target, reader, full_version)
        tree.settle(root, root / HOME / "lib", epoch())
        deb = kit / f"emotion-edge_{full_version}_{order.target.arch}.deb"
        package.pack(root, deb, epoch(), programs)
        steps.begin("listing its parts")
        proofs.write_sbom(site, kit / proofs.SBOM, epoch(), programs)
        (kit / out_folder.LOCK).write_text(wheels.lock(taken), "utf-8")
        license_ = found.bundle.manifest.license
        text = proofs.page(order.target, deb, source, license_, order.key is not None)
        (kit / "README.md").write_text(text, "utf-8")
        (kit / proofs.SUMS).write_text(proofs.sums(kit), "utf-8")
        if order.key:
            steps.begin("signing")
            proofs.sign(kit, order.key, programs)
        if dry_run:
            print("\n".join(tree.listing(root)))
            print(f"{deb.name}: {deb.stat().st_size / 1e6:.1f} MB; nothing was written to {out}")
            return None
        for path in kit.iterdir():
            path.chmod(0o644)
        out_folder.put(kit, out)
    return out


def _fill(
    root: Path,
    site: Path,
    taken: Sequence[Path],
    order: Order,
    reader: Reader,
    found: models.Models,
    version: str,
) -> None:
    """Everything but the wheels, the bytecode and DEBIAN/."""
    # Relative, as Debian asks within /usr: it also leads there in a root that is not this machine's.
    tree.link(root, f"{HOME}/bin/python3", f"../../../bin/python{order.target.python}")
    tree.put(root, f"{HOME}/pyvenv.cfg", _VENV.format(version=order.target.python).encode())
    inside = site.relative_to(root).as_posix()
    for path, data in own_package.files(found.reference).items():
        tree.put(root, f"{inside}/{path}", data)
    for path, data in found.files.items():
        tree.put(root, path, data)
    detector = f"/{models.DETECTOR}" if models.DETECTOR in found.files else ""
    tree.put(root, SETTINGS[1:], settings.text(reader, detector, found.folder).encode())
    for file in packaged.files(reader.config, packaged.target_board(order.target.jetson)):
        tree.put(root, file.path, file.data, file.mode)
    documents = {
        "doc/emotion-edge/copyright": legal.copyright_file(site, inside, found, taken).encode(),
        "doc/emotion-edge/changelog.Debian.gz": legal.changelog(version, order.target.system, epoch()),
        "lintian/overrides/emotion-edge": legal.OVERRIDES.encode(),
        "man/man1/emotion-edge.1.gz": legal.packed(order.manual),
    }
    for path, data in documents.items():
        tree.put(root, f"usr/share/{path}", data)


_VENV = """\
home = /usr/bin
include-system-site-packages = true
version = {version}
"""


def _control(root: Path, target: Target, reader: Reader, version: str) -> None:
    board = packaged.target_board(target.jetson)
    conffiles = [path.relative_to(root).as_posix() for path in tree.entries(root / "etc") if path.is_file()]
    maintainer = dict(scripts(packaged.enabled(reader.config, board)))
    package.write_control(root, target, version, reader.config.source.address, maintainer, conffiles)


def date() -> str:
    """The release's day, for the manual page."""
    return datetime.fromtimestamp(epoch(), timezone.utc).strftime("%B %Y")
