"""A calibration set: a folder of real face sequences with where they come from and who agreed.

``sequences.npz`` holds ``crops`` (N,S,S) uint8 of all sequences in a row, or (N,S,S,3) RGB where they were
collected for a network that takes color, whatever the order of its channels, and ``lengths`` (M,);
``set.json`` says sources, consent and counts; ``preview.png`` shows them.
"""

from __future__ import annotations

import io
import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration import arrays
from edge.errors import EdgeError, reason
from edge.system import strict_json, text
from edge.system.atomic_write import atomic_write
from edge.system.checked_file import FileRefused, read_checked
from edge.system.hashing import sha256
from edge.system.output_file import refuse_inputs

log = logging.getLogger("calibration")
Uint8 = npt.NDArray[np.uint8]
SCHEMA = "emotion-edge-calibration-set/1"
_MOST_BYTES = 10_000_000  # of set.json
FILES = ("sequences.npz", "set.json", "preview.png")
MIN_SEQUENCES, MIN_STEPS, MIN_LENGTH = 8, 256, 8
ONE_SIDED = 0.8  # share of one class above which a warning is due
ALIKE = 0.995  # correlation of two sequences' middle faces that makes them duplicates
BRIGHTNESS = (85, 170)  # mean gray levels between dark, medium and bright


@dataclass(frozen=True)
class Sequence:
    """Crops (T,S,S), or (T,S,S,3) RGB, the class that the fp32 network saw most often, and the source."""

    crops: Uint8
    label: str
    source: str

    @property
    def brightness(self) -> str:
        at = int(np.digitize(self.crops.mean(), BRIGHTNESS))
        return ("dark", "medium", "bright")[at]


def choose(candidates: list[Sequence], per_cell: int, one_class: bool = True) -> list[Sequence]:
    """At most ``per_cell`` of each class and brightness, no near duplicates; EdgeError for too few.

    ``one_class``: the network chooses one class, so that faces of one class alone are worth a warning.
    """
    chosen: list[Sequence] = []
    faces: list[npt.NDArray[np.float64]] = []
    cells: Counter[tuple[str, str]] = Counter()
    for sequence in candidates:
        face = _signature(sequence.crops)
        cell = (sequence.label, sequence.brightness)
        if cells[cell] < per_cell and not any(float(face @ other) > ALIKE for other in faces):
            chosen.append(sequence)
            faces.append(face)
            cells[cell] += 1
    check([len(sequence.crops) for sequence in chosen])
    classes = Counter(sequence.label for sequence in chosen)
    common, count = classes.most_common(1)[0]
    if one_class and count > ONE_SIDED * len(chosen):
        log.warning(
            "%d of %d sequences look like %s; add sources with other faces", count, len(chosen), common
        )
    lights = Counter(sequence.brightness for sequence in chosen)
    if len(lights) == 1:
        log.warning("all sequences are %s; add sources in another light", next(iter(lights)))
    return chosen


def check(lengths: list[int]) -> None:
    """EdgeError where the sequences cannot calibrate a recurrent network."""
    short = [length for length in lengths if length < MIN_LENGTH]
    if short:
        raise EdgeError(
            f"{len(short)} sequences have under {MIN_LENGTH} steps: their state stays near zero, and ranges "
            "from a zero state are wrong; collect longer ones"
        )
    if len(lengths) < MIN_SEQUENCES or sum(lengths) < MIN_STEPS:
        raise EdgeError(
            f"{len(lengths)} sequences with {sum(lengths)} steps are too few, needed {MIN_SEQUENCES} with "
            f"{MIN_STEPS}; add sources"
        )


def _signature(crops: Uint8) -> npt.NDArray[np.float64]:
    """The middle face as a vector of length one and mean zero."""
    small = cv2.resize(crops[len(crops) // 2], (16, 16), interpolation=cv2.INTER_AREA).astype(np.float64)
    flat = (small - small.mean()).reshape(-1)
    return flat / max(float(np.linalg.norm(flat)), 1e-9)


def check_target(folder: Path, sources: Iterable[Path] = ()) -> None:
    """EdgeError where no set could be written to ``folder``, which must be new or hold a set already.

    ``sources`` are read: none of them may be a file of the set. For use before long work.
    """
    if folder.exists() and not folder.is_dir():
        raise EdgeError(f"{folder} is a file, expected a folder; choose another name")
    if folder.exists() and any(folder.iterdir()) and not (folder / "set.json").is_file():
        raise EdgeError(f"{folder} exists and is not a calibration set; choose another folder")
    read = [("a source", source) for source in sources]
    refuse_inputs({"--out": folder, **{f"{name} of --out": folder / name for name in FILES}}, read)


def write(folder: Path, chosen: list[Sequence], consent: str) -> None:
    """Write the set, set.json last: a set that is cut short is told by its hash."""
    check_target(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lengths = np.array([len(sequence.crops) for sequence in chosen], np.int64)
    content = io.BytesIO()
    np.savez_compressed(content, crops=np.concatenate([s.crops for s in chosen]), lengths=lengths)
    archive, about_file, picture = (folder / name for name in FILES)
    atomic_write(archive, content.getvalue())
    atomic_write(picture, cv2.imencode(".png", preview(chosen))[1].tobytes())
    about = {
        "schema": SCHEMA,
        "consent": consent,
        "sources": dict(Counter(sequence.source for sequence in chosen)),
        "sequences": len(chosen),
        "steps": int(lengths.sum()),
        "classes": dict(Counter(sequence.label for sequence in chosen)),
        "brightness": dict(Counter(sequence.brightness for sequence in chosen)),
        "sha256": sha256(archive),
    }
    atomic_write(about_file, json.dumps(about, indent=1).encode() + b"\n")


def read(folder: Path) -> tuple[list[Uint8], dict[str, Any]]:
    """Sequences (T,S,S) or (T,S,S,3) of a set, and what set.json says.

    EdgeError where it is not one, or was altered.
    """
    try:
        about = strict_json.loads(read_checked(folder / "set.json", _MOST_BYTES, follow=True))
        if not isinstance(about, dict):
            raise ValueError("set.json holds no object")
        found = arrays.load(folder / "sequences.npz")
        crops, lengths = found["crops"], found["lengths"]
    except (FileRefused, ValueError, KeyError) as error:
        missing = [name for name in ("set.json", "sequences.npz") if not (folder / name).is_file()]
        fault = f"it has no {missing[0]}" if missing else reason(error)
        raise EdgeError(
            f"{folder} is not a calibration set ({fault}); make one with emotion-calibrate collect"
        ) from error
    if about.get("sha256") != sha256(folder / "sequences.npz"):
        raise EdgeError(f"{folder}/sequences.npz is not the file that set.json describes; collect again")
    check(lengths.tolist())
    return np.split(crops, np.cumsum(lengths)[:-1]), about


def preview(chosen: list[Sequence], side: int = 64) -> Uint8:
    """Sheet of first, middle and last face of each sequence with its class, four sequences in a row."""
    tiles = []
    labels = tuple(dict.fromkeys(sequence.label for sequence in chosen))
    names = dict(zip(labels, text.shown(labels), strict=True))
    for sequence in chosen:
        faces = [sequence.crops[at] for at in (0, len(sequence.crops) // 2, -1)]
        tile = np.hstack([cv2.resize(face, (side, side)) for face in faces])
        tile = cv2.cvtColor(tile, cv2.COLOR_RGB2BGR if tile.ndim == 3 else cv2.COLOR_GRAY2BGR)
        bar = np.full((16, tile.shape[1], 3), 255, np.uint8)
        label = names[sequence.label]
        text.put(bar, label, (3, 12), 0.76, (0, 0, 0))
        text.put(bar, f", {len(sequence.crops)} steps", (3 + text.width(label, 0.76), 12), 0.76, (0, 0, 0))
        tiles.append(np.pad(np.vstack([tile, bar]), ((4, 4), (4, 4), (0, 0)), constant_values=255))
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % 4)
    return np.vstack([np.hstack(tiles[at : at + 4]) for at in range(0, len(tiles), 4)])
