"""The student in the package."""

import json

import numpy as np
import pytest

from akd_toolkit.cli import main
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.inference import EmotionRecognizer
from akd_toolkit.inference.bundle import check_bundle
from akd_toolkit.inference.hub import PRETRAINED


def test_the_bundle_is_intact_small_and_trained_on_free_speech_alone():
    listed = check_bundle(PRETRAINED)["files"]
    assert sum(entry["size"] for entry in listed.values()) <= 300_000
    about = json.loads((PRETRAINED / "student.json").read_text(encoding="utf-8"))
    assert about["corpus"] == "EmoDB" and about["licence"] == "apache-2.0" and about["compressed_by"]
    scores = json.loads((PRETRAINED / "scores.json").read_text(encoding="utf-8"))
    assert scores["unlabelled"] == [] and not any(one["verdict"] == "leak" for one in scores["audit"])


def test_it_answers_without_a_model_being_named(tmp_path, capsys):
    made = generate_corpus(tmp_path / "speech", 2, ("anger",), 1, progress=False)
    assert main(["predict", str(made), "--csv"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert "p_anger,p_fear,p_happiness,p_neutral,p_sadness" in header and len(lines) == 2
    assert EmotionRecognizer.from_pretrained()(np.zeros(16000, dtype=np.float32)).label == "no speech"
    with pytest.raises(FileNotFoundError, match="safetensors"):
        EmotionRecognizer.from_pretrained(backend="torch")
