"""manifest.json as typed records: what a bundle says of its network."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 2
_SINGLE = ("golden", "card", "picture", "per_frame", "evaluation")


@dataclass(frozen=True)
class CropGeometry:
    """How a face is cut out of the frame."""

    scale: float = 1.0  # side of the crop / side of the face square
    align: str = "eyes"  # eyes: turned until they are level; none: upright


@dataclass(frozen=True)
class FaceInput:
    """The graph's input ``face``: ``(N, channels, size, size)`` float32."""

    size: int  # pixels
    channels: int
    normalization: str  # none, unit, signed, imagenet, standardize
    crop: CropGeometry = field(default_factory=CropGeometry)


@dataclass(frozen=True)
class StateTensor:
    """One recurrent state: input and output name in the graph, shape of one row."""

    input: str
    output: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Explanation:
    """An output beside logits and states that explains the answer, such as attention over time."""

    output: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class BundleFile:
    """A file of the bundle's folder; ``sha256`` (64 hex digits) is empty until the bundle is written."""

    path: str
    sha256: str = ""


@dataclass(frozen=True)
class Manifest:
    """What the runtime must know of a bundle. ``proof`` and ``calibration`` are for readers."""

    name: str
    version: str
    license: str
    labels: tuple[str, ...]
    input: FaceInput
    state: tuple[StateTensor, ...]
    step_hz: float  # steps per second of each track
    trained_window: int  # steps of a training sequence
    warm_steps: int  # steps until an estimate counts as warm
    reset_after_s: float  # gap that resets a track's state
    files: Mapping[str, BundleFile]  # precision -> ONNX file
    temperature: float = 1.0  # divides the logits
    abstain_below: float = 0.0  # largest probability under which the label is "uncertain"
    explanations: tuple[Explanation, ...] = ()
    golden: BundleFile | None = None
    card: BundleFile | None = None
    picture: BundleFile | None = None
    per_frame: BundleFile | None = None
    evaluation: BundleFile | None = None
    proof: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)

    def listed(self, but: Collection[str] = ()) -> list[BundleFile]:
        """Every file that the manifest names, ``but`` those of some entries ("card")."""
        single = [getattr(self, key) for key in _SINGLE if key not in but]
        return [*self.files.values(), *(file for file in single if file is not None)]

    def to_dict(self) -> dict[str, Any]:
        """The object of manifest.json; an optional entry that holds nothing is left out."""
        optional = ("explanations", "proof", "calibration")
        rows = asdict(self).items()
        return {"format": FORMAT} | {k: v for k, v in rows if v is not None and (v or k not in optional)}


def parse(document: Mapping[str, Any]) -> Manifest:
    """The manifest of a JSON object that fits the schema."""
    known = _only(Manifest, document)
    face = _only(FaceInput, document["input"])
    known["input"] = FaceInput(**{**face, "crop": CropGeometry(**_only(CropGeometry, face["crop"]))})
    known["labels"] = tuple(document["labels"])
    known["state"] = tuple(StateTensor(r["input"], r["output"], tuple(r["shape"])) for r in document["state"])
    known["explanations"] = tuple(
        Explanation(row["output"], tuple(row["shape"])) for row in document.get("explanations", ())
    )
    known["files"] = {name: BundleFile(**_only(BundleFile, row)) for name, row in document["files"].items()}
    known |= {key: BundleFile(**_only(BundleFile, known[key])) for key in _SINGLE if key in known}
    return Manifest(**known)


def upgraded(document: Any) -> tuple[Any, dict[str, Any]]:
    """A manifest of format 1 as format 2 has it, and the ``figures`` and ``training`` that it held itself.

    Format 1 wrote "normalisation" and "standardise". Anything else comes back as it is, to be judged.
    """
    if not isinstance(document, dict) or document.get("format") != 1:
        return document, {}
    fresh = {**document, "format": FORMAT}
    pairs = (("figures", "evaluation"), ("training", "training"))
    record = {name: fresh.pop(key) for name, key in pairs if isinstance(fresh.get(key), dict)}
    if isinstance(face := fresh.get("input"), dict) and "normalisation" in face:
        face = {**face, "normalization": face["normalisation"]}
        if face.pop("normalisation") == "standardise":
            face["normalization"] = "standardize"
        fresh["input"] = face
    return fresh, record


def _only(kind: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of ``row`` that the record ``kind`` has: a newer writer may know more."""
    return {key: value for key, value in row.items() if key in kind.__dataclass_fields__}
