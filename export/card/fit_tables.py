"""What a fit found, as tables of a model card and as the lines of the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from export.card.tables import table
from export.metrics.set_report import share


def faces(fit: Mapping[str, Any]) -> str:
    fitted, held_out = fit["faces"]["fitted"], fit["faces"]["held_out"]
    rows = [("faces", fitted["n"], held_out["n"])]
    if fit["split"] == "groups":
        rows.append(("people or sequences", fitted["groups"], held_out["groups"]))
    rows += [(label, n, held_out["labels"][label]) for label, n in fitted["labels"].items()]
    return table(("", "to fit on", "held out"), rows)


def calibration(fit: Mapping[str, Any]) -> str:
    found = fit["held_out"]["calibration"]
    names = [name for name in found if name != "unscaled" or found["before"]["temperature"] != 1]
    rows = (
        (name, f"{found[name]['temperature']:g}", f"{found[name]['ece']:.3f}", f"{found[name]['nll']:.3f}")
        for name in names
    )
    return table(("", "temperature", "expected calibration error", "negative log likelihood"), rows)


def answers(fit: Mapping[str, Any]) -> str:
    rows = (
        (name, f"{row['answered']:.0%}", share_of(row["right"]), f"{row['ece']:.3f}")
        for name, row in fit["held_out"]["precisions"].items()
    )
    return table(("", "faces answered", "of the answers right", "expected calibration error"), rows)


def coverage(fit: Mapping[str, Any]) -> str:
    tenths = (row for row in fit["held_out"]["coverage"] if round(100 * row["threshold"]) % 10 == 0)
    rows = (
        (
            f"{r['threshold']:g}",
            f"{r['answered']:.0%}",
            "" if r["accuracy"] is None else f"{r['accuracy']:.1%}",
        )
        for r in tenths
    )
    return table(("largest probability at least", "faces answered", "of the answers right"), rows)


def rule(fit: Mapping[str, Any]) -> str:
    """How the threshold was chosen."""
    if fit["reached"]:
        return f"the least at which {fit['target']:.0%} of the answers to the faces to fit on were right"
    return f"of the answers to the faces to fit on most were right; **never {fit['target']:.0%}**"


def told(fit: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the command: what was fitted, on what, and what it does on the held-out faces."""
    fitted, held_out = fit["faces"]["fitted"], fit["faces"]["held_out"]
    yield f"fitted on {fitted['n']} faces, measured on {held_out['n']} others, kept apart by {fit['split']}"
    if missing := [label for label, n in fitted["labels"].items() if not n]:
        yield f"no face to fit on is labeled {', '.join(missing)}: how sure it may be of them was not seen"
    found, own = fit["held_out"]["calibration"], fit["held_out"]["precisions"]["fp32"]
    before, after, gain = found["before"], found["fitted"], fit["held_out"]["nll_gain"]
    yield (
        f"temperature {fit['temperature']:g}{ends(fit['temperature_95'])}: on the others calibration error "
        f"{before['ece']:.3f} -> {after['ece']:.3f}, negative log likelihood {before['nll']:.3f} -> "
        f"{after['nll']:.3f}"
    )
    if gain["interval_95"] and gain["interval_95"][0] <= 0:
        yield "the gain may be chance: the 95 % interval of the likelihood's holds 0; more faces would tell"
    if not fit["reached"]:
        goal = f"{fit['target']:.0%}"
        yield f"no threshold makes {goal} of the answers right; taken is what comes closest"
    right = (
        f"{share_of(own['right'])} of these answers are right"
        if own["right"]
        else "so nothing is known of it"
    )
    yield f"threshold {fit['abstain_below']:g}: {own['answered']:.0%} of the others are answered, {right}"
    yield f"without a threshold {share_of(fit['held_out']['accuracy'])} of the answers would be right"


def share_of(row: Mapping[str, Any] | None) -> str:
    return share(row["value"], row["interval_95"]) if row else ""


def ends(interval_95: Sequence[float] | None) -> str:
    return " (95 %: {:g} to {:g})".format(*interval_95) if interval_95 else ""
