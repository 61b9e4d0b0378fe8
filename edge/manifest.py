"""manifest.json as typed records: the description of a bundle's network."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

from edge.data import UNCERTAIN

FORMAT = 2
MOST_VALUES = 1 << 22  # in all states and explanations of one face: 16 MB
_SINGLE = ("golden", "card", "picture", "per_frame", "evaluation")


@dataclass(frozen=True)
class CropGeometry:
    """How a face is cut out of the frame."""

    scale: float = 1.0  # side of the crop / side of the face square
    align: str = "eyes"  # eyes: rotated until the eyes are level; none: upright


@dataclass(frozen=True)
class FaceInput:
    """The graph's input ``face``: ``(N, channels, size, size)`` float32."""

    size: int  # pixels
    channels: int
    normalization: str  # none, unit, signed, imagenet, standardize
    crop: CropGeometry = field(default_factory=CropGeometry)
    # What the channels are: rgb or bgr; gray: luma, in each of three as well. A manifest without it means
    # gray, because every network was fed and proven so when manifests could not say.
    color: str = "gray"

    @property
    def in_color(self) -> bool:
        """Whether the network takes faces in color."""
        return self.color != "gray"


@dataclass(frozen=True)
class StateTensor:
    """One recurrent state: its input and output names in the graph and the shape of one row."""

    input: str
    output: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Explanation:
    """An output besides logits and states that explains the estimate, such as attention over time."""

    output: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FaceOutput:
    """The output ``(N, 1)`` that tells whether a crop shows a face: from ``threshold`` on it does.

    Where there was none a moment ago, it does from ``starts_at`` on (default: the same).
    """

    output: str
    threshold: float
    starts_at: float | None = None

    def bound(self, new: bool) -> float:
        """The threshold for a face that is ``new``, or has been there."""
        return self.threshold if self.starts_at is None or not new else self.starts_at


@dataclass(frozen=True)
class BundleFile:
    """A file in the bundle's folder; ``sha256`` (64 hex digits) is empty until the bundle is written."""

    path: str
    sha256: str = ""


@dataclass(frozen=True)
class Manifest:
    """What the runtime needs to know about a bundle. It does not use ``proof`` and ``calibration``."""

    name: str
    version: str
    license: str
    labels: tuple[str, ...]
    input: FaceInput
    state: tuple[StateTensor, ...]
    step_hz: float  # steps per second and track
    trained_window: int  # steps of a training sequence
    warm_steps: int  # steps until an estimate counts as warm
    reset_after_s: float  # gap after which a track's state is reset
    files: Mapping[str, BundleFile]  # precision -> ONNX file
    temperature: float = 1.0  # divides the logits
    abstain_below: float = 0.0  # top probability below which the label is "uncertain"
    output: str = "softmax"  # what the network's numbers mean, see edge.answers
    thresholds: tuple[float, ...] = ()  # sigmoid: probability from which on each label holds; default 0.5
    value_range: tuple[float, float] | None = None  # values: between which they lie; default -1 to 1
    explanations: tuple[Explanation, ...] = ()
    face_check: FaceOutput | None = None
    golden: BundleFile | None = None
    card: BundleFile | None = None
    picture: BundleFile | None = None
    per_frame: BundleFile | None = None
    evaluation: BundleFile | None = None
    proof: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def extra_outputs(self) -> dict[str, tuple[int, ...]]:
        """Outputs besides logits and states, and the shape of one row of each."""
        outputs = {tensor.output: tensor.shape for tensor in self.explanations}
        return outputs | ({self.face_check.output: (1,)} if self.face_check else {})

    def listed(self, but: Collection[str] = ()) -> list[BundleFile]:
        """Every file that the manifest names, except the entries in ``but`` ("card")."""
        single = [getattr(self, key) for key in _SINGLE if key not in but]
        return [*self.files.values(), *(file for file in single if file is not None)]

    def to_dict(self) -> dict[str, Any]:
        """The content of manifest.json; empty optional entries are left out."""
        optional = ("explanations", "proof", "calibration", "thresholds")
        rows = asdict(self) | {"output": self.output if self.output != "softmax" else None}
        if not self.input.in_color:
            del rows["input"]["color"]
        if self.face_check and self.face_check.starts_at is None:
            del rows["face_check"]["starts_at"]
        kept = {k: v for k, v in rows.items() if v is not None and (v or k not in optional)}
        return {"format": FORMAT} | kept


def parse(document: Mapping[str, Any]) -> Manifest:
    """The manifest in a JSON object that is valid under the schema."""
    values = _only(Manifest, document)
    face = _only(FaceInput, document["input"])
    values["input"] = FaceInput(**{**face, "crop": CropGeometry(**_only(CropGeometry, face["crop"]))})
    values["labels"] = tuple(document["labels"])
    values |= {key: tuple(values[key]) for key in ("thresholds", "value_range") if key in values}
    rows = document["state"]
    values["state"] = tuple(StateTensor(row["input"], row["output"], tuple(row["shape"])) for row in rows)
    values["explanations"] = tuple(
        Explanation(row["output"], tuple(row["shape"])) for row in document.get("explanations", ())
    )
    if "face_check" in values:
        values["face_check"] = FaceOutput(**_only(FaceOutput, values["face_check"]))
    values["files"] = {name: BundleFile(**_only(BundleFile, row)) for name, row in document["files"].items()}
    values |= {key: BundleFile(**_only(BundleFile, values[key])) for key in _SINGLE if key in values}
    return Manifest(**values)


def contradictions(manifest: Manifest) -> Iterator[str]:
    """One line for each rule that a manifest breaks although it fits the schema."""
    tensors: list[StateTensor | Explanation] = [*manifest.state, *manifest.explanations]
    for what, names in (
        ("input", ["face", *(tensor.input for tensor in manifest.state)]),
        ("output", ["logits", *(tensor.output for tensor in manifest.state), *_extra_names(manifest)]),
    ):
        for name in {name for name in names if names.count(name) > 1}:
            yield f"two tensors have the {what} {name!r}, expected one of each name"
    if (values := sum(prod(tensor.shape) for tensor in tensors)) > MOST_VALUES:
        yield f"its states and explanations have {values:,} values per face, at most {MOST_VALUES:,} are read"
    if manifest.input.normalization == "imagenet" and manifest.input.channels != 3:
        yield f"input.channels is {manifest.input.channels}, but the normalization imagenet needs 3"
    if manifest.input.in_color and manifest.input.channels != 3:
        yield f"input.channels is {manifest.input.channels}, but the color {manifest.input.color} needs 3"
    check = manifest.face_check
    if check and check.bound(new=True) < check.threshold:
        yield f"face_check.starts_at is {check.starts_at}, expected no less than threshold, {check.threshold}"
    yield from label_contradictions(manifest.labels)
    yield from _output_contradictions(manifest)


def _extra_names(manifest: Manifest) -> list[str]:
    """All names of outputs besides logits and states, also those that occur twice."""
    names = [tensor.output for tensor in manifest.explanations]
    return [*names, manifest.face_check.output] if manifest.face_check else names


def _output_contradictions(manifest: Manifest) -> Iterator[str]:
    output, count = manifest.output, len(manifest.labels)
    if output == "softmax" and count < 2:
        yield f"labels has 1 item, expected at least 2 for the output {output}, which is one of them"
    if output != "softmax" and manifest.abstain_below:
        yield f"abstain_below is {manifest.abstain_below}, expected 0 for the output {output}"
    if output == "values" and manifest.temperature != 1:
        yield f"temperature is {manifest.temperature}, expected 1 for the output values"
    if manifest.thresholds and output != "sigmoid":
        yield f"thresholds are for the output sigmoid, but it is {output}"
    elif manifest.thresholds and len(manifest.thresholds) != count:
        yield f"thresholds has {len(manifest.thresholds)} items, expected one for each of {count} labels"
    if manifest.value_range and output != "values":
        yield f"value_range is for the output values, but it is {output}"
    elif manifest.value_range and not manifest.value_range[0] < manifest.value_range[1]:
        yield f"value_range is {list(manifest.value_range)}, expected a lower and a higher number"


def label_contradictions(labels: Sequence[str]) -> Iterator[str]:
    """One line for each label that fits the schema, but would be taken for another."""
    seen: dict[str, str] = {}
    for label in labels:
        if label != label.strip():
            yield f"the label {label!r} begins or ends with a space"
        if label == UNCERTAIN:
            yield f"the label {label!r} is reserved for faces without a clear answer"
        same = seen.setdefault(unicodedata.normalize("NFC", label), label)
        if same != label:
            yield f"the labels {same!a} and {label!a} look the same"


def upgraded(document: Any) -> tuple[Any, dict[str, Any]]:
    """A format 1 manifest converted to format 2, and the ``figures`` and ``training`` it contained.

    Format 1 used "normalisation" and "standardise". Anything else is returned unchanged, to be validated.
    """
    if not isinstance(document, dict) or document.get("format") != 1 or document["format"] is True:
        return document, {}
    manifest = {**document, "format": FORMAT}
    pairs = (("figures", "evaluation"), ("training", "training"))
    record = {name: manifest.pop(key) for name, key in pairs if isinstance(manifest.get(key), dict)}
    if isinstance(face := manifest.get("input"), dict) and "normalisation" in face:
        face = {**face, "normalization": face["normalisation"]}
        if face.pop("normalisation") == "standardise":
            face["normalization"] = "standardize"
        manifest["input"] = face
    return manifest, record


def _only(kind: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of ``row`` that ``kind`` has fields for; a newer writer may add others."""
    return {key: value for key, value in row.items() if key in kind.__dataclass_fields__}
