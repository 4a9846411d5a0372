"""Tables of a paper: every number by hand on four utterances, moved by one utterance, never across corpora."""

import json

import pytest

from akd_toolkit.data.verdicts import Finding
from akd_toolkit.data.watermark import MARK
from akd_toolkit.evaluate.paper.cited import read_cited
from akd_toolkit.evaluate.paper.systems import read_experiments, systems_of
from akd_toolkit.evaluate.paper.tables import choice_table, comparison_table, fold_tables, honesty, pair_tables
from akd_toolkit.experiment.scores_file import read_scores, write_scores
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.metrics import holm


def systems(*folders):
    return systems_of(read_experiments(folders))


def four(make_corpus):
    """Two speakers, one utterance of each of two classes: A-anger0, A-sadness0, B-anger0, B-sadness0."""
    return make_corpus(speakers="AB", per_class=1)


def test_four_utterances_by_hand(experiment, make_corpus):
    folder = experiment(manifest=four(make_corpus), wrong=["A-sadness0"])
    (table,) = fold_tables("Toy", systems(folder), "table2")
    assert table.header == ("system", "seeds", "%", "fold 1", "fold 2", "mean ± deviation", "pooled [95 %]")
    # fold 1: 1 of 2; fold 2: 2 of 2; mean 75, deviation 25 sqrt(2); pooled 3 of 4; two speakers leave it open
    assert table.rows[0] == ("akd (micro_cnn)", "1", "WA", "50.0", "100.0", "75.0 ± 35.4", "75.0 [0.0, 100.0]")
    assert table.rows[1][2:6] == ("UA", "50.0", "100.0", "75.0 ± 35.4")
    assert "fold 1: A; fold 2: B" in table.caption


def test_one_utterance_in_a_scores_file_moves_the_number(experiment, make_corpus):
    folder = experiment(manifest=four(make_corpus))
    path = folder / "seed17/fold1/outer/scores.csv"
    scores = read_scores(path)
    scores.loc[0, ["prediction", "p_anger", "p_sadness"]] = ["sadness", 0.2, 0.8]
    write_scores(path, scores)
    (table,) = fold_tables("Toy", systems(folder), "table2")
    assert table.rows[0][3:6] == ("50.0", "100.0", "75.0 ± 35.4")


def test_a_fold_of_another_layout_is_in_a_table_of_its_own(experiment):
    tables = fold_tables("Toy", systems(experiment("two"), experiment("four", folds=[[s] for s in "ABCD"])), "t")
    assert [len(table.header) for table in tables] == [7, 9]
    assert [table.name for table in tables] == ["t-1", "t-2"]


def test_ninety_one_speakers_are_not_all_listed(experiment, make_corpus):
    names = [f"{1000 + n}" for n in range(91)]
    folder = experiment(manifest=make_corpus(speakers=names, per_class=1), folds=[names[:45], names[45:]])
    (table,) = fold_tables("Toy", systems(folder), "t")
    assert "fold 1: 1000 to 1044 (45 speakers); fold 2: 1045 to 1090 (46 speakers)" in table.caption


def test_one_fold_and_one_system_make_a_table_and_no_pair(experiment):
    found = systems(experiment(done=lambda seed, fold: fold == 2))
    (table,) = fold_tables("Toy", found, "t")
    assert table.rows[0][3:5] == ("100.0", "100.0 ± 0.0")
    assert pair_tables("Toy", found, "pairs") == []


def test_pairs_are_tested_on_the_same_utterances_and_corrected_for_their_number(experiment):
    wrong = {"good": [], "fair": ["A-anger0", "B-anger1"], "poor": ["A-anger0", "B-anger1", "C-sadness0", "D-anger0"]}
    found = systems(*(experiment(name, wrong=missed) for name, missed in wrong.items()))
    (table,) = pair_tables("Toy", found, "pairs")
    assert [row[:2] for row in table.rows] == [
        ("good (micro_cnn)", "fair (micro_cnn)"),
        ("good (micro_cnn)", "poor (micro_cnn)"),
        ("fair (micro_cnn)", "poor (micro_cnn)"),
    ]
    points = [row[2].split()[0] for row in table.rows]
    assert points == ["+12.5", "+25.0", "+12.5"]  # of 16 utterances, 8 a class: 2/8/2, then 3/8 + 1/8 over 2, ...
    p = [float(row[3]) for row in table.rows]
    assert p == [0.5, 0.125, 0.5]  # two speakers differ: 2 of 4 patterns; four: 2 of 16
    assert [float(row[4]) for row in table.rows] == pytest.approx(holm(p).tolist(), abs=1e-3)
    assert "the same 16 utterances of 4 speakers" in table.caption and "below 0.125" in table.caption
    (against,) = pair_tables("Toy", found, "pairs", baseline="poor (micro_cnn)")
    assert [row[0] for row in against.rows] == ["good (micro_cnn)", "fair (micro_cnn)"]


def test_unequal_seeds_are_paired_without_a_difference_by_seed(experiment):
    found = systems(experiment("one", seeds=(17,)), experiment("three", seeds=(17, 18, 19), wrong={18: ["A-anger0"]}))
    (table,) = pair_tables("Toy", found, "pairs")
    assert table.rows[0][5] == "-"
    assert table.rows[0][2].startswith("+2.1")  # one of 8 in one of two classes, in one of three seeds: 1/8/2/3


def test_other_corpora_are_never_paired(experiment, make_corpus):
    found = systems(experiment("akd"), experiment("other", manifest=make_corpus("Other", speakers="EFGH")))
    assert pair_tables("Toy", found, "pairs") == []


def test_ours_and_published_numbers_stand_side_by_side_with_grade_and_source(experiment, make_corpus):
    found = systems(experiment(manifest=make_corpus("EmoDB"), candidates=[{}, {"batch_size": 8}], teachers={"big": []}))
    table, sources = comparison_table("EmoDB", found, read_cited(), "t3")
    header, rows = list(table.header), {row[0].strip("*"): row for row in table.rows}
    place = {name: header.index(name) for name in ("grade", "source", "chosen on test", "parameters", "WA, folds")}
    ours = rows["akd (micro_cnn)"]
    assert [ours[place[name]] for name in ("grade", "source", "chosen on test")] == ["A", "this report", "no"]
    assert ours[place["parameters"]] == "0.16 M"
    assert rows["teacher big"][place["grade"]] == "B"
    papers = rows["AKD (the paper)"]
    assert papers[place["grade"]] == "D" and papers[place["WA, folds"]] == "97.07"
    assert [row[place["grade"]] for row in table.rows[2:]] == sorted(row[place["grade"]] for row in table.rows[2:])
    cited = papers[place["source"]]
    assert next(line for line in sources.items if line.startswith(cited)).count("10.32604/cmes.2026.079697") == 1
    assert table.filed[0][-1] == "source and note" and len(table.filed) == len(table.rows) + 1
    assert not any("**" in cell for row in table.filed for cell in row)


def test_a_corpus_that_nobody_is_cited_for_has_our_rows_alone(experiment):
    table, _ = comparison_table("Toy", systems(experiment()), read_cited(), "t3")
    assert len(table.rows) == 1


def test_honesty_says_what_the_folder_proves(experiment):
    plain, leaking = systems(experiment("plain"), experiment("leaking", speaker_independent=False))
    assert honesty(plain)[:2] == ("yes", "unknown")
    assert honesty(leaking)[:2] == ("no", "unknown")
    folder = experiment("nested", candidates=[{}, {"batch_size": 8}])
    (folder / "seed17/fold2/choice.json").unlink()
    (nested,) = systems(folder)
    assert honesty(nested)[1] == "unknown" and "choice.json" in honesty(nested)[2]


def test_a_leak_that_the_audit_found_takes_the_grade(experiment):
    folders = read_experiments([experiment("nested", candidates=[{}, {"batch_size": 8}])])
    split = Finding("leak", "runs", "seed17/fold1/outer was trained and tested on speaker A; run it again.")
    choice = Finding("leak", "choice", "the candidate was chosen on the test.")
    for leaks, answers in (([split], ("unknown", "unknown")), ([split, choice], ("unknown", "yes"))):
        (system,) = systems_of(folders, [[*leaks, Finding("proved", "speakers", "nobody is on both sides.")]])
        assert honesty(system)[:2] == answers
        assert "trained and tested on speaker A" in honesty(system)[2]


def test_every_table_of_a_marked_system_says_so(experiment):
    found = systems(experiment("leaking", speaker_independent=False), experiment("fine"))
    tables = [*fold_tables("Toy", found, "t"), comparison_table("Toy", found, read_cited(), "t")[0]]
    tables += pair_tables("Toy", found, "p")
    assert len(tables) == 3
    assert all(table.caption.startswith(f"**{MARK}: leaking (micro_cnn).** ") for table in tables)
    alone = fold_tables("Toy", found[:1], "t")[0]
    assert alone.caption.startswith(f"**{MARK}.** ")


def test_choices_are_listed_by_fold_with_the_chosen_one_starred(experiment):
    folder = experiment("nested", candidates=[{}, {"batch_size": 8}])
    table = choice_table(Experiment.read(folder), "choice")
    assert table.rows[0] == ("17", "1", "A, B", "50.0", "75.0 *", "candidate 2")
    assert choice_table(Experiment.read(experiment("plain")), "choice") is None
    waiting = experiment("waiting", candidates=[{}, {}], done=lambda seed, fold: False)
    assert choice_table(Experiment.read(waiting), "choice") is None


def test_a_damaged_choice_is_named(experiment):
    folder = experiment("nested", candidates=[{}, {"batch_size": 8}])
    (folder / "seed17/fold1/choice.json").write_text(json.dumps({"chosen": 1})[:-3])
    with pytest.raises(ValueError, match=r"choice\.json is damaged"):
        choice_table(Experiment.read(folder), "choice")
