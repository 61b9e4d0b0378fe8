"""Estimates of each kind, as the runtime makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge.answers import KINDS
from edge.data import UNCERTAIN, Answer, EmotionEstimate

LABELS = ("neutral", "happiness", "sadness", "anger")


def answer(
    numbers: Sequence[float], labels: Sequence[str] = LABELS, kind: str = "softmax", small: bool = False,
    **rules: Any,
) -> Answer:  # fmt: skip
    """The answer of a network of ``kind`` with these numbers."""
    meaning = KINDS[kind](tuple(labels), **rules)
    return meaning.answer(np.array(numbers, np.float32), small)


def estimate(
    numbers: Sequence[float], labels: Sequence[str] = LABELS, *, kind: str = "softmax", **changes: Any
) -> EmotionEstimate:
    """An estimate of face 1; ``changes`` are fields of it, or of its answer (``label``)."""
    said = answer(numbers, labels, kind)
    if "label" in changes:
        said = replace(said, label=changes.pop("label"))
    box = np.array([60, 40, 140, 120], np.float32)
    fields: dict[str, Any] = {"track_id": 1, "timestamp_s": 0.0, "box_xyxy": box, "warm": True, "fresh": True}
    return EmotionEstimate(**{**fields, "answer": said, **changes})


def unsure(given: EmotionEstimate) -> EmotionEstimate:
    """The same, but uncertain."""
    return replace(given, answer=replace(given.answer, label=UNCERTAIN))
