"""The real models beside the project, where they are: whole, and able to tell emotions of unseen speakers apart."""

import hashlib

import numpy as np
import pytest
import soundfile

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.teachers import TEACHERS, TeacherBank


@pytest.fixture
def model(shared_folder):
    def find(name):
        folder = shared_folder / "models" / name
        if not folder.is_dir():
            pytest.skip(f"needs ../shared/models/{name}, which is not here")
        return str(folder)

    return find


@pytest.mark.parametrize(
    ("name", "folder", "shape", "params"),
    [
        ("transformers_encoder", "whisper-base-encoder", (7, 1024), 20_590_592),
        ("transformers_encoder", "whisper-small-encoder-5l", (6, 1536), 38_544_384),
        ("ecapa_tdnn", "ecapa-tdnn-voxceleb", (2, 6144), 20_767_552),
    ],
)
def test_real_model_loads_whole_and_has_its_published_size(name, folder, shape, params, model, voice):
    teacher = TEACHERS.build(name, source=model(folder))
    features = teacher.features(voice(1.0))
    assert features.shape == shape and np.isfinite(features).all()
    assert teacher.num_parameters == params


def test_whisper_base_tells_anger_from_sadness_for_speakers_whom_its_head_has_not_heard(model, shared_folder, tmp_path):
    paths = sorted((shared_folder / "data/EmoDB/wav").glob("*.flac"))
    if not paths:
        pytest.skip("needs ../shared/data/EmoDB, which is not here")
    names, rows = {"W": "anger", "T": "sadness"}, []
    for path in paths:
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
