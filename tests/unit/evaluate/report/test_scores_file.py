import numpy as np
import pandas as pd
import pytest

from akd_toolkit.experiment.scores_file import check_scores, label_order_of, make_scores, read_scores, write_scores


def test_scores_come_back_from_disk_as_they_were(tmp_path, invented, labels):
    scores = invented()
    write_scores(tmp_path / "run" / "scores.csv", scores)
    pd.testing.assert_frame_equal(read_scores(tmp_path / "run" / "scores.csv", labels), scores)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["scores.csv"]


def test_speaker_03_stays_a_name_and_a_label_none_is_not_a_missing_value(tmp_path):
    order = ["none", "null", "NA"]
    write_scores(tmp_path / "scores.csv", make_scores(["1", "2", "3"], ["03"] * 3, order, np.eye(3), order, 0, 1))
    scores = read_scores(tmp_path / "scores.csv")
    assert scores["speaker"].tolist() == ["03"] * 3 and scores["truth"].tolist() == order
    assert label_order_of(scores) == order


def test_prediction_is_the_most_probable_class(labels):
    scores = make_scores(["a", "b"], ["03", "08"], ["ang", "ang"], [[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]], labels, 0, 1)
    assert scores["prediction"].tolist() == ["neu", "ang"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, invented, monkeypatch):
    path = tmp_path / "scores.csv"
    write_scores(path, invented())
    before = path.read_bytes()

    def no_space(self, text, **options):
        self.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(type(path), "write_text", no_space)
    with pytest.raises(OSError, match="no space left"):
        write_scores(path, invented(seeds=(3,)))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["ID", "speaker", "fold", "seed", "truth", "prediction", "p_sad"])
def test_a_missing_column_is_refused_by_name(invented, labels, name):
    with pytest.raises(ValueError, match=f"scores lack the column '{name}'; they need ID, speaker, fold, seed, truth"):
        check_scores(invented().drop(columns=name), labels)


@pytest.mark.parametrize("name", ["ID", "speaker", "truth", "prediction", "p_neu"])
def test_a_missing_value_is_refused_with_its_utterance(invented, labels, name):
    scores = invented()
    scores.loc[7, name] = np.nan
    with pytest.raises(
        ValueError, match=f"scores of utterance .*: '{name}' is NaN or empty; delete the file and run its fold again"
    ):
        check_scores(scores, labels)


@pytest.mark.parametrize("name", ["truth", "prediction"])
def test_an_unknown_label_is_refused_with_its_utterance(invented, labels, name):
    scores = invented()
    scores.loc[0, name] = "joy"
    with pytest.raises(
        ValueError, match=rf"utterance00 \({name} 'joy'\): its {name} is not in label_order \[ang, neu, sad\]"
    ):
        check_scores(scores, labels)


def test_another_label_order_is_refused(invented):
    with pytest.raises(ValueError, match=r"order classes differently: \[ang, neu, sad\] and \[sad, neu, ang\]"):
        check_scores(invented(), ["sad", "neu", "ang"])


def test_a_label_order_that_forgets_a_class_is_refused(invented):
    with pytest.raises(ValueError, match="order classes differently"):
        check_scores(invented(), ["ang", "neu"])


def test_an_utterance_that_comes_twice_in_one_seed_is_refused(invented, labels):
    scores = invented()
    twice = pd.concat([scores, scores.iloc[[3]]])
    with pytest.raises(ValueError, match=r"\(seed '1'\): it comes twice in one seed; average its windows first"):
        check_scores(twice, labels)


def test_a_seed_that_did_not_finish_is_refused(invented, labels):
    scores = invented()
    with pytest.raises(ValueError, match="scored for only some of the 2 seeds; finish every seed"):
        check_scores(scores[~((scores["seed"] == 2) & (scores["fold"] == 1))], labels)


def test_a_speaker_tested_in_two_folds_is_refused(invented, labels):
    scores = invented()
    scores.loc[scores["ID"] == "utterance00", "fold"] = 2
    with pytest.raises(ValueError, match=r"\(speaker '00'\): its speaker is tested in more than one fold"):
        check_scores(scores, labels)


def test_an_utterance_whose_truth_changes_between_seeds_is_refused(invented, labels):
    scores = invented()
    scores.loc[0, "truth"] = "ang" if scores.loc[0, "truth"] != "ang" else "sad"
    with pytest.raises(ValueError, match="it has more than one truth"):
        check_scores(scores, labels)


@pytest.mark.parametrize("probs", [[2.0, -1.0, 0.0], [0.5, 0.4, 0.4], [np.inf, 0.0, 0.0], [0.1, 0.1, 0.1], ["x", 0, 1]])
def test_values_that_are_no_probabilities_are_refused(invented, labels, probs):
    scores = invented().astype({f"p_{label}": object for label in labels})
    scores.loc[0, ["p_ang", "p_neu", "p_sad"]] = probs
    with pytest.raises(ValueError, match=r"its probabilities do not lie in \[0, 1\] and sum to 1; store no logits"):
        check_scores(scores, labels)


def test_a_prediction_that_is_not_the_most_probable_class_is_refused(labels):
    scores = make_scores(["a"], ["03"], ["ang"], [[0.7, 0.2, 0.1]], labels, fold=0, seed=1)
    with pytest.raises(ValueError, match=r"a \(prediction 'neu'\): its prediction is not the most probable class"):
        check_scores(scores.assign(prediction="neu"), labels)


def test_no_utterance_is_refused(invented, labels):
    with pytest.raises(ValueError, match="scores hold no utterance"):
        check_scores(invented().iloc[:0], labels)


def test_a_missing_an_empty_and_a_torn_file_are_refused_by_path(tmp_path, invented, labels):
    with pytest.raises(FileNotFoundError, match=r"there is no scores file .*scores\.csv; run the recipe first"):
        read_scores(tmp_path / "scores.csv")
    (tmp_path / "scores.csv").write_text("")
    with pytest.raises(ValueError, match=r"scores\.csv: "):
        read_scores(tmp_path / "scores.csv")
    write_scores(tmp_path / "scores.csv", invented())
    torn = (tmp_path / "scores.csv").read_text()[:-40]
    (tmp_path / "scores.csv").write_text(torn)
    with pytest.raises(ValueError, match=r"scores\.csv: scores of utterance"):
        read_scores(tmp_path / "scores.csv", labels)
