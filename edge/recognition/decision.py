"""From logits to the answer for one face: by the bundle's meaning of them, and by how large the face is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edge import answers
from edge.config import DecisionConfig
from edge.data import Float32, Held
from edge.errors import ConfigError
from edge.manifest import Manifest
from edge.recognition.held import AT_ONCE, HoldRule


@dataclass(frozen=True)
class Decision:
    """The rules of a bundle; by default its network chooses one of the labels."""

    labels: Sequence[str]
    temperature: float
    abstain_below: float  # top probability below which the label is "uncertain"
    min_face_px: float  # likewise for the side of the face square, in frame pixels
    meant: answers.Meaning | None = None  # of a bundle, in place of the above
    hold: HoldRule = AT_ONCE  # when another answer is shown

    @classmethod
    def of(cls, manifest: Manifest, settings: DecisionConfig) -> Decision:
        """The bundle's rules, unless the settings override its threshold; ConfigError if it can have none."""
        meant, threshold = answers.of(manifest), settings.abstain_below
        if threshold and not meant.chooses:
            raise ConfigError(
                f"decision.abstain_below is {threshold}, but the network of {manifest.name} does not choose "
                "one of its labels; leave it out"
            )
        if threshold is not None:
            meant = replace(meant, abstain_below=threshold)
        rule = HoldRule() if settings.hold else AT_ONCE
        return cls(meant.labels, meant.temperature, meant.abstain_below, settings.min_face_px, meant, rule)

    @cached_property
    def meaning(self) -> answers.Meaning:
        """What the numbers mean."""
        return self.meant or answers.OneOf(tuple(self.labels), self.temperature, self.abstain_below)

    def probabilities(self, logits: Float32) -> Float32:
        """Probabilities (...,K) from logits (...,K), or whatever numbers the network gives."""
        return self.meaning.numbers(logits)

    def shown(self, held: Held | None, numbers: Float32, side_px: float, now_s: float) -> Held:
        """What a track shows after a step with ``numbers`` (K,) at ``now_s`` seconds; ``held``: before it.

        A face that is too small is "uncertain" whatever its numbers mean.
        """
        least_px = self.min_face_px * (self.hold.stays_large if held is not None and held.large else 1.0)
        large = side_px >= least_px
        raw = self.meaning.answer(numbers, not large)
        if held is not None and held.large != large:
            held = None  # no noise of the network, so nothing to hold against
        held = self.hold.after(held, raw, now_s)
        held.large = large
        return held
