"""Which systems a report compares, and which it must not."""

from dataclasses import replace

import pytest

from akd_toolkit.data.watermark import MARK
from akd_toolkit.evaluate.paper.systems import MADE_UP, by_corpus, comparable, read_experiments, systems_of


def systems(*folders):
    return systems_of(read_experiments(folders))


def test_teachers_stand_before_students_and_a_shared_one_once(experiment):
    teachers = {"big": ["A-anger0"]}
    found = systems(experiment("akd", teachers=teachers), experiment("kd", teachers=teachers))
    assert [one.name for one in found] == ["teacher big", "akd (micro_cnn)", "kd (micro_cnn)"]
    assert [one.params for one in found] == [None, 163_000, 163_000]


def test_teachers_of_one_title_that_say_different_things_are_two(experiment):
    folders = experiment("akd", teachers={"big": []}), experiment("kd", teachers={"big": ["A-anger0"]})
    names = [one.name for one in systems(*folders) if one.teacher]
    assert names == ["teacher big [akd]", "teacher big [kd]"]


def test_a_folder_given_twice_counts_once(experiment):
    folder = experiment()
    assert len(systems(folder, folder)) == 1


def test_unfinished_seeds_are_left_out_and_whole_ones_kept(experiment):
    folder = experiment(seeds=(17, 18), done=lambda seed, fold: seed == 17 or fold == 1)
    (found,) = systems(folder)
    assert found.summary["seeds"] == 1 and found.summary["utterances"] == 16


def test_systems_of_other_corpora_or_utterances_are_not_paired(experiment, make_corpus):
    whole = experiment("akd")
    half = experiment("half", done=lambda seed, fold: fold == 1)
    other = experiment("other", manifest=make_corpus("Other"))
    found = systems(whole, half, other)
    groups = by_corpus(found)
    assert {name: len(members) for name, members in groups.items()} == {"Toy": 2, "Other": 1}
    assert [len(group) for group in comparable(groups["Toy"])] == [1, 1]


def test_the_same_corpus_with_other_labels_is_a_table_of_its_own(experiment, make_corpus):
    three = make_corpus(labels=("anger", "neutral", "sadness"))
    groups = by_corpus(systems(experiment("two"), experiment("three", manifest=three)))
    assert list(groups) == ["Toy, 2 classes [anger, sadness]", "Toy, 3 classes [anger, neutral, sadness]"]


def test_marks_come_from_the_settings_and_the_manifest(experiment, make_corpus):
    leaking = experiment("leaking", speaker_independent=False)
    unnamed = experiment("unnamed", manifest=replace(make_corpus(), speakers_known=False))
    made = experiment("made", manifest=replace(make_corpus(), generated=True))
    marks = {one.experiment.folder.name: one.marks for one in systems(experiment("fine"), leaking, unnamed, made)}
    assert marks == {"fine": (), "leaking": (MARK,), "unnamed": (MARK,), "made": (MADE_UP,)}


def test_a_folder_that_is_none_is_named_with_those_below_it(experiment, tmp_path):
    experiment("akd")
    with pytest.raises(FileNotFoundError, match="holds no experiment .* give one of .*akd"):
        read_experiments([tmp_path])
    with pytest.raises(FileNotFoundError, match="give the output_folder of a recipe"):
        read_experiments([tmp_path / "nowhere"])


def test_damaged_scores_are_named(experiment):
    folder = experiment()
    path = folder / "seed17/fold1/outer/scores.csv"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(ValueError, match=r"fold1/outer/scores\.csv"):
        systems(folder)
