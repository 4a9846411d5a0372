"""From a manifest with videos to a distillation step of a student that only listens."""

import dataclasses

import numpy as np
import pytest
import soundfile
import torch
from videos import moving_face, write_video

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.data.video import read_pictures
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.models.micro_cnn import MicroCNN
from akd_toolkit.teachers import TeacherBank
from akd_toolkit.teachers.face_expression import find_spec

needs_video = pytest.mark.skipif(
    not all(map(find_spec, ("av", "facenet_pytorch", "fer", "h5py"))), reason="needs the extra video"
)


def write_corpus(folder, clips) -> Manifest:
    """Three speakers, each twice happy and twice neutral; sound of the same tone, faces that move."""
    faces = {}
    for emotion, code in (("happy", "HAP"), ("neutral", "NEU")):
        faces[emotion] = next(read_pictures(clips / f"1001_DFA_{code}_XX.flv", 5.0))[20:240, 130:310]
    rows = []
    for index in range(12):
        speaker, emotion = "ABC"[index % 3], ("happy", "neutral")[index // 3 % 2]
        name = f"{speaker}-{emotion}-{index // 6}"
        sound = 0.1 * np.random.default_rng(index).standard_normal(16000)
        soundfile.write(folder / f"{name}.wav", sound, 16000)
        pictures = moving_face(faces[emotion], number=25, seed=index)
        video = write_video(folder / f"{name}.mp4", pictures, sound_s=1.0)
        rows.append(Utterance(name, str(folder / f"{name}.wav"), 0, 16000, 1.0, speaker, emotion, video=str(video)))
    return Manifest("faces", ("happy", "neutral"), tuple(rows))


@needs_video
def test_a_face_teacher_teaches_a_student_that_only_listens(shared_folder, tmp_path):
    clips = shared_folder / "data/clips"
    if not clips.is_dir():
        pytest.skip("needs the clips in ../shared/data/clips")
    manifest = write_corpus(tmp_path, clips)
    rows = list(manifest.utterances)
    rows[0] = dataclasses.replace(rows[0], video="")
    write_video(tmp_path / "faceless.mp4", [np.full((240, 320, 3), 100, np.uint8)] * 25)
    rows[4] = dataclasses.replace(rows[4], video=str(tmp_path / "faceless.mp4"))
    dataclasses.replace(manifest, utterances=tuple(rows)).write(tmp_path / "manifest.csv")
    manifest = Manifest.read(tmp_path / "manifest.csv")

    audio = AudioStore(manifest, tmp_path / "store", progress=False)
    specs = {"faces": {"name": "face_expression", "pictures_per_s": 4.0}, "voice": {"name": "logmel_statistics"}}
    bank = TeacherBank(specs, audio, tmp_path / "store", progress=False)
    fold = bank.fold(["A", "B"], [["A"], ["B"], ["C"]])
    seen = fold.lookup(manifest.ids)
    assert (~seen.present).nonzero().tolist() == [[0, 0], [0, 4]]
    labels = torch.tensor(manifest.labels)
    assert (seen.logits[0].argmax(-1) == labels)[seen.present[0]].all()

    student = MicroCNN(num_classes=2)
    spec = {"task": {"name": "cross_entropy"}, "distill": [{"name": "soft_target_kl", "weight": 1.0}]}
    objective = build_objective(spec, num_teachers=2, num_classes=2)
    waves = torch.stack([torch.tensor(audio.waveform(name)) for name in manifest.ids])
    result = objective(student(waves), seen, labels)
    result.total.backward()
    gradients = [parameter.grad for parameter in student.parameters() if parameter.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
