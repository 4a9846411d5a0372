"""Distillation on generated speech helps, as long as the teacher's outputs belong to the speech.

A teacher that was trained on six speakers teaches a student that has the labels of one of them and the sound of all.
"""

from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from akd_toolkit.data.audio_store import AudioStore
from akd_toolkit.data.dataset import Speech, WindowDataset
from akd_toolkit.data.draws import TrainSampler, loader_options, scoring_batches
from akd_toolkit.data.synthetic import prepare_generated
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.environment import sb
from akd_toolkit.metrics import ua
from akd_toolkit.registry import STUDENTS
from akd_toolkit.teachers import TeacherBank
from akd_toolkit.training.brain import DistillBrain
from akd_toolkit.training.checkpointer import SafeCheckpointer
from akd_toolkit.training.posteriors import predict

LABELS = ("anger", "sadness", "neutral")
SMALL = {"num_mels": 32, "channels": (8, 16), "dim": 24, "dilations": (1, 2), "embedding_dim": 16, "dropout": 0.1}
SEEDS = range(3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Manifest, waveforms, and the teacher's outputs for training speakers (cross-fitted) and test speakers."""
    folder = tmp_path_factory.mktemp("generated")
    manifest = prepare_generated(folder, LABELS, speakers=8, utterances_per_speaker_and_emotion=6, progress=False)
    audio = AudioStore(manifest, folder, progress=False)
    bank = TeacherBank({"log-mel": {"name": "logmel_statistics"}}, audio, folder, progress=False)
    fold = bank.fold(manifest.speakers[2:], [[name] for name in manifest.speakers])
    return manifest, {name: audio.waveform(name) for name in manifest.ids}, fold


def score(corpus, folder, seed: int, teacher: dict | None) -> float:
    """UA on two unseen speakers of a student; ``teacher`` maps each utterance to the one whose outputs it gets."""
    manifest, waveforms, fold = corpus
    test, labelled, unlabelled = (
        manifest.of(manifest.speakers[part]) for part in (slice(2), slice(2, 3), slice(3, None))
    )
    torch.manual_seed(seed)
    spec, lookup = {"task": {"name": "cross_entropy"}}, None
    if teacher is not None:
        spec["distill"] = [{"name": "integrated_soft_targets", "temperature": 2.0}]

        def lookup(name, view, span):
            return fold.lookup([teacher[name]], view, embeddings=False)

    def speech(part, **options):
        return Speech(part, lambda name, view: waveforms[name], lookup, **options)

    sources = [speech(labelled), *([] if teacher is None else [speech(unlabelled, labelled=False)])]
    sampler = TrainSampler(sources, window_s=1.0, batch_size=16, seed=seed, unlabelled_ratio=2.0)
    student = STUDENTS.build("micro_cnn", num_classes=len(LABELS), **SMALL)
    hparams = {"label_order": list(LABELS), "warmup": 0.1, "weight_average": 0.0, "checkpoints": 1, "save_every_s": 1e9}
    brain = DistillBrain(
        {"student": student, "objective": build_objective(spec)},
        partial(torch.optim.AdamW, lr=5e-3),
        {**hparams, "seed": seed, "output_folder": str(folder)},
        {"device": "cpu", "nonfinite_patience": 0},
        SafeCheckpointer(folder / "checkpoints"),
    )
    batches = DataLoader(WindowDataset(sources), **loader_options(sampler))
    brain.fit(sb.utils.epoch_loop.EpochCounter(40), batches, None, False)
    posteriors = predict(brain.kept, scoring_batches(test, waveforms.get, 1.0, 0.0, 32))
    return ua(test.labels, np.array([posteriors[name].argmax() for name in test.ids]))


def test_distillation_beats_no_distillation_and_shuffled_teacher_outputs_do_not(corpus, tmp_path):
    ids = corpus[0].ids
    own = dict(zip(ids, ids))
    scores = {"alone": [], "distilled": [], "shuffled": []}
    for seed in SEEDS:
        shuffled = dict(zip(ids, np.random.default_rng(seed).permutation(ids).tolist()))
        for title, teacher in zip(scores, (None, own, shuffled)):
            scores[title].append(score(corpus, tmp_path / f"{title}{seed}", seed, teacher))
    alone, distilled, shuffled = (np.mean(values) for values in scores.values())
    assert distilled > alone + 0.15, scores
    assert shuffled < alone + 0.1 and shuffled < distilled - 0.15, scores
