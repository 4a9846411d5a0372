"""Encoders of the transformers library: complete, frozen, and only over speech."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from akd_toolkit.teachers.transformers_encoder import TransformersEncoder

each_kind = pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm", "whisper"])


def change_weights(folder, edit):
    path = folder / "model.safetensors"
    weights = load_file(path)
    edit(weights)
    save_file(weights, path, metadata={"format": "pt"})


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@each_kind
def test_features_are_mean_and_deviation_of_every_layer_of_a_frozen_model(kind, encoder_folder, voice):
    teacher = TransformersEncoder(str(encoder_folder(kind)))
    encoder, _ = teacher._loaded
    before = [parameter.clone() for name, parameter in encoder.named_parameters() if "embed_positions" not in name]
    features = teacher.features(voice(0.7))
    assert features.shape == (4, 32)
    frames = teacher._hidden(voice(0.7))[3].numpy()
    np.testing.assert_allclose(features[3], np.concatenate([frames.mean(0), frames.std(0)]), atol=1e-5)
    after = [parameter for name, parameter in encoder.named_parameters() if "embed_positions" not in name]
    assert not encoder.training and not any(parameter.requires_grad for parameter in after)
    assert all(torch.equal(old, new) for old, new in zip(before, after))


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_layers_are_the_hidden_states_of_transformers(kind, encoder_folder, voice):
    from transformers import AutoModel

    folder, wave = encoder_folder(kind), voice(0.5)
    model = AutoModel.from_pretrained(folder).eval()
    normal = torch.tensor((wave - wave.mean()) / np.sqrt(wave.var() + 1e-7))[None]
    with torch.no_grad():
        expected = model(normal, output_hidden_states=True).hidden_states
    hidden = TransformersEncoder(str(folder))._hidden(wave)
    assert sorted(hidden) == [0, 1, 2, 3]
    for layer, states in enumerate(expected):
        torch.testing.assert_close(hidden[layer], states[0], atol=1e-4, rtol=1e-4)


def test_whisper_runs_on_the_utterance_without_padding(encoder_folder, voice):
    from transformers import AutoFeatureExtractor, AutoModel

    folder, wave = encoder_folder("whisper"), voice(0.5)
    mel = AutoFeatureExtractor.from_pretrained(folder)(wave, sampling_rate=16000, return_tensors="pt").input_features
    encoder = AutoModel.from_pretrained(folder).encoder.eval()
    with torch.no_grad():
        padded = encoder(mel, output_hidden_states=True).hidden_states
    teacher = TransformersEncoder(str(folder))
    first, hidden = teacher.features(wave), teacher._hidden(wave)
    assert hidden[3].shape == (25, 16)  # 0.5 s at 50 Hz
    # Before attention a frame knows its neighbours only, so all but the last agree with the padded run.
    torch.testing.assert_close(hidden[0][:-2], padded[0][0, :23], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(hidden[1][:-2], padded[1][0, :23], atol=1e-4)  # attention does not see the padding
    assert len(teacher._hidden(voice(31.0))[1]) == 1550  # two windows of 15.5 s
    np.testing.assert_array_equal(teacher.features(wave), first)


def test_layers_and_frames_are_those_chosen(encoder_folder, voice):
    folder = str(encoder_folder("whisper"))
    teacher, whole = TransformersEncoder(folder, layers=[0, 1], frame_layer=1), TransformersEncoder(folder)
    encoder, _ = teacher._loaded  # the final normalisation is loaded, though no layer comes after it
    assert teacher.num_parameters == sum(parameter.numel() for parameter in encoder.parameters())
    features, frames = teacher.features_and_frames(voice())
    assert features.shape == (2, 32) and teacher.num_layers == 2
    np.testing.assert_allclose(features[1, :16], frames.mean(0), atol=1e-5)
    np.testing.assert_allclose(features, whole.features(voice())[:2], atol=1e-6)
    with pytest.raises(ValueError, match=r"layers 0 to 3, got layers \[4\]"):
        TransformersEncoder(folder, layers=[4])


@pytest.mark.parametrize("edit", ["missing", "shape", "torn"])
@pytest.mark.parametrize("kind", ["wav2vec2", "whisper"])
def test_an_incomplete_model_is_refused(kind, edit, encoder_folder, voice):
    folder, key = encoder_folder(kind), "partly random"
    name = "encoder.layers.1.fc1.bias" if kind == "whisper" else "encoder.layers.1.feed_forward.output_dense.bias"
    if edit == "missing":
        change_weights(folder, lambda weights: weights.pop(name))
    elif edit == "shape":
        change_weights(folder, lambda weights: weights.update({name: torch.zeros(3)}))
    else:
        path, key, name = folder / "model.safetensors", "cannot be loaded", "copy the folder"
        path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=f"{key}.*{name}"):
        TransformersEncoder(str(folder)).features(voice())


def test_weights_of_a_model_with_a_head_and_old_names_are_read(encoder_folder, voice):
    folder = encoder_folder()
    expected = TransformersEncoder(str(folder)).features(voice())

    def as_published(weights):
        conv = "encoder.pos_conv_embed.conv"
        for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
            weights[f"{conv}.{old}"] = weights.pop(f"{conv}.parametrizations.weight.{new}", None)
            if weights[f"{conv}.{old}"] is None:
                pytest.skip("this version of transformers writes the old names already")
        for name in list(weights):
            weights[f"wav2vec2.{name}"] = weights.pop(name)
        weights["lm_head.weight"] = torch.zeros(5, 16)

    change_weights(folder, as_published)
    np.testing.assert_array_equal(TransformersEncoder(str(folder)).features(voice()), expected)


def test_code_in_a_model_folder_is_never_run(encoder_folder, voice, tmp_path):
    folder = encoder_folder()
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    edit_config(folder, auto_map={"AutoModel": "own.Model", "AutoConfig": "own.Config"})
    TransformersEncoder(str(folder)).features(voice())
    assert not (tmp_path / "ran").exists()


def test_fingerprint_changes_with_weights_and_layers(encoder_folder):
    folder = encoder_folder()
    first = TransformersEncoder(str(folder)).fingerprint
    assert TransformersEncoder(str(folder)).fingerprint == first
    assert TransformersEncoder(str(folder), layers=[1]).fingerprint != first
    change_weights(folder, lambda weights: weights["feature_projection.projection.bias"].add_(1))
    assert TransformersEncoder(str(folder)).fingerprint != first


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_folder_without_one_of_its_files_or_of_another_type_is_refused(name, encoder_folder):
    folder = encoder_folder()
    edit_config(folder, model_type="bert")
    with pytest.raises(ValueError, match="'bert'"):
        TransformersEncoder(str(folder))
    (folder / name).rename(folder / "pytorch_model.bin")  # a pickle is never read
    with pytest.raises(FileNotFoundError, match=name):
        TransformersEncoder(str(folder))


@pytest.mark.parametrize("source", ["./x", "nowhere", "models/a/b", "models/a.safetensors", "here/typo"])
def test_only_what_looks_like_a_hub_name_is_looked_up_on_the_hub(source, tmp_path, monkeypatch):
    def offline(*args, **options):
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(FileNotFoundError, match=r"facebook/wav2vec2-large.*models_folder"):
        TransformersEncoder("facebook/wav2vec2-large")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *args, **options: pytest.fail("asked the hub"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(FileNotFoundError, match=source):
        TransformersEncoder(source)
