"""A picture of each face's probabilities or values over time, and a summary of each track."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.data import EmotionEstimate, Frame, Named
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
    said: tuple[Named, ...]  # the most frequent label with its mean probability, or what there is instead

    def text(self, names: Mapping[str, str] | None = None) -> str:
        """``happiness (0.72)``; with each label as ``names`` has it."""
        shown = names or {}
        parts = [shown.get(label, label) + (f" ({number})" if number else "") for label, number in self.said]
        return ", ".join(parts)


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
            return self._picture(shown)

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
        numbers, axis = np.stack([e.answer.numbers for e in rows], axis=1), rows[0].answer.meaning.axis
        labels = [names[label] for label in rows[0].labels]
        if len(rows) == 1:  # a line of a single point has no area
            times, numbers = [times[0] - 0.5, times[0] + 0.5], numbers.repeat(2, axis=1)
        colors = [COLORS[k % len(COLORS)] for k in range(len(labels))]
        if axis.stacked:
            panel.stackplot(times, numbers, labels=labels, colors=colors, alpha=0.85, linewidth=0)
        else:
            for label, color, line in zip(labels, colors, numbers, strict=True):
                panel.plot(times, line, label=label, color=color, linewidth=1.6)
        low, high = min(axis.low, float(numbers.min())), max(axis.high, float(numbers.max()))
        cold = [estimate.timestamp_s for estimate in rows if not estimate.warm]
        if cold:
            edge = "white" if axis.stacked else "#cccccc"
            panel.axvspan(min(cold), max(cold), facecolor="none", edgecolor=edge, hatch="///", alpha=0.6)
        panel.set(ylim=(low, high), ylabel=axis.title, yticks=(low, (low + high) / 2, high))
        until = f" to {row.last_s:.1f} s" if len(rows) > 1 else ""
        title = f"face {row.track_id}: {row.text(names)}, {row.first_s:.1f} s{until}"
        panel.set_title(f"{title} (hatched: warming up)" if cold else title, loc="left", fontsize=10)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)


def _plain(label: str) -> str:
    """Between two dollar signs, matplotlib would read a formula, and fail at one that is none."""
    return label.replace("$", r"\$")


def _summary(track_id: int, rows: list[EmotionEstimate]) -> TrackSummary:
    answers = [estimate.answer for estimate in rows]
    first, last = rows[0].timestamp_s, rows[-1].timestamp_s
    return TrackSummary(track_id, first, last, len(rows), answers[0].meaning.over(answers))
