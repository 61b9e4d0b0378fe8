"""Labeled sets that people hold: their folders and file names, read as they were published.

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
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from edge.capture.picture_headers import SUFFIXES
from edge.errors import EdgeError, reason

log = logging.getLogger("export")
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
_AGES = ((30, "under 30"), (45, "30 to 44"), (60, "45 to 59"))


@dataclass(frozen=True)
class Clip:
    """A video, a still or a folder of frames with one label, who is seen, and the groups they belong to."""

    path: Path
    label: str
    subject: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)


def read(kind: str, root: Path, cropped: bool = False) -> list[Clip]:
    """Clips of a set, or its published face crops; EdgeError where ``root`` holds no such set."""
    if kind not in LAYOUTS:
        raise EdgeError(
            f"unknown dataset {kind!r}; there are ferplus, {', '.join(LAYOUTS)}, pairs, clips, faceless, "
            "generated"
        )
    if not root.is_dir():
        fault = "is a file" if root.is_file() else "does not exist"
        raise EdgeError(f"{root} {fault}, expected a folder with {LAYOUTS[kind][1]}")
    layout, expected = LAYOUTS[kind]
    if cropped and kind == "dfew":
        layout = partial(_dfew, kinds=_DFEW_CROPS)
    try:
        clips = sorted(layout(root), key=lambda clip: str(clip.path))
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:  # a table of another form
        fault = f"a table lacks {error}" if isinstance(error, KeyError) else reason(error)
        raise EdgeError(f"{root} cannot be read as {kind} ({fault}); expected {expected}") from error
    if not clips:
        raise EdgeError(f"{root} has no clip with a label; for --dataset {kind} expected {expected}")
    return clips


def age_group(years: int) -> str:
    """The band of ages in which figures are given."""
    return next((name for top, name in _AGES if years < top), "60 and over")


def _crema_d(root: Path) -> Iterator[Clip]:
    people = {}
    tables = [folder / "VideoDemographics.csv" for folder in (root, root.parent)]
    table = next((path for path in tables if path.is_file()), None)
    if table:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            people = {row["ActorID"]: row for row in csv.DictReader(lines)}
    else:
        log.warning("no VideoDemographics.csv in %s: no figures by sex, age, race or ethnicity", root)
    films = {path.stem: path for path in sorted(root.rglob("*")) if path.suffix.lower() in VIDEOS}
    for path in films.values():  # a film that was converted is there twice
        name = re.fullmatch(r"(\d{4})_[A-Z]{3}_([A-Z]{3})_[A-Z0-9]{1,2}", path.stem)
        if name and name[2] in _CREMA:
            yield Clip(path, _CREMA[name[2]], name[1], _crema_groups(people.get(name[1], {})))


def _crema_groups(person: Mapping[str, str]) -> dict[str, str]:
    groups = {key.lower(): person[key] for key in ("Sex", "Race", "Ethnicity") if person.get(key)}
    if person.get("Age", "").isdigit():
        groups["age"] = age_group(int(person["Age"]))
    return groups


def _ravdess(root: Path) -> Iterator[Clip]:
    """Each take once, with sound (01) or without (02); "calm" (02) has no label in FER+ and is left out."""
    takes: dict[str, Path] = {}
    for path in sorted(root.rglob("*"), key=lambda path: path.name):
        if re.fullmatch(r"0[12](-\d\d){6}", path.stem) and path.suffix.lower() in VIDEOS:
            takes.setdefault(path.stem[3:], path)
    for path in takes.values():
        _, _, emotion, *_, actor = path.stem.split("-")
        if emotion in _RAVDESS:
            yield Clip(path, _RAVDESS[emotion], actor, {"sex": "male" if int(actor) % 2 else "female"})


def _afew(root: Path) -> Iterator[Clip]:
    """The validation part where the folder has one: test labels were never published."""
    parts = sorted(p for p in root.iterdir() if p.is_dir() and p.name.lower().startswith("val"))
    for part in parts or [root]:
        for path in part.rglob("*"):
            label = SYNONYMS.get(path.parent.name.lower())
            if label and path.suffix.lower() in VIDEOS:
                yield Clip(path, label)


_DFEW_CROPS = ("clip_224x224", "clip_224x224_avi", "clip_224x224_16f")


def _dfew(root: Path, kinds: Sequence[str] = ("original", *_DFEW_CROPS)) -> Iterator[Clip]:
    """The test parts of all five splits: together the whole single-labeled set, each clip once.

    Of ``kinds``, folders of ``Clip``, the first that holds a clip gives it.
    """
    labels: dict[str, str] = {}
    for table in root.glob("EmoLabel_DataSplit/test*/*.csv"):
        with table.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines):
                kind = int(row["label"])
                if 1 <= kind <= len(_DFEW):
                    labels[row["video_name"].lstrip("0")] = _DFEW[kind - 1]
    places = [_numbered(root / "Clip" / kind) for kind in kinds]
    paths = {number: next((p[number] for p in places if number in p), None) for number in labels}
    missing = sum(path is None for path in paths.values())
    if missing:
        log.warning("%d of %d clips of the tables are not in %s", missing, len(paths), root / "Clip")
    yield from (Clip(path, labels[number]) for number, path in paths.items() if path)


def _numbered(folder: Path) -> dict[str, Path]:
    """Films and folders of frames in ``folder``, or in its parts, by their number without zeros in front."""
    paths: dict[str, Path] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        inside = path.iterdir() if path.is_dir() and not path.name.isdigit() else (path,)
        films = (one for one in inside if one.is_dir() or one.suffix.lower() in VIDEOS)
        paths |= {film.stem.lstrip("0"): film for film in films}
    return paths


def _folder(root: Path) -> Iterator[Clip]:
    for part in (p for p in root.iterdir() if p.is_dir()):
        label = SYNONYMS.get(part.name.lower())
        if label is None:
            raise EdgeError(f"{part} is named after no label; there are {', '.join(SYNONYMS)}")
        for path in part.iterdir():
            if path.is_dir() or path.suffix.lower() in (*VIDEOS, *SUFFIXES):
                yield Clip(path, label)


LAYOUTS: dict[str, tuple[Callable[[Path], Iterator[Clip]], str]] = {  # how a set is read, what is expected
    "crema-d": (_crema_d, "VideoFlash/1001_DFA_ANG_XX.flv and VideoDemographics.csv"),
    "ravdess": (_ravdess, "Actor_01/01-01-03-01-01-01-01.mp4"),
    "afew": (_afew, "Val_AFEW/Angry/*.avi"),
    "dfew": (_dfew, "EmoLabel_DataSplit/test(single-labeled)/set_1.csv and Clip/original/1.mp4"),
    "folder": (_folder, "one folder per label, such as happiness/, with videos, stills or folders of frames"),
}
