"""ECAPA-TDNN and openSMILE, and the real models beside the project, where they are."""

import hashlib
from importlib import metadata

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.teachers import TEACHERS, TeacherBank, ecapa_tdnn
from akd_toolkit.teachers.ecapa_tdnn import EcapaTDNN
from akd_toolkit.teachers.opensmile_functionals import OpenSmileFunctionals

SMALL = {"channels": [16, 16, 16, 16, 48], "attention_channels": 8, "lin_neurons": 4}


@pytest.fixture
def ecapa(tmp_path, monkeypatch):
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    monkeypatch.setattr(ecapa_tdnn, "ARCHITECTURE", {**ecapa_tdnn.ARCHITECTURE, **SMALL})
    weights = ECAPA_TDNN(**ecapa_tdnn.ARCHITECTURE).state_dict()
    weights = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    save_file(weights, tmp_path / "model.safetensors")
    return tmp_path


def test_first_layer_of_ecapa_is_mean_and_deviation_of_what_the_attention_pools(ecapa, voice):
    teacher = EcapaTDNN(str(ecapa))
    features = teacher.features(voice())
    assert features.shape == (2, 96) and np.isfinite(features).all()
    model, _, caught = teacher._loaded
    frames = caught["frames"][0].numpy()
    np.testing.assert_allclose(features[0], np.concatenate([frames.mean(1), frames.std(1)]), atol=1e-5)
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("edit", ["missing", "unexpected", "shape"])
def test_a_file_that_is_not_exactly_ecapa_is_refused(edit, ecapa, voice):
    weights = load_file(ecapa / "model.safetensors")
    if edit == "missing":
        weights.pop("fc.conv.bias")
    else:
        weights["other" if edit == "unexpected" else "fc.conv.bias"] = torch.zeros(3)
    save_file(weights, ecapa / "model.safetensors")
    with pytest.raises(ValueError, match="partly random"):
        EcapaTDNN(str(ecapa)).features(voice())


@pytest.mark.parametrize(("feature_set", "size"), [("ComParE_2016", 6373), ("eGeMAPSv02", 88)])
def test_functionals_are_those_of_opensmile(feature_set, size, voice):
    opensmile = pytest.importorskip("opensmile", reason="needs the extra opensmile")
    features = OpenSmileFunctionals(feature_set).features(voice())
    assert features.shape == (1, size) and np.isfinite(features).all()
    smile = opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)
    np.testing.assert_array_equal(features, np.nan_to_num(smile.process_signal(voice(), 16000).to_numpy()))


def test_the_missing_extra_is_named(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ImportError, match=r"akd-toolkit\[opensmile\]"):
        OpenSmileFunctionals()


@pytest.fixture
def model(shared_folder):
    def find(name):
        folder = shared_folder / "models" / name
        return str(folder) if folder.is_dir() else pytest.skip(f"needs {folder}")

    return find


@pytest.mark.parametrize(
    ("name", "folder", "shape", "params"),
    [
        ("transformers_encoder", "whisper-base-encoder", (7, 1024), 20_590_592),
        ("transformers_encoder", "whisper-small-encoder-5l", (6, 1536), 38_544_384),
        ("ecapa_tdnn", "ecapa-tdnn-voxceleb", (2, 6144), 20_767_552),
    ],
)
def test_real_model_loads_completely_and_has_its_published_size(name, folder, shape, params, model, voice):
    teacher = TEACHERS.build(name, source=model(folder))
    features = teacher.features(voice(1.0))
    assert features.shape == shape and np.isfinite(features).all()
    assert teacher.num_parameters == params


def test_whisper_base_separates_anger_from_sadness_of_unseen_speakers(model, shared_folder, tmp_path):
    names, rows = {"W": "anger", "T": "sadness"}, []
    for path in sorted((shared_folder / "data/EmoDB/wav").glob("*.flac")):
        key = path.stem[:2], names.get(path.stem[5])
        if key[0] in ("03", "08", "11", "16") and key[1] and sum((r.speaker, r.emotion) == key for r in rows) < 3:
            info, sha256 = soundfile.info(path), hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append(Utterance(path.stem, str(path), 0, info.frames, info.duration, *key, sha256=sha256))
    assert len(rows) == 24
    manifest = Manifest("EmoDB", ("anger", "sadness"), tuple(rows))
    spec = {"name": "transformers_encoder", "source": model("whisper-base-encoder"), "layers": [2, 3]}
    bank = TeacherBank({"whisper": spec}, AudioStore(manifest, tmp_path, progress=False), tmp_path, progress=False)
    fold = bank.fold(["03", "08", "11"], [["03"], ["08"], ["11"], ["16"]])
    right = fold[0].logits[:, 0].argmax(-1).numpy() == manifest.labels
    assert right.mean() > 0.9
