"""A recipe trained with a teacher that sees faces, from generated clips with sound."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import soundfile
from programs import RECIPES, run_well
from videos import drawn_face, moving_face, write_video

from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.experiment.scores_file import read_scores

BLANK = np.full((160, 160, 3), 100, np.uint8)
SMILES = {"03": 1.0, "04": -1.0}  # of RAVDESS's happy and sad
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")

DAMAGED, FACELESS, SOUNDLESS = 16, 26, 30  # clips of actors 03 and 04

if not all(map(find_spec, ("av", "facenet_pytorch", "fer", "h5py"))):
    pytest.skip("needs the extra video", allow_module_level=True)


@pytest.fixture
def corpus(tmp_path):
    """Six actors with a clip of each utterance; one clip is missing, one damaged, one faceless and one soundless."""
    actors = [f"{number:02d}" for number in range(1, 7)]
    folder, videos = generate_corpus(tmp_path / "speech", actors, EMOTIONS, 1, layout="ravdess"), []
    for number, path in enumerate(sorted(folder.rglob("*.wav"))):
        sound, _ = soundfile.read(path)
        face = BLANK if number == FACELESS else drawn_face(SMILES.get(path.stem[6:8], 0.0))
        pictures = moving_face(face, number=len(sound) // 1600, seed=number)
        videos.append(tmp_path / "videos" / path.name.replace("03-", "01-", 1).replace("wav", "mp4"))
        videos[-1].parent.mkdir(exist_ok=True)
        write_video(videos[-1], pictures, rate=10, sound=None if number == SOUNDLESS else sound)
    videos[0].unlink()
    videos[DAMAGED].write_bytes(videos[DAMAGED].read_bytes()[:2000])
    return folder, videos


def test_a_student_that_only_listens_is_trained_with_a_teacher_that_sees(corpus, tmp_path):
    folder, videos = corpus
    teachers = "{speech: {name: logmel_statistics}, face: {name: face_expression, pictures_per_s: 1}}"
    done = run_well(
        RECIPES / "RAVDESS",
        "hparams/liser.yaml",
        *(f"--data_folder={folder}", f"--prepare.video_folder={videos[0].parent}", "--prepare.expect_official=false"),
        *(f"--output_folder={tmp_path}/out", f"--store_folder={tmp_path}/store", "--results_file=null"),
        *("--only=['100 % + both']", f"--teachers={teachers}", "--views=0", "--number_of_epochs=1"),
        "--objective.weighting={name: adapter, supervision_weight: 1.0}",
        *("--outer_folds=[['01', '02'], ['03', '04', '05', '06']]", "--folds=1", "--seeds=[17]"),
    )
    masked = [line for line in done.stderr.splitlines() if "is masked for an utterance" in line]
    assert len(masked) == 2 and f"{videos[DAMAGED].stem}.mp4 is damaged" in masked[0]
    assert f"no face in video {videos[FACELESS]}" in masked[1]
    row = tmp_path / "out/100-plus-both"
    assert len(read_scores(row / "scores.csv")) == 16
    assert len(read_scores(next(row.glob("teachers/face/scores.csv")))) == 15
    history = pd.read_csv(row / "seed17/fold1/outer/metrics.csv")
    assert np.isfinite(history.to_numpy(dtype=float)).all() and 0 < history["trust/face"].item() < 1
