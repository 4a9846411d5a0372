"""ECAPA-TDNN from a local file, whole or not at all."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from akd_toolkit.teachers import ecapa_tdnn
from akd_toolkit.teachers.ecapa_tdnn import EcapaTDNN

SMALL = {"channels": [16, 16, 16, 16, 48], "attention_channels": 8, "lin_neurons": 4}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    monkeypatch.setattr(ecapa_tdnn, "ARCHITECTURE", {**ecapa_tdnn.ARCHITECTURE, **SMALL})
    weights = ECAPA_TDNN(**ecapa_tdnn.ARCHITECTURE).state_dict()
    weights = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    save_file(weights, tmp_path / "model.safetensors")
    return tmp_path


def test_first_layer_is_mean_and_deviation_of_what_the_attention_pools(folder, voice):
    teacher = EcapaTDNN(str(folder))
    features = teacher.features(voice())
    assert features.shape == (2, 96) and np.isfinite(features).all()
    model, _, caught = teacher._loaded
    frames = caught["frames"][0].numpy()
    np.testing.assert_allclose(features[0], np.concatenate([frames.mean(1), frames.std(1)]), atol=1e-5)
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("edit", ["missing", "unexpected", "shape"])
def test_file_that_is_not_exactly_the_model_is_refused(edit, folder, voice):
    weights = load_file(folder / "model.safetensors")
    if edit == "missing":
        weights.pop("fc.conv.bias")
    else:
        weights["other" if edit == "unexpected" else "fc.conv.bias"] = torch.zeros(3)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"does not hold exactly the weights .*partly random"):
        EcapaTDNN(str(folder)).features(voice())


def test_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no weights \(one .safetensors file\)"):
        EcapaTDNN(str(tmp_path))
