"""Pictures: the numbers in them, by hand, and that they are drawn for few and for many."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from akd_toolkit.evaluate.paper.figures import (
    plot_forest,
    plot_reliability,
    plot_speakers,
    seed_scores,
    speaker_scores,
)
from akd_toolkit.experiment.scores_file import make_scores

LABELS = ["anger", "sadness"]


def scores(probs, truth, speakers=None, seed=17):
    ids = [f"u{index}" for index in range(len(truth))]
    return make_scores(ids, speakers or ["A"] * len(truth), truth, np.array(probs), LABELS, fold=1, seed=seed)


def test_every_speaker_has_a_score_and_an_interval_around_it():
    probs = [[0.9, 0.1]] * 4 + [[0.1, 0.9]] * 4
    truth = ["anger", "anger", "sadness", "sadness"] * 2
    found = speaker_scores(scores(probs, truth, ["A"] * 4 + ["B"] * 4), LABELS).set_index("speaker")
    assert found["wa"].tolist() == [0.5, 0.5] and found["ua"].tolist() == [0.5, 0.5]
    assert found["utterances"].tolist() == [4, 4]
    assert (found["wa_low"] < 0.5).all() and (found["wa_high"] > 0.5).all()
    sure = speaker_scores(scores([[0.9, 0.1]] * 3, ["anger"] * 3), LABELS).iloc[0]
    assert (sure["ua_low"], sure["ua"], sure["ua_high"]) == (1.0, 1.0, 1.0)


def test_a_seed_has_its_own_score():
    first = scores([[0.9, 0.1], [0.9, 0.1]], ["anger", "sadness"])
    second = scores([[0.9, 0.1], [0.1, 0.9]], ["anger", "sadness"], seed=18)
    found = seed_scores(pd.concat([first, second]))
    assert found == {17: {"wa": 0.5, "ua": 0.5}, 18: {"wa": 1.0, "ua": 1.0}}


@pytest.mark.parametrize("count", [1, 91])
def test_speakers_are_drawn_each_on_a_line_of_its_own(tmp_path, count):
    rows = {"speaker": [f"{n}" for n in range(count)], "utterances": 5, "wa": 0.5, "ua": 0.4}
    rows |= {f"{score}_{end}": 0.3 if end == "low" else 0.6 for score in ("wa", "ua") for end in ("low", "high")}
    plot_speakers(pd.DataFrame(rows), [tmp_path / "s.png", tmp_path / "s.svg"], title="$Toy_1$")
    with Image.open(tmp_path / "s.png") as image:
        width, height = image.size
    assert width == 720 and height > 150 * 0.16 * count
    assert "<svg" in (tmp_path / "s.svg").read_text()


def test_reliability_of_two_conditions_and_a_forest_are_drawn_the_same_every_time(tmp_path):
    bins = pd.DataFrame(
        {"bin": [6, 14, 15], "confidence": [0.4, None, 0.95], "accuracy": [0.5, None, 0.8], "count": [3, 0, 30]}
    )
    system = {"name": "akd", "teacher": False, "ua": 0.7, "low": 0.6, "high": 0.8, "seeds": [0.69, 0.71]}
    for run in "ab":
        paths = [tmp_path / f"{run}.png", tmp_path / f"{run}.svg"]
        plot_reliability({"before": bins, "after": bins}, paths, title="Toy")
        plot_forest([system, system | {"teacher": True}], [tmp_path / f"{run}f.svg"], title="Toy")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "af.svg").read_bytes() == (tmp_path / "bf.svg").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
