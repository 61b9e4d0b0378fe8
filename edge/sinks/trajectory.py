"""A picture of each face's probabilities over time, and a summary of each track."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.data import UNCERTAIN, EmotionEstimate, Frame
from edge.system.closing import Closing
from edge.system.drawing import fonts_for, matplotlib, new_figure
from edge.system.marks import SOFTWARE
from edge.system.output_file import OutputFile

# One color per class (Paul Tol's bright scheme and black), the same in every picture.
COLORS = ("#777777", "#ccbb44", "#66ccee", "#4477aa", "#ee6677", "#228833", "#aa3377", "#000000")
_PANELS = 16  # hundreds of panels would exceed matplotlib's limit of 65,536 pixels


@dataclass(frozen=True)
class TrackSummary:
    """Summary of one track; times in seconds."""

    track_id: int
    first_s: float
    last_s: float
    estimates: int
    label: str  # the most frequent one
    mean_probability: float  # of that label; of the top class if the label is "uncertain"


class TrajectorySink(Closing):
    """Collect fresh estimates and draw one panel per track, the 16 longest, into a .png when closed."""

    def __init__(self, path: str, force: bool = False) -> None:
        """Raises ConfigError if the path may not be written. ``force``: even a file that is not ours."""
        self._output = OutputFile(Path(path), (".png",), force, small=True)
        matplotlib()
        self._began = False
        self._tracks: dict[int, list[EmotionEstimate]] = {}

    def __enter__(self) -> TrajectorySink:
        self._output.__enter__()
        return self

    def close(self) -> None:
        """Draw the picture, unless no frame came; ConfigError if it cannot be written."""
        try:
            if self._began:
                self._output.write(self._draw())
        finally:
            self._output.close()

    def write(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Keep the fresh estimates of one frame."""
        self._began = True
        for estimate in estimates:
            if estimate.fresh:
                self._tracks.setdefault(estimate.track_id, []).append(estimate)

    def summary(self) -> list[TrackSummary]:
        """One row per track, sorted by id."""
        return [_summary(track_id, self._tracks[track_id]) for track_id in sorted(self._tracks)]

    def _draw(self) -> bytes:
        labels = next((rows[0].labels for rows in self._tracks.values()), ())
        with fonts_for(labels) as names:
            shown = dict(zip(labels, map(_plain, names), strict=True))
            return self._picture({UNCERTAIN: UNCERTAIN, **shown})

    def _picture(self, names: Mapping[str, str]) -> bytes:
        """The picture with each label as ``names`` has it."""
        shown = sorted(self.summary(), key=lambda row: -row.estimates)[:_PANELS]
        count = max(len(shown), 1)
        figure = new_figure(figsize=(10, 1.0 + 2.1 * count), dpi=110, layout="constrained")
        panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
        for panel, row in zip(panels, sorted(shown, key=lambda row: row.track_id), strict=False):
            self._panel(panel, row, names)
        if shown and all(row.estimates == 1 for row in shown):
            panels[-1].set_xticks([shown[0].first_s])
        if not self._tracks:
            panels[0].text(0.5, 0.5, "no face was tracked", ha="center", va="center")
        panels[-1].set_xlabel("time, seconds")
        handles, words = panels[0].get_legend_handles_labels()
        if handles:
            figure.legend(
                handles, words, loc="outside upper center", ncols=len(words), frameon=False, fontsize=9
            )
        picture = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # two lines for each letter that the font lacks
            figure.savefig(picture, format="png", metadata={"Software": SOFTWARE})
        return picture.getvalue()

    def _panel(self, panel: Any, row: TrackSummary, names: Mapping[str, str]) -> None:
        rows = self._tracks[row.track_id]
        times = [estimate.timestamp_s for estimate in rows]
        probabilities = np.stack([estimate.probabilities for estimate in rows], axis=1)
        labels = [names[label] for label in rows[0].labels]
        if len(rows) == 1:  # a line of a single point has no area
            times, probabilities = [times[0] - 0.5, times[0] + 0.5], probabilities.repeat(2, axis=1)
        colors = [COLORS[k % len(COLORS)] for k in range(len(labels))]
        panel.stackplot(times, probabilities, labels=labels, colors=colors, alpha=0.85, linewidth=0)
        cold = [estimate.timestamp_s for estimate in rows if not estimate.warm]
        if cold:
            panel.axvspan(min(cold), max(cold), facecolor="none", edgecolor="white", hatch="///", alpha=0.6)
        panel.set(ylim=(0, 1), ylabel="probability", yticks=(0, 0.5, 1))
        until = f" to {row.last_s:.1f} s" if len(rows) > 1 else ""
        title = f"face {row.track_id}: {names[row.label]}, {row.first_s:.1f} s{until}"
        panel.set_title(f"{title} (hatched: warming up)" if cold else title, loc="left", fontsize=10)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)


def _plain(label: str) -> str:
    """Between two dollar signs, matplotlib would read a formula, and fail at one that is none."""
    return label.replace("$", r"\$")


def _summary(track_id: int, rows: list[EmotionEstimate]) -> TrackSummary:
    label = Counter(estimate.label for estimate in rows).most_common(1)[0][0]
    if label == UNCERTAIN:
        values = [float(estimate.probabilities.max()) for estimate in rows]
    else:
        values = [float(estimate.probabilities[estimate.labels.index(label)]) for estimate in rows]
    first, last = rows[0].timestamp_s, rows[-1].timestamp_s
    return TrackSummary(track_id, first, last, len(rows), label, float(np.mean(values)))
