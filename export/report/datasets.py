"""Labelled sets that people hold: their folders and file names, read as they were published.

| set | layout |
|---|---|
| CREMA-D (Cao et al., 2014) | ``VideoFlash/1001_DFA_ANG_XX.flv``, ``VideoDemographics.csv`` |
| RAVDESS (Livingstone & Russo, 2018) | ``Actor_01/01-01-03-01-01-01-01.mp4`` |
| AFEW (Dhall et al., 2012) | ``Val_AFEW/Angry/000046280.avi`` |
| DFEW (Jiang et al., 2020) | ``EmoLabel_DataSplit/test(single-labeled)/set_1.csv``, ``Clip/original/1.mp4`` |
| folder | ``happiness/``: videos, stills, or folders of frames |
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.capture.images import SUFFIXES
from edge.errors import EdgeError

VIDEOS = (".mp4", ".avi", ".flv", ".mov", ".mkv", ".webm")
SYNONYMS = {
    "neutral": "neutral", "neutrality": "neutral", "happy": "happiness", "happiness": "happiness",
    "joy": "happiness", "surprise": "surprise", "surprised": "surprise", "sad": "sadness",
    "sadness": "sadness", "angry": "anger", "anger": "anger", "disgust": "disgust", "disgusted": "disgust",
    "fear": "fear", "fearful": "fear", "afraid": "fear", "contempt": "contempt",
}  # fmt: skip


def canonical(labels: Sequence[str]) -> tuple[str, ...]:
    """The names of ``labels`` here, so that "Happy" is "happiness"; others as they are."""
    return tuple(SYNONYMS.get(label.lower(), label) for label in labels)


_CREMA = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral",
          "SAD": "sadness"}  # fmt: skip
_RAVDESS = {"01": "neutral", "03": "happiness", "04": "sadness", "05": "anger", "06": "fear",
            "07": "disgust", "08": "surprise"}  # fmt: skip
_DFEW = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")  # numbered from 1
_AGES = ((30, "under 30"), (45, "30 to 44"), (60, "45 to 59"), (200, "60 and over"))


@dataclass(frozen=True)
class Clip:
    """A video, a still or a folder of frames with one label, who is seen, and the groups they belong to."""

    path: Path
    label: str
    subject: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)


def read(kind: str, root: Path) -> list[Clip]:
    """Clips of a set; EdgeError where ``root`` does not look like it."""
    if kind not in LAYOUTS:
        raise EdgeError(f"unknown dataset {kind!r}; there are ferplus, {', '.join(LAYOUTS)}")
    if not root.is_dir():
        raise EdgeError(f"no folder {root}; pass the folder that holds {kind}")
    try:
        clips = sorted(LAYOUTS[kind](root), key=lambda clip: str(clip.path))
    except (KeyError, ValueError, csv.Error) as error:  # a table or a name that is not as published
        raise EdgeError(f"{root} does not read as {kind} ({error!r}); expected {EXPECTED[kind]}") from error
    if not clips:
        raise EdgeError(f"{root} holds no clip of {kind}; expected {EXPECTED[kind]}")
    return clips


def _crema_d(root: Path) -> Iterator[Clip]:
    people = {}
    table = root / "VideoDemographics.csv"
    if table.is_file():
        with table.open(newline="", encoding="utf-8-sig") as lines:
            people = {row["ActorID"]: row for row in csv.DictReader(lines)}
    for path in root.rglob("*"):
        name = re.fullmatch(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_[A-Z0-9]{2}", path.stem)
        if name and path.suffix.lower() in VIDEOS and name[2] in _CREMA:
            yield Clip(path, _CREMA[name[2]], name[1], _crema_groups(people.get(name[1], {})))


def _crema_groups(person: Mapping[str, str]) -> dict[str, str]:
    groups = {key.lower(): person[key] for key in ("Sex", "Race", "Ethnicity") if person.get(key)}
    if person.get("Age", "").isdigit():
        groups["age"] = next(name for top, name in _AGES if int(person["Age"]) < top)
    return groups


def _ravdess(root: Path) -> Iterator[Clip]:
    """Videos with or without sound; "calm" (02) has no label in FER+ and is left out."""
    for path in root.rglob("*"):
        parts = path.stem.split("-")
        if len(parts) == 7 and path.suffix.lower() in VIDEOS and parts[2] in _RAVDESS:
            sex = "male" if int(parts[6]) % 2 else "female"
            yield Clip(path, _RAVDESS[parts[2]], parts[6], {"sex": sex})


def _afew(root: Path) -> Iterator[Clip]:
    """The validation part where the folder has one: test labels were never published."""
    parts = sorted(p for p in root.iterdir() if p.is_dir() and p.name.lower().startswith("val"))
    for part in parts or [root]:
        for path in part.rglob("*"):
            label = SYNONYMS.get(path.parent.name.lower())
            if label and path.suffix.lower() in VIDEOS:
                yield Clip(path, label)


def _dfew(root: Path) -> Iterator[Clip]:
    """The test parts of all five splits: together the whole single-labelled set, each clip once."""
    labels: dict[str, str] = {}
    for table in root.glob("EmoLabel_DataSplit/test*/*.csv"):
        with table.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines):
                kind = int(row["label"])
                if 1 <= kind <= len(_DFEW):
                    labels[row["video_name"].lstrip("0")] = _DFEW[kind - 1]
    for number, label in labels.items():
        path = _dfew_clip(root / "Clip", number)
        if path:
            yield Clip(path, label)


def _dfew_clip(folder: Path, number: str) -> Path | None:
    padded = number.zfill(5)
    candidates = [folder / "original" / f"{name}{end}" for name in (number, padded) for end in VIDEOS]
    candidates += [folder / kind / padded for kind in ("clip_224x224", "clip_224x224_16f")]
    return next((path for path in candidates if path.exists()), None)


def _folder(root: Path) -> Iterator[Clip]:
    for part in (p for p in root.iterdir() if p.is_dir()):
        label = SYNONYMS.get(part.name.lower())
        if label is None:
            raise EdgeError(f"{part} is named after no label; there are {', '.join(SYNONYMS)}")
        for path in part.iterdir():
            if path.is_dir() or path.suffix.lower() in (*VIDEOS, *SUFFIXES):
                yield Clip(path, label)


LAYOUTS: dict[str, Callable[[Path], Iterator[Clip]]] = {
    "crema-d": _crema_d, "ravdess": _ravdess, "afew": _afew, "dfew": _dfew, "folder": _folder,
}  # fmt: skip
EXPECTED = {
    "crema-d": "VideoFlash/1001_DFA_ANG_XX.flv and VideoDemographics.csv",
    "ravdess": "Actor_01/01-01-03-01-01-01-01.mp4",
    "afew": "Val_AFEW/Angry/*.avi",
    "dfew": "EmoLabel_DataSplit/test(single-labeled)/set_1.csv and Clip/original/1.mp4",
    "folder": "one folder per label, such as happiness/, with videos, stills or folders of frames",
}
