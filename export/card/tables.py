"""Tables and sentences of a model card, each from measured figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from export.data.ferplus import ALIKE_CORRELATION, ALIKE_SIDE
from export.metrics.set_report import share

FEW, RARE = 30, 100  # under so many, a count instead of a share; a recall that says little


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(map(str, row)) for row in (head, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def of(part: float, n: int) -> str:
    """A share; of few, the count, since a percentage would look like a measurement."""
    return f"{part:.0%}" if n >= FEW else f"{round(part * n)} of {n}"


def recipe(training: Mapping[str, Any]) -> str:
    frames, together = training["frames"], training.get("together")
    distilled = ""
    if together:
        distilled = (
            f" on the votes, then {together['epochs']} in which {together['distil']:.0%} of the target was "
            "what the networks of all seeds say on average"
        )
    fine_tuned = training["fine_tune_epochs"]
    rounded = f", then {fine_tuned} epochs with INT8 rounding in the graph" if fine_tuned else ""
    return f"Encoder: {frames['epochs']} epochs{distilled}{rounded}; frozen while the head learnt time."


def stills(precisions: Mapping[str, Any], without_memory: Mapping[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = [
        (name, row["n"], share(row["accuracy"], row["accuracy_95"]), share(row["uar"], row["uar_95"]),
         f"{row['accuracy_step_1']:.1%}")
        for name, row in precisions.items()
    ]  # fmt: skip
    alone = without_memory
    rows.append(
        ("fp32, head without memory", alone["n"], f"{alone['accuracy']:.1%}", f"{alone['uar']:.1%}", "")
    )
    return table(("", "n", "accuracy", "UAR", "accuracy at step 1"), rows)


def gate(checks: Mapping[str, Iterable[tuple[str, str, str, bool]]]) -> str:
    rows = [
        (what, value, allowed, "" if holds else "**missed**")
        for of_one in checks.values()
        for what, value, allowed, holds in of_one
    ]
    return table(("against fp32", "found", "budget", ""), rows)


def alike(figures: Mapping[str, Any]) -> str:
    words = (
        f"{figures['lookalikes']} of these faces resemble one of Training so closely (correlation over "
        f"{ALIKE_CORRELATION} at {ALIKE_SIDE} pixels) that they may be the same photograph, cropped anew."
    )
    left = figures["precisions"]["fp32"]["without_lookalikes"]
    if figures["lookalikes"] and left:
        words += f" Without them fp32 is right on {left['accuracy']:.1%} of {left['n']}"
        words += f", UAR {left['uar']:.1%}."
    return words


def seeds(training: Mapping[str, Any]) -> str:
    over_seeds = training["over_seeds"]
    if len(over_seeds["seeds"]) == 1:
        return f"From one seed, {over_seeds['seeds'][0]}: how far the recipe scatters was not measured."
    accuracy, uar = (
        f"{share(row['mean'], row['interval_95'])} from {', '.join(f'{one:.1%}' for one in row['each'])}"
        for row in (over_seeds["accuracy"], over_seeds["uar"])
    )
    kin = ", and these learnt from each other" if training.get("together") else ""
    return (
        f"The recipe from seeds {', '.join(map(str, over_seeds['seeds']))}, in PyTorch, over draws of seeds "
        f"and faces: accuracy {accuracy}; UAR {uar}. So few seeds make an interval too narrow{kin}. "
        "The one that is best on the development fold ships."
    )


def rare(classes: Mapping[str, Any]) -> str:
    rare = [name for name, row in classes.items() if row["n"] < RARE]
    none = [name for name, row in classes.items() if row["recall"] == 0]
    words = f"Never recognized: {', '.join(none)}. " if none else ""
    if rare:
        words += f"Recalls over fewer than {RARE} faces ({', '.join(rare)}) are anecdotes, not measurements."
    return words


def clips(clips: Mapping[str, Any]) -> str:
    if not clips:
        return "\nReal video was not measured.\n"
    of = clips["of"]
    methods = next(iter(of.values()))["changes_per_100_steps"]
    rows = (
        (name, row["tracks"], row["steps"], *row["changes_per_100_steps"].values(), f"{row['uncertain']:.0%}")
        if row["steps"]
        else (name, row["tracks"], 0, *("" for _ in methods), "")
        for name, row in of.items()
    )
    head = ("label changes per 100 steps of real video", "tracks", "steps", *methods, 'steps "uncertain"')
    words = (
        "Real video, without labels; an answer that never changes would be steadiest. "
        f"Faces found by {clips['detector']}."
    )
    return f"\n{words}\n\n{table(head, rows)}\n"


def classes(fp32: Mapping[str, Any], seeds: Mapping[str, Any]) -> str:
    rows = []
    for name, row in fp32["classes"].items():
        over = seeds["recall"][name]
        own = share(row["recall"], fp32["recall_95"][name])
        rows.append((name, row["n"], own, share(over["mean"], over["interval_95"])))
    return table(("class", "n", "recall, fp32", "recall, mean of the seeds"), rows)


def folds(folds: Mapping[str, Any]) -> str:
    labels = next(iter(folds.values()))["clear_majority"]
    columns = folds.values()
    rows: list[tuple[Any, ...]] = [("faces", *(fold["faces"] for fold in columns))]
    rows += [(label, *(fold["clear_majority"][label] for fold in columns)) for label in labels]
    rows += [
        ("no clear majority, or for none of these", *(fold["no_clear_majority"] for fold in columns)),
        ("usable as a soft target", *(fold["usable_as_soft_target"] for fold in columns)),
        ("largest share of votes, mean", *(f"{fold['largest_share_of_votes']:.0%}" for fold in columns)),
    ]
    return table(("", *folds), rows)


def coverage(rows: list[dict[str, Any]]) -> str:
    own, *others = rows
    tenths = (row for row in others if round(20 * row["threshold"]) % 2 == 0)
    chosen = [own, *(row for row in tenths if row["threshold"] != own["threshold"])]
    return table(
        ("largest probability at least", "faces answered", "of the answers right"),
        ((f"{r['threshold']:g}", f"{r['answered']:.0%}", _right(r["accuracy"])) for r in chosen),
    )


def abstention(kinds: Mapping[str, Any]) -> str:
    rows = ((name, row["n"], of(row["uncertain"], row["n"])) for name, row in kinds.items())
    return table(("picture", "n", '"uncertain"'), rows)


def _right(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def over_time(conditions: Mapping[str, Any]) -> str:
    rows = []
    for condition, methods in conditions.items():
        best = methods["best_smoothing"]
        rows_of = {
            "recurrent": methods["recurrent"],
            "recurrent, forgetting each frame": methods["forgetful"],
            "per frame": methods["per_frame"],
            f"per frame, best smoothing ({best['kind']} {best['at']:g})": best,
        }
        for name, row in rows_of.items():
            cells = (f"{row['accuracy']:.1%}", row["extra_changes"], row["delay_steps"])
            rows.append((condition, name, *cells, _ahead(methods) if name == "recurrent" else ""))
        rows.append((condition, "no fault, no delay", f"{methods['faultless']:.1%}", "", "", ""))
    head = ("sequences", "", "steps right", "needless label changes", "delay", "ahead of the best smoothing")
    return table(head, rows)


def _ahead(methods: Mapping[str, Any]) -> str:
    delay = "" if methods["delay_share"] is None else f", {methods['delay_share']:.0%} of the delay"
    low, high = methods["points_ahead_95"]
    return f"{methods['points_ahead']:+.1f} points ({low:+.1f} to {high:+.1f}){delay}"


def robustness(faults: Mapping[str, Any]) -> str:
    rows = []
    for name, curve in faults.items():
        right = curve["accuracy"]["fp32"]
        cells = [f"{level:g}: {part:.0%}" for level, part in zip(curve["levels"], right, strict=True)]
        rows.append((name, curve["unit"], ", ".join(cells)))
    return table(("fault", "strength", "accuracy by strength, fp32"), rows)
