"""Tables of the report: every number by hand, moved by one utterance, never across corpora."""

import json

import pytest

from akd_toolkit.evaluate.report.comparisons import Parts, choice_table, comparison_table, fold_tables, pair_tables
from akd_toolkit.evaluate.report.systems import read_cited, read_experiments, systems_of
from akd_toolkit.experiment.scores_file import read_scores, write_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics import holm

TWO = [{}, {"batch_size": 8}]


def systems(*folders):
    return systems_of(read_experiments(folders))


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path)


def test_four_utterances_by_hand_and_one_of_them_moved(experiment, make_corpus, parts):
    folder = experiment(manifest=make_corpus(speakers="AB", per_class=1), wrong=["A-sadness0"])
    (page,) = fold_tables(parts, "Toy", systems(folder), "t")
    rows = parts.tables["t"].set_index("%")
    # fold 1: 1 of 2; fold 2: 2 of 2; mean 75, deviation 50 / sqrt(2); pooled 3 of 4
    wanted = ["akd (micro_cnn)", "1", "50.0", "100.0", "75.0 ± 35.4"]
    assert rows.loc["WA"].tolist()[:5] == rows.loc["UA"].tolist()[:5] == wanted
    assert rows.loc["WA", "pooled [95 %]"].startswith("75.0 [") and "fold 1: A; fold 2: B" in page
    path = folder / "seed17/fold2/outer/scores.csv"
    scores = read_scores(path)
    scores.loc[0, ["prediction", "p_anger", "p_sadness"]] = ["sadness", 0.2, 0.8]
    write_scores(path, scores)
    fold_tables(parts, "Toy", systems(folder), "t")
    assert parts.tables["t"].iloc[0].tolist()[3:6] == ["50.0", "50.0", "50.0 ± 0.0"]


def test_pairs_are_tested_on_the_same_utterances_and_corrected_for_their_number(experiment, parts):
    wrong = {"poor": ["A-anger0", "B-anger1", "C-sadness0", "D-anger0"], "fair": ["A-anger0", "B-anger1"], "good": []}
    found = systems(*(experiment(name, wrong=missed) for name, missed in wrong.items()))
    (page,) = pair_tables(parts, "Toy", found, "pairs")
    rows = parts.tables["pairs"].to_numpy().tolist()
    good, fair, poor = (f"{name} (micro_cnn)" for name in ("good", "fair", "poor"))
    assert [row[:2] for row in rows] == [[fair, poor], [good, poor], [good, fair]]
    # of 16 utterances, 8 a class: 1/8 + 1/8 over 2, ...
    assert [row[2].split()[0] for row in rows] == ["+12.5", "+25.0", "+12.5"]
    p = [float(row[3]) for row in rows]
    assert p == [0.5, 0.125, 0.5]  # two speakers differ: 2 of 4 patterns; four: 2 of 16
    assert [float(row[4]) for row in rows] == pytest.approx(holm(p).tolist(), abs=1e-3)
    assert "the same 16 utterances of 4 speakers" in page and "below 0.125" in page
    pair_tables(parts, "Toy", found, "one", baseline=poor)
    assert parts.tables["one"]["system"].tolist() == [fair, good]


def test_only_systems_with_the_same_utterances_are_paired(experiment, make_corpus, parts):
    other = experiment("other", manifest=make_corpus("Other", speakers="EFGH"))
    assert pair_tables(parts, "Toy", systems(experiment("akd"), other), "pairs") == []
    one = experiment("one"), experiment("three", seeds=(17, 18, 19), wrong={18: ["A-anger0"]})
    pair_tables(parts, "Toy", systems(*one), "pairs")
    (row,) = parts.tables["pairs"].to_numpy().tolist()
    assert row[5] == "-" and row[2].startswith("-2.1")  # one of 8 in one of two classes, in one of three seeds: 1/8/2/3


def test_ours_and_published_numbers_stand_side_by_side_with_grade_and_source(experiment, make_corpus, parts):
    folder = experiment(manifest=make_corpus("EmoDB"), candidates=TWO, teachers={"big": []})
    page, sources = comparison_table(parts, "EmoDB", systems(folder), read_cited(), "t3")
    rows = parts.tables["t3"].set_index("system")
    ours = rows.loc["akd (micro_cnn)"]
    shown = ours[["source", "grade", "parameters", "UA, folds"]].tolist()
    assert shown == ["this report", "A", "0.16 M", "100.0 ± 0.0"]
    paper = rows.loc["AKD (the paper)"]
    assert paper[["grade", "WA, folds", "UA pooled [95 %]"]].tolist() == ["D", "97.07", "-"]
    assert "illustrative" in paper["source and note"] and "source and note" not in page
    assert "**akd (micro_cnn)**" in page and list(rows.index[:2]) == ["akd (micro_cnn)", "teacher big"]
    number = int(paper["source"].strip("[]"))
    assert any(line.startswith(f"[{number}] Khan et al.") for line in sources)
    assert any("<https://github.com/AryaAftab/LIGHT-SERNET>" in line for line in sources)
    assert "WavLM large, frozen" not in rows.index  # has no number of EmoDB


def test_choices_are_listed_by_fold_with_the_chosen_one_starred(experiment, parts):
    folder = experiment("nested", candidates=TWO)
    assert choice_table(parts, Experiment.read(folder), "choice")
    assert parts.tables["choice"].iloc[0].tolist() == ["17", "1", "A, B", "50.0", "75.0 *", "candidate 2"]
    assert choice_table(parts, Experiment.read(experiment("plain")), "x") == ""
    waiting = experiment("waiting", candidates=TWO, done=lambda seed, fold: False)
    assert choice_table(parts, Experiment.read(waiting), "x") == ""
    (folder / "seed17/fold1/choice.json").write_text(json.dumps({"chosen": 1})[:-3])
    with pytest.raises(ValueError, match=r"choice\.json"):
        choice_table(parts, Experiment.read(folder), "choice")
