"""Encoders of the transformers library: whole, frozen, and only over speech."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from akd_toolkit.teachers import TEACHERS
from akd_toolkit.teachers.transformers_encoder import TransformersEncoder

KINDS = ["wav2vec2", "hubert", "wavlm", "whisper"]


@pytest.fixture
def change_weights():
    def change(folder, edit):
        path = folder / "model.safetensors"
        weights = load_file(path)
        edit(weights)
        save_file(weights, path, metadata={"format": "pt"})

    return change


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_mean_and_deviation_of_every_layer(kind, encoder_folder, voice):
    teacher = TEACHERS.build("transformers_encoder", source=str(encoder_folder(kind)))
    features = teacher.features(voice(0.7))
    assert features.shape == (4, 32) and features.dtype == np.float32
    frames = teacher._hidden(voice(0.7))[3].numpy()
    np.testing.assert_allclose(features[3], np.concatenate([frames.mean(0), frames.std(0)]), atol=1e-5)


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


def test_whisper_hears_the_utterance_alone_and_not_thirty_seconds(encoder_folder, voice):
    from transformers import AutoFeatureExtractor, AutoModel

    folder, wave = encoder_folder("whisper"), voice(0.5)
    mel = AutoFeatureExtractor.from_pretrained(folder)(wave, sampling_rate=16000, return_tensors="pt").input_features
    encoder = AutoModel.from_pretrained(folder).encoder.eval()
    with torch.no_grad():
        padded = encoder(mel, output_hidden_states=True).hidden_states
    hidden = TransformersEncoder(str(folder))._hidden(wave)
    assert hidden[3].shape == (25, 16)  # 0.5 s at 50 Hz
    # Before attention a frame knows its neighbours only, so all but the last agree with the padded run.
    torch.testing.assert_close(hidden[0][:-2], padded[0][0, :23], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(hidden[1][:-2], padded[1][0, :23], atol=1e-4)  # attention no longer sees the padding


def test_whisper_hears_utterances_of_all_lengths_one_after_another(encoder_folder, voice):
    teacher = TransformersEncoder(str(encoder_folder("whisper")))
    first = teacher.features(voice(0.5))
    assert len(teacher._hidden(voice(31.0))[1]) == 1550  # two windows of 15.5 s
    np.testing.assert_array_equal(teacher.features(voice(0.5)), first)


def test_frames_come_from_the_chosen_layer(encoder_folder, voice):
    teacher = TransformersEncoder(str(encoder_folder()), layers=[0, 1], frame_layer=1)
    features, frames = teacher.features_and_frames(voice())
    assert features.shape == (2, 32) and teacher.num_layers == 2
    np.testing.assert_allclose(features[1, :16], frames.mean(0), atol=1e-5)


def test_lower_layers_do_not_depend_on_whether_the_upper_ones_are_read(encoder_folder, voice):
    folder = str(encoder_folder("whisper"))
    np.testing.assert_allclose(
        TransformersEncoder(folder, layers=[1]).features(voice())[0],
        TransformersEncoder(folder).features(voice())[1],
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_encoder_is_frozen_and_unchanged_by_use(kind, encoder_folder, voice):
    teacher = TransformersEncoder(str(encoder_folder(kind)))
    encoder, _ = teacher._loaded
    before = [parameter.clone() for name, parameter in encoder.named_parameters() if "embed_positions" not in name]
    teacher.features(voice())
    after = [parameter for name, parameter in encoder.named_parameters() if "embed_positions" not in name]
    assert not encoder.training and not any(parameter.requires_grad for parameter in after)
    assert all(torch.equal(old, new) for old, new in zip(before, after))


@pytest.mark.parametrize("kind", KINDS)
def test_missing_weight_is_refused_by_name(kind, encoder_folder, change_weights, voice):
    folder = encoder_folder(kind)
    name = "encoder.layers.1.fc1.weight" if kind == "whisper" else "encoder.layers.1.feed_forward.output_dense.weight"
    change_weights(folder, lambda weights: weights.pop(name))
    with pytest.raises(ValueError, match=rf"would be partly random: 1 weights are missing .*{name}"):
        TransformersEncoder(str(folder)).features(voice())


def test_weight_of_another_shape_is_refused_by_name(encoder_folder, change_weights, voice):
    folder = encoder_folder()
    name = "encoder.layers.0.feed_forward.output_dense.bias"
    change_weights(folder, lambda weights: weights.update({name: torch.zeros(3)}))
    with pytest.raises(ValueError, match=f"would be partly random.*{name}"):
        TransformersEncoder(str(folder)).features(voice())


def test_weights_of_a_model_with_a_head_and_old_names_are_read(encoder_folder, change_weights, voice):
    folder = encoder_folder()
    expected = TransformersEncoder(str(folder)).features(voice())

    def as_published(weights):
        for new, old in (
            ("parametrizations.weight.original0", "weight_g"),
            ("parametrizations.weight.original1", "weight_v"),
        ):
            weights[f"encoder.pos_conv_embed.conv.{old}"] = weights.pop(f"encoder.pos_conv_embed.conv.{new}", None)
            if weights[f"encoder.pos_conv_embed.conv.{old}"] is None:
                pytest.skip("this version of transformers writes the old names already")
        for name in list(weights):
            weights[f"wav2vec2.{name}"] = weights.pop(name)
        weights["lm_head.weight"] = torch.zeros(5, 16)

    change_weights(folder, as_published)
    np.testing.assert_array_equal(TransformersEncoder(str(folder)).features(voice()), expected)


def test_torn_weights_are_refused_in_one_sentence(encoder_folder, voice):
    folder = encoder_folder()
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"cannot be loaded from .*copy the folder again"):
        TransformersEncoder(str(folder)).features(voice())


def test_folder_without_weights_is_refused_even_if_it_holds_a_pickle(encoder_folder):
    folder = encoder_folder()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"holds no weights \(model.safetensors\)"):
        TransformersEncoder(str(folder))


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_folder_without_configuration_is_refused(name, encoder_folder):
    folder = encoder_folder()
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no {name}"):
        TransformersEncoder(str(folder))


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_model_of_another_type_is_refused(encoder_folder):
    folder = encoder_folder()
    edit_config(folder, model_type="bert")
    with pytest.raises(ValueError, match="type 'bert'; transformers_encoder reads hubert, wav2vec2"):
        TransformersEncoder(str(folder))


def test_layer_beyond_the_last_is_refused(encoder_folder):
    with pytest.raises(ValueError, match="has layers 0 to 3, got layers \\[4\\]"):
        TransformersEncoder(str(encoder_folder()), layers=[4])


def test_folder_with_the_classes_in_another_order_is_refused(encoder_folder):
    folder = encoder_folder()
    edit_config(folder, id2label={"0": "sad", "1": "ang", "2": "neu"})
    teacher = TransformersEncoder(str(folder))
    with pytest.raises(ValueError, match=r"order classes differently: \[sad, ang, neu\] and \[ang, neu, sad\]"):
        teacher.check_label_order(("ang", "neu", "sad"))
    teacher.check_label_order(("sad", "ang", "neu"))
    teacher.check_label_order(("happy", "calm"))  # classes of some other task


def test_hub_out_of_reach_says_how_to_give_a_folder(monkeypatch):
    import huggingface_hub

    def offline(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(FileNotFoundError, match="facebook/wav2vec2-large.*models_folder"):
        TransformersEncoder("facebook/wav2vec2-large")


@pytest.mark.parametrize("source", ["./x", "nowhere", "models/a/b", "models/a.safetensors", "here/typo"])
def test_a_path_that_does_not_exist_is_not_looked_up_on_the_hub(source, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *args, **options: pytest.fail("asked the hub"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        TransformersEncoder(source)


def test_code_in_a_model_folder_is_never_run(encoder_folder, voice, tmp_path):
    folder = encoder_folder()
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    edit_config(folder, auto_map={"AutoModel": "own.Model", "AutoConfig": "own.Config"})
    TransformersEncoder(str(folder)).features(voice())
    assert not (tmp_path / "ran").exists()


def test_fingerprint_changes_with_weights_and_layers(encoder_folder, change_weights):
    folder = encoder_folder()
    first = TransformersEncoder(str(folder)).fingerprint
    assert TransformersEncoder(str(folder)).fingerprint == first
    assert TransformersEncoder(str(folder), layers=[1]).fingerprint != first
    change_weights(folder, lambda weights: weights["feature_projection.projection.bias"].add_(1))
    assert TransformersEncoder(str(folder)).fingerprint != first


def test_parameters_are_those_of_the_layers_that_are_read(encoder_folder):
    folder = str(encoder_folder("whisper"))
    teacher = TransformersEncoder(folder, layers=[2])
    encoder, _ = teacher._loaded
    # The final normalisation is loaded, though no layer comes after it.
    assert teacher.num_parameters == sum(parameter.numel() for parameter in encoder.parameters())
