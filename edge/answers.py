"""What the numbers of a network mean: one of K labels, any of K labels, or K values.

This is the one place that knows the kinds of `output` in a manifest. Everything behind it takes what a
``Meaning`` hands over: the fields of JSON, what a plate says, bars, the axis of a picture.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.data import UNCERTAIN, Answer, Axis, Bar, Float32, Named
from edge.manifest import Manifest

Rows = npt.NDArray[Any]
_VALUE_SHARE = 0.05  # of a label's range: as much as a cosine of 0.999 allows on average
_LEAST_SHARE = 0.01  # of the whole range: the floor for a label that hardly moves
_CLEAR = 1e3  # logits; what has no boundary lies nowhere near one
_NONE = "none"


@dataclass(frozen=True)
class Meaning(ABC):
    """How logits become the answer to one face."""

    labels: tuple[str, ...]
    temperature: float = 1.0  # divides the logits
    abstain_below: float = 0.0  # top probability below which the one label is "uncertain"
    thresholds: tuple[float, ...] = ()  # one per label, default 0.5; from there on a label holds
    value_range: tuple[float, float] = (-1.0, 1.0)  # of values, for bars and axes

    chooses = True  # whether one label is the answer
    by_row = True  # whether the logits of one step alone have a direction; those near 0 have none

    @abstractmethod
    def numbers(self, logits: Rows) -> Float32:
        """Probabilities or values (...,K) from logits (...,K)."""

    @abstractmethod
    def answer(self, numbers: Float32, small: bool) -> Answer:
        """The answer with ``numbers`` (K,); ``small``: for a face that is too small to be sure of any."""

    @abstractmethod
    def supports(self, shown: Answer, numbers: Float32, margin: float) -> bool:
        """Whether ``numbers`` (K,) speak for what is ``shown``, if its thresholds are lower by ``margin``."""

    @abstractmethod
    def fields(self, answer: Answer) -> dict[str, Any]:
        """What JSON holds besides ``label``."""

    @abstractmethod
    def headline(self, answer: Answer) -> tuple[Named, ...]:
        """What a plate says in its first line."""

    @abstractmethod
    def over(self, answers: Sequence[Answer]) -> tuple[Named, ...]:
        """What is said of a track with these answers; the numbers are means."""

    @abstractmethod
    def changed(self, logits: Rows, expected: Rows) -> npt.NDArray[np.bool_]:
        """Whether each row (R,K) gives another answer than expected."""

    @abstractmethod
    def margin(self, logits: Rows) -> Rows:
        """How many logits each row (R,K) lies from another answer."""

    @property
    def axis(self) -> Axis:
        """How numbers over time are drawn."""
        return Axis("probability", 0.0, 1.0)

    def probabilities(self, answer: Answer) -> Float32:
        """(K,), or (0,) where the numbers are none."""
        return answer.numbers

    def values(self, answer: Answer) -> Float32:
        """(K,), or (0,) where the numbers are probabilities."""
        return answer.numbers[:0]

    def bars(self, answer: Answer, most: int) -> list[Bar]:
        """The largest numbers, at most ``most``, as bars from 0."""
        order = [int(k) for k in np.argsort(-answer.numbers)[:most]]
        return [self._bar(answer, k) for k in order]

    def _bar(self, answer: Answer, k: int) -> Bar:
        share = float(answer.numbers[k])
        return Bar(self.labels[k], f"{share:.0%}", 0.0, share)

    def _named(self, numbers: Rows) -> dict[str, float]:
        return {name: round(number, 4) for name, number in zip(self.labels, numbers.tolist(), strict=True)}


class OneOf(Meaning):
    """One of K labels: a softmax."""

    def numbers(self, logits: Rows) -> Float32:
        """Softmax of logits / temperature (Guo et al., ICML 2017); each row sums to 1."""
        if logits.size == logits.shape[-1]:  # one face: plain numbers take half the time
            return self._row(logits)
        scaled = logits.astype(np.float64) / self.temperature
        powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        probabilities: Float32 = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
        return probabilities

    def _row(self, logits: Rows) -> Float32:
        scaled = [value / self.temperature for value in logits.ravel().tolist()]
        top = max(scaled)
        powers = [math.exp(value - top) for value in scaled]
        total = sum(powers)
        return np.array([power / total for power in powers], np.float32).reshape(logits.shape)

    def answer(self, numbers: Float32, small: bool) -> Answer:
        best = int(numbers.argmax())
        sure = not small and bool(numbers[best] >= self.abstain_below)
        return Answer(self, numbers, self.labels[best] if sure else UNCERTAIN)

    def supports(self, shown: Answer, numbers: Float32, margin: float) -> bool:
        if shown.label == UNCERTAIN:
            return False
        own = float(numbers[self.labels.index(str(shown.label))])
        return own >= max(self.abstain_below, float(numbers.max())) - margin

    def fields(self, answer: Answer) -> dict[str, Any]:
        return {"probabilities": self._named(answer.numbers)}

    def headline(self, answer: Answer) -> tuple[Named, ...]:
        label = str(answer.label)
        if label == UNCERTAIN:
            return (Named(label, ""),)
        return (Named(label, f"{float(answer.numbers[self.labels.index(label)]):.0%}"),)

    def over(self, answers: Sequence[Answer]) -> tuple[Named, ...]:
        """The most frequent label, with its mean probability; of the top class where it is "uncertain"."""
        label = Counter(str(answer.label) for answer in answers).most_common(1)[0][0]
        if label == UNCERTAIN:
            mean = np.mean([float(answer.numbers.max()) for answer in answers])
        else:
            mean = np.mean([float(answer.numbers[self.labels.index(label)]) for answer in answers])
        return (Named(label, f"{mean:.2f}"),)

    def changed(self, logits: Rows, expected: Rows) -> npt.NDArray[np.bool_]:
        return np.asarray(logits.argmax(axis=1) != expected.argmax(axis=1))

    def margin(self, logits: Rows) -> Rows:
        second, best = np.sort(logits, axis=-1)[..., -2:].T
        return np.asarray(best - second)

    @property
    def axis(self) -> Axis:
        return Axis("probability", 0.0, 1.0, stacked=True)


class AnyOf(Meaning):
    """Any of K labels, each by itself: sigmoids."""

    chooses = by_row = False

    def numbers(self, logits: Rows) -> Float32:
        """Sigmoid of logits / temperature; rows need not sum to 1."""
        return np.asarray(0.5 + 0.5 * np.tanh(logits.astype(np.float64) / self.temperature / 2), np.float32)

    def answer(self, numbers: Float32, small: bool) -> Answer:
        if small:
            return Answer(self, numbers, UNCERTAIN)
        return Answer(self, numbers, None, tuple(self.labels[k] for k in np.flatnonzero(self._hold(numbers))))

    def supports(self, shown: Answer, numbers: Float32, margin: float) -> bool:
        """Whether each label that is shown still holds, and each other one does not, by the margin."""
        if shown.label == UNCERTAIN:
            return False
        shown_sign = np.where(np.isin(self.labels, shown.present), 1, -1)
        return bool((shown_sign * (numbers - np.asarray(self._thresholds)) >= -margin).all())

    def fields(self, answer: Answer) -> dict[str, Any]:
        return {"labels": list(answer.present), "probabilities": self._named(answer.numbers)}

    def headline(self, answer: Answer) -> tuple[Named, ...]:
        """The labels that hold, most probable first."""
        held = [k for k in np.argsort(-answer.numbers) if self.labels[k] in answer.present]
        named = tuple(Named(self.labels[k], f"{float(answer.numbers[k]):.0%}") for k in held)
        return named or (Named(answer.label or _NONE, ""),)

    def over(self, answers: Sequence[Answer]) -> tuple[Named, ...]:
        """The labels that hold in half of the answers or more, with their mean probability."""
        if all(answer.label == UNCERTAIN for answer in answers):
            return (Named(UNCERTAIN, ""),)
        counts = Counter(label for answer in answers for label in answer.present)
        means = np.mean([answer.numbers for answer in answers], axis=0)
        pairs = zip(self.labels, means, strict=True)
        often = tuple(Named(name, f"{mean:.2f}") for name, mean in pairs if 2 * counts[name] >= len(answers))
        return often or (Named(_NONE, ""),)

    def changed(self, logits: Rows, expected: Rows) -> npt.NDArray[np.bool_]:
        """Whether the set of labels is another one."""
        held, wanted = (self._hold(self.numbers(rows)) for rows in (logits, expected))
        return np.asarray((held != wanted).any(axis=1))

    def margin(self, logits: Rows) -> Rows:
        at = np.clip(np.asarray(self._thresholds, np.float64), 1e-6, 1 - 1e-6)
        boundary = self.temperature * (np.log(at) - np.log1p(-at))
        return np.asarray(np.abs(logits - boundary).min(axis=-1))

    @property
    def _thresholds(self) -> tuple[float, ...]:
        return self.thresholds or (0.5,) * len(self.labels)

    def _hold(self, probabilities: Rows) -> npt.NDArray[np.bool_]:
        return np.asarray(probabilities >= np.asarray(self._thresholds, np.float32))


class Values(Meaning):
    """K values of any sign and size, such as valence and arousal, or the intensity of action units."""

    chooses = by_row = False

    def numbers(self, logits: Rows) -> Float32:
        """The values as they are."""
        return np.asarray(logits, np.float32)

    def answer(self, numbers: Float32, small: bool) -> Answer:
        return Answer(self, numbers, UNCERTAIN if small else None)

    def supports(self, shown: Answer, numbers: Float32, margin: float) -> bool:
        return shown.label is None

    def probabilities(self, answer: Answer) -> Float32:
        return answer.numbers[:0]

    def values(self, answer: Answer) -> Float32:
        return answer.numbers

    def fields(self, answer: Answer) -> dict[str, Any]:
        return {"values": self._named(answer.numbers)}

    def headline(self, answer: Answer) -> tuple[Named, ...]:
        """The value that lies farthest from 0."""
        if answer.label is not None:
            return (Named(answer.label, ""),)
        k = int(np.abs(answer.numbers).argmax())
        return (Named(self.labels[k], _two_digits(answer.numbers[k])),)

    def over(self, answers: Sequence[Answer]) -> tuple[Named, ...]:
        """The means of the three values that lie farthest from 0."""
        means = np.mean([answer.numbers for answer in answers], axis=0)
        return tuple(Named(self.labels[k], _two_digits(means[k])) for k in _farthest(means, 3))

    def bars(self, answer: Answer, most: int) -> list[Bar]:
        """Those farthest from 0, in the order of the labels; a bar goes from 0 to the value."""
        return [self._bar(answer, k) for k in _farthest(answer.numbers, most)]

    def _bar(self, answer: Answer, k: int) -> Bar:
        low, high = self.value_range
        value = float(answer.numbers[k])
        ends = sorted((min(max(at, low), high) - low) / (high - low) for at in (0.0, value))
        return Bar(self.labels[k], _two_digits(value), *ends)

    def changed(self, logits: Rows, expected: Rows) -> npt.NDArray[np.bool_]:
        """Whether a value lies farther off than 5 % of its label's range in ``expected``.

        At least 1 % of the manifest's ``value_range`` is allowed: a label that hardly moves has no range.
        """
        low, high = self.value_range
        bound = np.maximum(_VALUE_SHARE * np.ptp(expected, axis=0), _LEAST_SHARE * (high - low))
        return np.asarray(~(np.abs(logits - expected) <= bound).all(axis=1))  # NaN is a change

    def margin(self, logits: Rows) -> Rows:
        return np.full(len(logits), _CLEAR)

    @property
    def axis(self) -> Axis:
        return Axis("value", *self.value_range)


KINDS: dict[str, type[Meaning]] = {"softmax": OneOf, "sigmoid": AnyOf, "values": Values}


def of(manifest: Manifest) -> Meaning:
    """What the numbers of a bundle's network mean."""
    meaning = KINDS[manifest.output](
        manifest.labels, manifest.temperature, manifest.abstain_below, manifest.thresholds
    )
    return replace(meaning, value_range=manifest.value_range) if manifest.value_range else meaning


def _farthest(values: Rows, most: int) -> list[int]:
    """Places of the values farthest from 0, in the order of the labels."""
    return sorted(int(k) for k in np.argsort(-np.abs(values), kind="stable")[:most])


def _two_digits(value: float) -> str:
    return f"{round(float(value), 2) + 0.0:.2f}"  # + 0.0 makes 0.0 of -0.0
