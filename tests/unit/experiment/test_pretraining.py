"""Pretraining on generated speech, with a real loop and real stores."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from encoders import save_encoder
from programs import RECIPES, run_recipe
from safetensors.torch import load_file

from akd_toolkit.cli import main
from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.data.unlabelled import prepare_unlabelled
from akd_toolkit.deploy.release.metadata import training_corpora
from akd_toolkit.experiment.pretraining import TeacherFeatures, load_pretraining, pretrain
from akd_toolkit.experiment.stored import Experiment
from akd_toolkit.models.pretrained_cnn import PretrainedCNN
from akd_toolkit.teachers.provenance import provenance_of

YAML = RECIPES / "Pool/hparams/pretrained_cnn.yaml"


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    root = tmp_path_factory.mktemp("speech")
    return {seed: generate_corpus(root / f"made{seed}", 2, ("anger", "sadness"), 3, seed=seed) for seed in (1, 2)}


@pytest.fixture
def load(speech, tmp_path):
    def load(*words, folder="layers", epochs=2):
        sources = {f"made{seed}": str(path) for seed, path in speech.items()}
        given = {
            "sources": json.dumps(sources),
            "teacher": "{name: logmel_statistics}",
            "cnn": "{channels: [4, 8], dim: 16, dilations: [1]}",
            "output_folder": tmp_path / folder,
            "store_folder": tmp_path / "store",
            "number_of_epochs": epochs,
            "batch_size": 8,
            "views": 1,
        }
        given |= dict(word.removeprefix("--").split("=", 1) for word in words)
        return load_pretraining([str(YAML), *(f"--{key}={value}" for key, value in given.items())])

    return load


def test_the_student_learns_to_predict_the_teacher(load):
    folder = pretrain(load(epochs=40))
    loss = pd.read_csv(folder / "metrics.csv")["embedding_regression"]
    assert len(loss) == 40 and loss.iloc[-5:].mean() < 0.7 * loss.iloc[:2].mean()
    student = PretrainedCNN(4, source=str(folder))
    assert student.build_options["dim"] == 16
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert pretrain(load(epochs=40)) == folder and (folder / "model.safetensors").stat().st_mtime_ns == before


def test_features_are_standardised_over_all_sources_and_ids_name_the_source(load, speech, tmp_path):
    pretraining = load()
    sources = {title: prepare_unlabelled(path, tmp_path) for title, path in pretraining.settings.sources.items()}
    targets = TeacherFeatures(pretraining, sources)
    assert len(targets.manifest) == sum(len(manifest) for manifest in sources.values())
    assert {name.partition("/")[0] for name in targets.manifest.ids} == {"made1", "made2"}
    found = torch.cat([targets.lookup(name, 0, (0.0, 1.0)).embedding[0] for name in targets.manifest.ids])
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-3)
    spread = found.std(0, correction=0).numpy()
    assert (np.isclose(spread, 1, atol=1e-2) | (spread < 0.1)).all()  # a feature may be constant


def test_an_interrupted_pretraining_continues_to_the_same_weights(load, monkeypatch):
    whole = load_file(pretrain(load("--save_every_s=0", epochs=4)) / "model.safetensors")
    from akd_toolkit.training.brain import DistillBrain

    end_of_epoch = DistillBrain.on_epoch_end

    def stop(brain, epoch):
        end_of_epoch(brain, epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DistillBrain, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain(load("--save_every_s=0", folder="cut", epochs=4))
    again = load_file(pretrain(load("--save_every_s=0", folder="cut", epochs=4)) / "model.safetensors")
    assert whole.keys() == again.keys() and all(torch.equal(whole[name], again[name]) for name in whole)


def test_the_folder_of_another_pretraining_is_refused(load):
    pretrain(load())
    with pytest.raises(ValueError, match="batch_size"):
        pretrain(load("--batch_size=4"))
    with pytest.raises(ValueError, match="precision"):  # an option of the command line that changes the result
        pretrain(load("--precision=bf16"))


def test_a_recipe_refuses_layers_that_were_pretrained_on_its_corpus(load, speech, capsys):
    """By the names on the card, and by the sound of the recordings whatever their names are."""
    named = pretrain(load(f"--sources={{EmoDB: {speech[1]}}}", folder="named"))
    assert "EmoDB" in provenance_of({"name": "pretrained_cnn", "source": str(named)}).corpora

    def train(source):
        words = "hparams/student.yaml", "--debug", "--head_decay=1.0", f"--output_folder={source}/run"
        return run_recipe(RECIPES / "EmoDB", *words, f"--student={{name: pretrained_cnn, source: {source}}}")

    done = train(named)
    assert done.returncode == 1 and "trained on EmoDB" in done.stderr
    copied = pretrain(load(f"--sources={{others: {named}/run/corpus}}", folder="copied"))
    done = train(copied)
    assert done.returncode == 1 and "pretrained on 03a01" in done.stderr
    other = pretrain(load(folder="other"))
    done = train(other)
    assert done.returncode == 0, done.stderr
    record = json.loads((other / "run/seed17/fold1/outer/record.json").read_text())
    assert any("pretrained" in sentence for sentence in record["proved"])
    main(["audit", str(other / "run"), "--no-sound"])
    assert "layers were pretrained is in the test" in " ".join(capsys.readouterr().out.split())
    assert training_corpora(Experiment.read(other / "run")) == ["generated", "made1", "made2"]  # for the licence
    (other / "recordings.txt").write_text((copied / "recordings.txt").read_text())
    assert main(["audit", str(other / "run"), "--no-sound"]) == 1
    assert "pretrained on 03a01" in " ".join(capsys.readouterr().out.split())


def test_frames_of_the_teacher_are_predicted_too(load, tmp_path):
    tiny_whisper = save_encoder("whisper", tmp_path / "whisper")
    teacher = f"--teacher={{name: transformers_encoder, source: {tiny_whisper}}}"
    losses = pd.read_csv(pretrain(load(teacher, "--num_frames=5", epochs=30)) / "metrics.csv")
    for name in ("embedding_regression", "hint"):
        assert losses[name].iloc[-3:].mean() < 0.9 * losses[name].iloc[:2].mean()


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("--teacher={name: nobody}", "nobody"),
        ("--number_of_epoch=3", "number_of_epochs"),
        ("--sources={}", "sources"),
        ("--sources={a/b: x}", "a/b"),
        ("--opt_class.lr=fast", "lr"),
        ("--teacher={name: feature_table, source: x.csv}", "audio"),
    ],
)
def test_wrong_settings_are_refused(word, key, load, tmp_path):
    if "feature_table" in word:
        (tmp_path / "x.csv").write_text("id,a\n1,2\n")
        word = word.replace("x.csv", str(tmp_path / "x.csv"))
    with pytest.raises((ValueError, OSError), match=key):
        pretrain(load(word))


def test_what_must_be_given_is_named():
    with pytest.raises(ValueError, match="sources"):
        load_pretraining([str(YAML)])


def test_a_missing_folder_of_speech_is_named(load, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        pretrain(load(f"--sources={{a: {tmp_path}/nowhere}}"))
