import threading

import pandas as pd
import pytest

from akd_toolkit.evaluate.report import append_results, publish_results, read_results, results_row, summarise
from akd_toolkit.evaluate.report.results import COLUMNS

HEADER = (
    "corpus,recipe,system,student,teachers,params,folds,seeds,wa_mean,wa_std,ua_mean,ua_std,wa_pooled,ua_pooled,"
    "ua_low,ua_high,minutes,commit,date"
)


def test_file_has_exactly_the_promised_columns_and_percent_with_one_decimal(tmp_path, row):
    append_results(tmp_path / "deep" / "results.csv", row)
    assert (tmp_path / "deep" / "results.csv").read_text() == (
        f"{HEADER}\n"
        "EmoDB,akd,akd,micro_cnn,whisper,163000,5,3,80.1,4.1,75.4,4.8,80.6,79.0,75.1,82.7,12.3,0a1b2c3,2026-01-31\n"
    )


def test_the_same_system_replaces_its_row_in_place_and_leaves_the_others_alone(tmp_path, row):
    path = tmp_path / "results.csv"
    append_results(path, row)
    append_results(path, row | {"system": "kd", "recipe": "kd"})
    append_results(path, row | {"ua_pooled": 0.9, "seeds": 5})
    rows = read_results(path)
    assert rows["system"].tolist() == ["akd", "kd"]
    assert rows["ua_pooled"].tolist() == ["90.0", "79.0"] and rows["seeds"].tolist() == ["5", "3"]


@pytest.mark.parametrize("name", ["corpus", "recipe", "student", "teachers"])
def test_a_row_that_differs_in_any_part_of_its_name_is_added(tmp_path, row, name):
    append_results(tmp_path / "results.csv", row)
    append_results(tmp_path / "results.csv", row | {name: "another"})
    assert len(read_results(tmp_path / "results.csv")) == 2


def test_a_speakers_worth_of_text_survives_the_csv(tmp_path, row):
    append_results(tmp_path / "results.csv", row | {"teachers": 'NA, "quoted"\nline'})
    assert read_results(tmp_path / "results.csv")["teachers"].tolist() == ['NA, "quoted" line']


def test_runs_that_end_together_lose_no_row(tmp_path, row):
    path = tmp_path / "results.csv"
    writers = [
        threading.Thread(target=append_results, args=(path, row | {"student": f"student_{index}"}))
        for index in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(read_results(path)["student"]) == [f"student_{index}" for index in range(8)]
    assert list(tmp_path.iterdir()) == [path]


def test_row_of_a_summary_fits_the_file(tmp_path, invented, labels):
    summary = summarise(invented(), labels)
    made = results_row(
        summary,
        **{"corpus": "EmoDB", "recipe": "kd", "system": "kd", "student": "micro_cnn", "teachers": ["a", "b"]},
        **{"params": 1000, "minutes": 0.5, "commit": "0a1b2c3"},
    )
    append_results(tmp_path / "results.csv", made)
    written = read_results(tmp_path / "results.csv").iloc[0]
    assert written["teachers"] == "a + b" and written["folds"] == "3" and written["seeds"] == "2"
    assert written["ua_pooled"] == f"{100 * summary['ua_pooled']:.1f}"
    assert pd.Timestamp(written["date"]).year >= 2024


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ua_pooled": 79.0},
            r"ua_pooled must be a share in \[0, 1\], got 79.0; pass what summarise\(\) returned",
        ),
        ({"ua_low": float("nan")}, "ua_low must be a share"),
        ({"system": "ours"}, "system must be one of teacher, student, kd, akd, got 'ours'"),
        ({"note": "?"}, "missing or unknown: note"),
        ({"recipe": "ablation", "system": " "}, "system must be the title of the row in the recipe 'ablation'"),
    ],
)
def test_a_row_that_does_not_belong_is_refused_and_the_file_kept(tmp_path, row, change, message):
    append_results(tmp_path / "results.csv", row)
    before = (tmp_path / "results.csv").read_bytes()
    with pytest.raises(ValueError, match=message):
        append_results(tmp_path / "results.csv", row | change)
    assert (tmp_path / "results.csv").read_bytes() == before


def test_a_file_with_other_columns_or_systems_is_refused_and_kept(tmp_path, row):
    path = tmp_path / "results.csv"
    path.write_text("corpus,ua\nEmoDB,99\n")
    with pytest.raises(ValueError, match=r"results\.csv has the columns corpus, ua but needs corpus, recipe"):
        append_results(path, row)
    assert path.read_text() == "corpus,ua\nEmoDB,99\n"
    path.write_text(f"{HEADER}\nEmoDB,akd,best{',' * (len(COLUMNS) - 3)}\n")
    with pytest.raises(ValueError, match="system must be one of teacher, student, kd, akd, got 'best'"):
        read_results(path)


def test_a_row_of_an_ablation_is_named_by_its_title_and_replaced_whatever_it_is_made_of(tmp_path, row):
    path = tmp_path / "results.csv"
    for change in ({"system": "no gate"}, {"system": "no Adapter"}, {"system": "no gate", "teachers": "another"}):
        append_results(path, row | {"recipe": "ablation"} | change)
    assert read_results(path)["system"].tolist() == ["no gate", "no Adapter"]
    assert read_results(path)["teachers"].tolist() == ["another", "whisper"]


def test_publishing_keeps_what_the_run_did_not_make_and_puts_the_ablation_last(tmp_path, row):
    published, run = tmp_path / "published.csv", tmp_path / "run.csv"
    ablation = {"recipe": "ablation", "system": "old title"}
    for change in (ablation, {}, {"system": "kd"}):
        append_results(published, row | change)
    for change in ({"system": "b", "recipe": "ablation"}, {"system": "a", "recipe": "ablation"}, {"ua_pooled": 0.9}):
        append_results(run, row | change)
    table = publish_results(published, read_results(run))
    assert table["system"].tolist() == ["akd", "kd", "b", "a"]  # the run's order; the older ablation is gone
    assert table["ua_pooled"].tolist() == ["90.0", "79.0", "79.0", "79.0"]
    pd.testing.assert_frame_equal(read_results(published), table)


def test_publishing_without_an_ablation_leaves_the_published_one_alone(tmp_path, row):
    published, run = tmp_path / "published.csv", tmp_path / "run.csv"
    append_results(published, row | {"recipe": "ablation", "system": "no gate"})
    append_results(run, row)
    assert publish_results(published, read_results(run))["system"].tolist() == ["akd", "no gate"]
    assert publish_results(tmp_path / "first.csv", read_results(run))["system"].tolist() == ["akd"]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no results table .*; run a recipe to its end first"):
        read_results(tmp_path / "results.csv")
