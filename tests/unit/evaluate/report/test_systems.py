"""Which systems a report compares, in which order, and how far their numbers and published ones can be compared."""

from dataclasses import replace

import pandas as pd
import pytest

from akd_toolkit.data.manifest import MARK
from akd_toolkit.data.verdicts import Finding
from akd_toolkit.evaluate.report.systems import (
    ANSWERS,
    COLUMNS,
    GRADES,
    MADE_UP,
    by_corpus,
    comparable,
    grade,
    own_answers,
    read_cited,
    read_experiments,
    systems_of,
)

TWO = [{}, {"batch_size": 8}]


def systems(*folders):
    return systems_of(read_experiments(folders))


def test_the_order_is_student_alone_plain_kd_akd_teachers_and_a_shared_teacher_stands_once(experiment):
    teachers = {"big": ["A-anger0"]}
    folders = [experiment(kind, system=kind, teachers=teachers) for kind in ("akd", "kd", "student")]
    found = systems(*folders, folders[0])
    assert [one.name for one in found] == ["student (micro_cnn)", "kd (micro_cnn)", "akd (micro_cnn)", "teacher big"]
    assert [one.params for one in found] == [163_000] * 3 + [None]


def test_systems_of_other_corpora_labels_or_utterances_are_kept_apart(experiment, make_corpus):
    half = experiment("half", done=lambda seed, fold: fold == 1)
    three = make_corpus(labels=("anger", "neutral", "sadness"))
    others = experiment("other", manifest=make_corpus("Other")), experiment("three", manifest=three)
    groups = by_corpus(systems(experiment("akd"), half, *others))
    two_classes = "Toy, 2 classes [anger, sadness]"
    assert list(groups) == [two_classes, "Other", "Toy, 3 classes [anger, neutral, sadness]"]
    assert [len(group) for group in comparable(groups[two_classes])] == [1, 1]


def test_marks_come_from_the_settings_and_the_manifest(experiment, make_corpus):
    leaking = experiment("leaking", speaker_independent=False)
    unnamed = experiment("unnamed", manifest=replace(make_corpus(), speakers_known=False))
    made = experiment("made", manifest=replace(make_corpus(), generated=True))
    marks = {one.experiment.folder.name: one.marks for one in systems(experiment("fine"), leaking, unnamed, made)}
    assert marks == {"fine": (), "leaking": (MARK,), "unnamed": (MARK,), "made": (MADE_UP,)}


def test_a_folder_without_an_experiment_and_damaged_scores_are_named(experiment, tmp_path):
    folder = experiment("akd")
    with pytest.raises(FileNotFoundError, match="give one of .*akd"):
        read_experiments([tmp_path])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_experiments([tmp_path / "nowhere"])
    path = folder / "seed17/fold1/outer/scores.csv"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(ValueError, match=r"fold1/outer/scores\.csv"):
        systems(folder)


def test_our_systems_get_the_grade_that_their_folder_proves(experiment):
    def answers(*folders, leaks=()):
        experiments = read_experiments(folders)
        return own_answers(systems_of(experiments, [leaks])[0])

    assert answers(experiment("plain"))[:2] == ("yes", "unknown")
    nested = experiment("nested", candidates=TWO)
    assert answers(nested)[:2] == ("yes", "no") and "2 candidates" in answers(nested)[2]
    assert answers(experiment("unknown", speaker_independent=False))[:2] == ("no", "unknown")
    split = Finding("leak", "runs", "seed17/fold1/outer was trained and tested on speaker A.")
    choice = Finding("leak", "choice", "the candidate was chosen on the test.")
    proved = Finding("proved", "speakers", "no speaker is shared.")
    assert answers(nested, leaks=[split, proved])[:2] == ("unknown", "unknown")
    assert answers(nested, leaks=[split, choice])[:2] == ("unknown", "yes")
    assert "speaker A" in answers(nested, leaks=[split])[2]
    (nested / "seed17/fold1/choice.json").unlink()
    assert answers(nested)[:2] == ("yes", "unknown")


def test_a_speaker_on_both_sides_or_a_choice_on_the_test_is_never_better_than_c():
    grades = {(one, other): grade(one, other) for one in ANSWERS for other in ANSWERS}
    best = {("yes", "no"): "A", ("yes", "unknown"): "B", ("unknown", "no"): "D", ("unknown", "unknown"): "D"}
    assert grades == dict.fromkeys(grades, "C") | best and set(grades.values()) == set(GRADES)


def test_the_committed_table_is_sound_and_has_the_corpora_of_the_recipes():
    rows = read_cited()
    assert len(rows) >= 25 and not rows.duplicated(["corpus", "system"]).any()
    assert set(rows["corpus"]) == {"EmoDB", "RAVDESS", "IEMOCAP", "CREMA-D"}
    papers = rows[rows["system"] == "AKD (the paper)"].set_index("corpus")
    assert papers["wa"].to_dict() == {"EmoDB": "97.07", "RAVDESS": "97.06", "IEMOCAP": "84.45"}
    assert set(papers["grade"]) == {"D"}  # tables marked illustrative
    assert rows["source"].str.contains("doi|arXiv|http|own measurement").all()


def cited(path, **changes):
    row = dict.fromkeys(COLUMNS, "") | {"corpus": "EmoDB", "system": "X", "wa": "80.1", "source": "doi 10.1/x"}
    row |= {"speaker_independent": "yes", "chosen_on_test": "no", "grade": "A"}
    pd.DataFrame([row, row | changes], columns=list(COLUMNS)).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"source": " "}, "source"),
        ({"wa": ""}, "neither WA nor UA"),
        ({"wa": "0,8"}, "'0,8'"),
        ({"wa": "101"}, "'101'"),
        ({"speaker_independent": "no"}, "'A' .* C"),
        ({"speaker_independent": "perhaps"}, "'perhaps'"),
        ({"grade": "D"}, "'D' .* A"),  # worse than earned needs a note
    ],
)
def test_a_published_row_that_cannot_be_checked_is_refused_by_line(tmp_path, changes, key):
    with pytest.raises(ValueError, match=rf"line 3 \(EmoDB, X\): .*{key}"):
        read_cited(cited(tmp_path / "cited.csv", **changes))


def test_a_worse_grade_needs_a_note(tmp_path):
    path = cited(tmp_path / "cited.csv", grade="D", note="marked illustrative")
    assert read_cited(path)["grade"].tolist() == ["A", "D"]
