"""From logits to a label, or to abstention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.data import UNCERTAIN, Float32


@dataclass(frozen=True)
class Decision:
    """Temperature scaling (Guo et al., ICML 2017) and the rules for abstention."""

    labels: Sequence[str]
    temperature: float
    abstain_below: float  # top probability below which the label is "uncertain"
    min_face_px: float  # likewise for the side of the face square, in frame pixels

    def probabilities(self, logits: Float32) -> Float32:
        """Softmax of ``logits`` (...,K) / temperature; each row sums to 1."""
        scaled = logits.astype(np.float64) / self.temperature
        powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        probabilities: Float32 = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
        return probabilities

    def label(self, probabilities: Float32, side_px: float) -> str:
        """The most probable label, or "uncertain" for a small face or a low maximum."""
        best = int(probabilities.argmax())
        if side_px < self.min_face_px or not probabilities[best] >= self.abstain_below:
            return UNCERTAIN
        return self.labels[best]
