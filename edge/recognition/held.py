"""The answer that is shown: it holds against single steps that say something else.

The network answers each step anew, so near its threshold a label would go and come back with every syllable
of a talking mouth. As in a Schmitt trigger, an answer is kept down to a lower threshold; and the one that was
shown before it comes back only if it stays. A new one is shown at once, so that no change comes late.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from edge.data import UNCERTAIN, Answer, Held


@dataclass(frozen=True)
class HoldRule:
    """When another answer is shown.

    Chosen on 300 generated films of talking faces, 213 true changes of expression among them: margin 0.05,
    0.1, 0.15 and 2 to 6 steps. These two values leave 0.42 of the changes and the same share of answers
    (77.8 instead of 77.7 %); each true change is shown, 0.1 steps later on average. See
    export/experiments.md.
    """

    margin: float = 0.1  # below the threshold, down to which what is shown is kept
    returns: int = 4  # steps in a row after which the answer that was shown before comes back
    # Of the smallest size, down to which a large face stays large: its size varies with each look.
    stays_large: float = 0.9

    def after(self, held: Held | None, raw: Answer, now_s: float) -> Held:
        """What is shown once a step has given the answer ``raw`` at ``now_s`` seconds."""
        if held is None:
            held = Held(raw, now_s)
        elif self._gives_way(held, raw):
            before = held.before if held.answer.label == UNCERTAIN else held.answer
            held = Held(raw, now_s, held.uncertain_since_s, before)
        held.answer = replace(held.answer, numbers=raw.numbers)
        if raw.label != UNCERTAIN:
            held.uncertain_since_s = None
        elif held.uncertain_since_s is None:
            held.uncertain_since_s = now_s
        return held

    def _gives_way(self, held: Held, raw: Answer) -> bool:
        kept = raw.same(held.answer) or raw.meaning.supports(held.answer, raw.numbers, self.margin)
        returning = not kept and held.before is not None and raw.same(held.before)
        held.returning = held.returning + 1 if returning else 0
        return not kept and (not returning or held.returning >= self.returns)


AT_ONCE = HoldRule(margin=-inf, returns=1, stays_large=1.0)  # each step shows what it says
