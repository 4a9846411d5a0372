"""The part of a model card that is numbers: scores with intervals, recalls, and the protocol they come from."""

from collections.abc import Sequence

from akd_toolkit.data.verdicts import counted


def scores_section(facts: dict) -> str:
    """Scores of the student, of all runs of its recipe, and of its teachers; ``facts`` as ``gather`` finds them."""
    one, all_of_it = facts["this_student"], facts["experiment"]
    alike = ", compressed like it" if facts["compressed_by"] else ""
    rows = [_score_row(f"**this student** (fold {facts['fold']}, seed {facts['seed']})", one)]
    if all_of_it is not None:
        title = f"its recipe{alike}: {counted(all_of_it['folds'], 'fold')}, {counted(all_of_it['seeds'], 'seed')}"
        rows.append(_score_row(title, all_of_it))
    lines = [
        "## Scores",
        "Per cent, on speakers whom the scored model never heard; in brackets 95 % intervals over speakers."
        if facts["speaker_independent"]
        else "Per cent, on utterances that the scored model never heard, but perhaps of voices that it did.",
        "| | speakers | utterances | UA | WA | macro-F1 |\n|---|--:|--:|--:|--:|--:|\n" + "\n".join(rows),
        "UA is the mean recall over the classes that the test holds, WA is accuracy.",
    ]
    if all_of_it is not None:
        ua, wa = all_of_it["ua"], all_of_it["wa"]
        lines.append(
            f"Of the recipe, means over folds with their standard deviations: UA {ua['fold_mean']:.1f} ± "
            f"{ua['fold_sd']:.1f}, WA {wa['fold_mean']:.1f} ± {wa['fold_sd']:.1f}; over seeds the pooled UA deviates "
            f"by {all_of_it['ua_seed_sd']:.1f}. The recipe's row says what to expect of unknown speakers like these; a "
            f"single fold depends on its {counted(one['speakers'], 'speaker')}, and with so few the intervals are "
            "somewhat too narrow."
        )
    else:
        done, planned = facts["runs"]["done"], facts["runs"]["planned"]
        what = "students are there" if alike else "trainings are done"
        lines.append(f"Of its experiment, {done} of {planned} {what}{alike}, so that no seed is scored on all folds.")
    lines.append(_recalls(one, all_of_it))
    scored = [teacher for teacher in facts["teachers"] if teacher["ua"] is not None]
    if scored:
        told = "; ".join(f"{one['title']} {_interval(one['ua'])}" for one in scored)
        lines.append(f"UA of its teachers, each with a linear head, over the same folds: {told}.")
    return "\n\n".join(lines)


def _score_row(title: str, found: dict) -> str:
    cells = [title, found["speakers"], found["utterances"], _interval(found["ua"]), _interval(found["wa"])]
    return "| " + " | ".join(map(str, [*cells, f"{found['macro_f1']:.1f}"])) + " |"


def _recalls(one: dict, all_of_it: dict | None) -> str:
    columns = [one] if all_of_it is None else [one, all_of_it]
    titles = ["recall", "this student", "its recipe"][: 1 + len(columns)]
    head = f"| {' | '.join(titles)} |\n|---|{'--:|' * len(columns)}"
    rows = [
        f"| {label} | " + " | ".join(_number(column["recalls"][label]) for column in columns) + " |"
        for label in one["recalls"]
    ]
    return "\n".join([head, *rows])


def compression_in_words(about: dict) -> list[str]:
    """Each step that a student was compressed by.

    Example
    -------
    >>> compression_in_words({"compressed_by": [{"name": "prune", "share": 0.25}, {"name": "quantize", "epochs": 4}]})
    ['prune (share 0.25)', 'trained for weights of 8 bits, with its own still in 32 (quantize, epochs 4)']
    """
    found = []
    for step in about.get("compressed_by") or ():
        options = ", ".join(f"{key} {value}" for key, value in step.items() if key != "name")
        ready = "trained for weights of 8 bits, with its own still in 32 (quantize, {})"
        found.append((ready if step["name"] == "quantize" else f"{step['name']} ({{}})").format(options))
    return found


def protocol_section(about: dict, facts: dict, settings: dict) -> str:
    """Folds, epochs, choice and windows in words, from the experiment's settings."""
    folds, candidates = settings["outer_folds"], settings.get("candidates") or [{}]
    fixed = {**settings, **(about.get("candidate") or {})}
    named = facts["speaker_independent"]
    lines = [
        f"{len(folds)} folds of {_range([len(fold) for fold in folds])} {'speakers' if named else 'utterances'}; "
        + ("a fold's speakers are heard only in its test." if named else "nobody knows who speaks in which."),
        f"{fixed.get('number_of_epochs')} epochs, set beforehand; the last one is kept, none was chosen by a score.",
        *_tuned(about),
        "One setting for all folds, set beforehand; what its authors had tried before that, no audit sees."
        if len(candidates) == 1
        else f"Each fold chose among {len(candidates)} settings by inner folds of its own training speakers.",
        f"An utterance is scored by the mean posterior of windows of {about['window_s']:g} s that overlap by "
        f"{about['test_overlap_s']:g} s.",
    ]
    if (settings.get("prepare") or {}).get("trim"):
        lines.append(
            "**Silence before and after the speech was left out**, in training and in test; for answers like these "
            "leave it out as well."
        )
    return "## Protocol\n\n" + "\n".join(f"- {line}" for line in lines)


def _tuned(about: dict) -> list[str]:
    """One line on the epochs that compressing took, none for a student that was not compressed."""
    steps = about.get("compressed_by") or ()
    if not steps:
        return []
    epochs = [f"{step['name']} took {counted(step.get('epochs', 0), 'epoch')} more" for step in steps]
    return [
        f"Then it was compressed: {', '.join(epochs)}, on the same training speakers under the same objective; the "
        "last epoch is kept. Which other steps had been tried before, no audit sees."
    ]


def _interval(score: dict) -> str:
    return f"{score['pooled']:.1f} [{score['low']:.1f}, {score['high']:.1f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _range(counts: Sequence[int]) -> str:
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
