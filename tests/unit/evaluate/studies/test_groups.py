"""Speakers, women and men."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from akd_toolkit.evaluate.studies import groups_study
from akd_toolkit.evaluate.studies.groups import sex_rows
from akd_toolkit.metrics.scores import ua, wa

SEX = {"f1": "women", "f2": "women", "m1": "men", "m2": "men"}


def by_hand(scores, chosen, measure):
    return np.mean([measure(run["truth"], run["prediction"]) for _, run in scores[chosen].groupby("seed")])


def test_groups_are_scored_like_plain_selections(experiment):
    scores = experiment.scores()
    women = scores["speaker"].isin(["f1", "f2"])
    rows = {row["group"]: row for row in sex_rows(scores, SEX)}
    for name, measure in (("wa", wa), ("ua", ua)):
        of_women, of_men = by_hand(scores, women, measure), by_hand(scores, ~women, measure)
        assert rows["women"][name] == pytest.approx(of_women) and rows["men"][name] == pytest.approx(of_men)
        assert rows["women less men"][name] == pytest.approx(of_women - of_men)
    assert rows["women"]["speakers"] == 2 and rows["men"]["utterances"] == 12


def test_without_the_speakers_sex_there_is_no_gap(experiment):
    rows = {row["group"]: row for row in sex_rows(experiment.scores(), {})}
    assert np.isnan(rows["women less men"]["ua"]) and np.isnan(rows["women"]["wa"]) and rows["everybody"]["wa"] > 0
    one = {row["group"]: row for row in sex_rows(experiment.scores(), {"f1": "women", "m1": "men"})}
    assert (one["women less men"]["ua_low"], one["women less men"]["ua_high"]) == (-1, 1)


def test_the_tables_and_the_picture(experiment):
    path = groups_study([experiment])
    names = {"plot.png", "plot.svg", "speakers.csv", "table.csv", "table.md"}
    assert {file.name for file in path.parent.iterdir()} == names
    assert pd.read_csv(path.with_name("table.csv"))["group"].tolist() == ["everybody", "women", "men", "women less men"]
    assert "| toy: akd | f1 | women | 6 | " in path.read_text()


def test_a_corpus_without_speaker_labels_is_refused(experiment):
    nameless = replace(experiment, manifest=replace(experiment.manifest, corpus="Mine", speakers_known=False))
    with pytest.raises(ValueError, match="Mine.*speaker labels"):
        groups_study([nameless])
