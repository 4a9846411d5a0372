"""The training loop: it learns, distils, continues after a kill and gives the same weights."""

import copy
import multiprocessing
from functools import partial

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader

from akd_toolkit.data.dataset import Speech, WindowDataset
from akd_toolkit.data.draws import TrainSampler, loader_options, scoring_batches, whole_draws
from akd_toolkit.data.manifest import Manifest, Utterance
from akd_toolkit.distill.objective import build_objective
from akd_toolkit.environment import sb
from akd_toolkit.experiment.settings import with_defaults
from akd_toolkit.mistakes import sentence_for
from akd_toolkit.models.base import Student
from akd_toolkit.models.encoder_student import EncoderStudent
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.training import averaging
from akd_toolkit.training.brain import DEFAULTS, DistillBrain
from akd_toolkit.training.checkpointer import SafeCheckpointer, remove_checkpoints

LABELS = ("low", "high")
HPARAMS = {"label_order": list(LABELS), "warmup": 0.2, "weight_average": 0.5, "seed": 5, "save_every_s": -1.0}
WHOLE = {"batch_size": None}  # the datasets give whole batches
EpochCounter, loggers = sb.utils.epoch_loop.EpochCounter, sb.utils.train_logger


class Levels(Student):
    """A tiny network with dropout on the loudness of two halves."""

    def __init__(self, num_classes: int = 2):
        super().__init__(num_classes)
        self.body = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(8, num_classes)

    def forward(self, waveform, lengths=None):
        halves = waveform.unflatten(1, (2, -1)).abs().mean(dim=2)
        embedding = self.body(halves)
        return ModelOutput(self.head(embedding), embedding, embedding[:, None])


@pytest.fixture
def corpus():
    rng = np.random.default_rng(0)
    rows = [Utterance(f"u{i}", f"/u{i}.wav", 0, 1600, 0.1, f"s{i % 4}", LABELS[i % 2]) for i in range(24)]
    manifest = Manifest("toy", LABELS, tuple(rows))
    waves = {}
    for row in rows:  # "high" is loud and bright, "low" quiet and dull
        noise = rng.standard_normal(1601).astype(np.float32)
        waves[row.id] = 0.5 * np.diff(noise) if row.emotion == "high" else 0.1 * (noise[1:] + noise[:-1])
    return manifest, waves


@pytest.fixture
def make(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(averaging, "HORIZON", 0.5)  # trainings are short: keeps the decay of 0.5
    manifest, waves = corpus
    stored = torch.randn(2, len(manifest), 2)

    def teachers(name, view, span):
        row = manifest.ids.index(name)
        return TeacherOutput(logits=stored[:, row : row + 1], names=("a", "b"))

    def build(distil=True, folder="run", lr=0.05, keep=2, num_workers=0, **changes):
        torch.manual_seed(3)
        spec = {"task": {"name": "cross_entropy", "weight": 1.0}}
        if distil:
            spec["distill"] = [{"name": "integrated_soft_targets", "weight": 0.5}]
            spec["weighting"] = {"name": "adapter"}
            spec["gate"] = {"name": "teacher_error", "theta": 0.9}
        modules = {"student": Levels(), "objective": build_objective(spec, num_teachers=2, student_frame_dim=8)}
        hparams = {**HPARAMS, "output_folder": str(tmp_path / folder), "checkpoints": keep, **changes}
        options = {"device": "cpu", "nonfinite_patience": 0}
        checkpointer = SafeCheckpointer(tmp_path / folder / "checkpoints")
        brain = DistillBrain(modules, partial(torch.optim.AdamW, lr=lr), hparams, options, checkpointer)
        sources = [Speech(manifest, lambda i, v: waves[i], teachers if distil else None)]
        sampler = TrainSampler(sources, 0.1, 8, seed=hparams["seed"])
        return brain, DataLoader(WindowDataset(sources), **loader_options(sampler, num_workers=num_workers))

    build.stored = stored
    return build


def fit(brain, batches, epochs=4, valid=None):
    brain.fit(EpochCounter(epochs), batches, valid, False, valid_loader_kwargs=WHOLE)
    return brain.kept


def windows_of(corpus):
    manifest, waves = corpus
    return list(scoring_batches(manifest, waves.get, 0.1, 0.0, 5))


def kill_before(brain, epoch):
    """Interrupt ``brain`` at the start of this epoch."""
    real = brain.on_stage_start

    def killed(stage, at=None):
        if at == epoch:
            raise KeyboardInterrupt
        real(stage, at)

    brain.on_stage_start = killed


def same_weights(one, other) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(left, right) for (a, left), (b, right) in pairs)


def test_training_lowers_the_loss_and_learns_the_task(make, corpus):
    manifest, _ = corpus
    brain, batches = make(distil=False)
    fit(brain, batches, epochs=15)
    assert brain.history[-1]["total"] < 0.7 * brain.history[0]["total"]
    posteriors = brain.evaluate(windows_of(corpus), test_loader_kwargs=WHOLE)
    right = [LABELS[posteriors[row.id].argmax()] == row.emotion for row in manifest]
    assert np.mean(right) > 0.9


def test_distillation_logs_parts_gate_and_trust_and_leaves_the_teachers_unchanged(make):
    before = make.stored.clone()
    brain, batches = make()
    fit(brain, batches)
    last = brain.history[-1]
    parts = {"total", "cross_entropy", "integrated_soft_targets", "weighting", "gate", "trust/a", "trust/b/high"}
    assert parts <= set(last) and 0 <= last["gate"] <= 1
    assert last["trust/a"] + last["trust/b"] == pytest.approx(1.0)
    assert torch.equal(make.stored, before) and not make.stored.requires_grad


def test_averaged_weights_are_kept_and_lag_behind_the_last_ones(make):
    brain, batches = make()
    kept = fit(brain, batches)
    assert kept is brain.average.module and brain.average.decay == 0.5 and not same_weights(kept, brain.student)
    last, batches = make(folder="last", weight_average=0.0)
    assert same_weights(fit(last, batches), brain.student)


def test_workers_change_no_weight(make):
    assert same_weights(fit(*make(folder="alone")), fit(*make(folder="workers", num_workers=2)))
    left = multiprocessing.active_children()  # other tests may keep a pool of joblib
    assert not [process for process in left if not process.name.startswith("Loky")]


def test_a_valid_set_is_logged_and_changes_no_weight(make, corpus):
    valid = windows_of(corpus)
    plain, validated, seldom = (make(folder=name) for name in ("plain", "validated", "seldom"))
    seldom[0].hparams.valid_every = 3
    students = [fit(*plain), fit(*validated, valid=valid), fit(*seldom, valid=valid)]
    assert same_weights(students[0], students[1]) and same_weights(students[0], students[2])
    rows = validated[0].history
    assert all({"valid/cross_entropy", "valid/ua"} <= set(row) and 0 <= row["valid/ua"] <= 1 for row in rows)
    training = [{key: value for key, value in row.items() if not key.startswith("valid/")} for row in rows]
    assert training == plain[0].history
    assert [row["epoch"] for row in seldom[0].history if "valid/ua" in row] == [3]


def test_a_killed_training_continues_to_the_same_weights_from_the_newest_readable_checkpoint(make, tmp_path, caplog):
    whole, batches = make(folder="whole")
    expected = fit(whole, batches)
    killed, batches = make(folder="killed", keep=3)
    kill_before(killed, epoch=4)
    with pytest.raises(KeyboardInterrupt):
        fit(killed, batches)
    folders = sorted((tmp_path / "killed/checkpoints").iterdir(), key=lambda place: place.stat().st_mtime)
    assert len(folders) == 3
    (folders[-1] / "student.ckpt").write_bytes(b"not a checkpoint")
    (folders[-2] / "CKPT.yaml").write_text("")
    (tmp_path / "killed/checkpoints/unfinished+CKPT+x").mkdir()  # killed while saving
    continued, batches = make(folder="killed", keep=3)
    assert same_weights(fit(continued, batches), expected) and continued.history == whole.history
    assert str(folders[-1]) in caplog.text and str(folders[-2]) in caplog.text
    assert not (tmp_path / "killed/checkpoints/unfinished+CKPT+x").exists()
    remove_checkpoints(tmp_path / "killed")
    assert not (tmp_path / "killed/checkpoints").exists()


def test_a_checkpoint_is_read_without_running_code(make, tmp_path):
    class Harmful:
        def __reduce__(self):
            return (tmp_path / "touched").touch, ()

    killed, batches = make(distil=False, keep=1)
    fit(killed, batches, epochs=1)
    (folder,) = (tmp_path / "run/checkpoints").iterdir()
    torch.save({"head.bias": Harmful()}, folder / "student.ckpt")
    with pytest.raises(ValueError, match=r"checkpoints can be used"):
        fit(*make(distil=False, keep=1))
    assert not (tmp_path / "touched").exists()


def test_a_checkpoint_of_another_shape_is_named(make, tmp_path):
    fit(*make(distil=False), epochs=1)
    brain, batches = make(distil=False)
    brain.student.head = nn.Linear(8, 3)
    with pytest.raises(ValueError, match=r"checkpoints can be used .*size mismatch"):
        fit(brain, batches)


def test_debug_limits_batches_and_epochs_but_never_the_test(make, corpus):
    manifest, _ = corpus
    brain, batches = make(distil=False, weight_average=0.0)
    brain.debug, brain.debug_batches, brain.debug_epochs = True, 1, 2
    fit(brain, batches)
    assert [row["epoch"] for row in brain.history] == [1, 2] and brain.optimizer_step == 2
    scored = brain.evaluate(windows_of(corpus), test_loader_kwargs=WHOLE)
    assert set(scored) == set(manifest.ids)


def test_train_loggers_get_every_epoch_once_also_after_a_kill(make, corpus, tmp_path):
    brain, batches = make(train_logger=loggers.FileTrainLogger(tmp_path / "log.txt"))
    fit(brain, batches, valid=windows_of(corpus))
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert len(lines) == 4 and all("train total" in line and "valid ua" in line and "lr" in line for line in lines)
    for attempt in range(2):
        brain, batches = make(folder="board", train_logger=loggers.TensorboardLogger(tmp_path / "board"))
        if attempt == 0:
            kill_before(brain, epoch=3)
            with pytest.raises(KeyboardInterrupt):
                fit(brain, batches)
        else:
            fit(brain, batches)
    found = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [scalar.step for scalar in found.Scalars("total/train")] == [1, 2, 3, 4]


def test_a_training_that_diverges_names_run_epoch_and_learning_rate(make, tmp_path):
    brain, batches = make(distil=False, lr=1e30, warmup=0.0)
    with pytest.raises(ValueError, match=r"/run: the loss is (nan|inf) in epoch 1, .* 9.83e\+29; lower") as caught:
        fit(brain, batches)
    assert sentence_for(caught.value) and not list((tmp_path / "run/checkpoints").iterdir())


def test_a_student_with_a_weight_that_is_not_finite_is_not_kept(make):
    brain, batches = make(distil=False, weight_average=0.0)

    def spoil(epoch):
        brain.student.head.weight.data[0, 0] = float("nan") if epoch == 4 else 1.0

    brain.on_epoch_end = spoil
    with pytest.raises(ValueError, match="a weight is not finite after epoch 4"):
        fit(brain, batches)


def test_the_same_seed_gives_the_same_student_and_another_seed_another(make):
    weights = [fit(*make(folder=f"run{n}", seed=seed)).head.weight for n, seed in enumerate((5, 5, 6))]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_student_with_a_pretrained_encoder_fits_its_head_first(make, corpus, tmp_path):
    manifest, _ = corpus
    _, batches = make()
    torch.manual_seed(0)
    student = EncoderStudent(num_classes=2, **EncoderStudent.example_options)
    objective = build_objective(
        {
            "task": {"name": "cross_entropy"},
            "distill": [{"name": "integrated_soft_targets", "temperature": 2.0}],
            "weighting": {"name": "adapter"},
            "gate": {"name": "teacher_error", "theta": 0.0},  # closed: only labels are learned
        },
        num_teachers=2,
        student_frame_dim=student.output_dims()["student_frame_dim"],
    )
    before = {name: tensor.clone() for name, tensor in student.encoder.state_dict().items()}

    def brain_with_a_head(student):
        modules = {"student": student, "objective": objective}
        hparams = {"label_order": LABELS, "head_decay": 1.0, "store_folder": str(tmp_path)}
        brain = DistillBrain(modules, partial(torch.optim.AdamW, lr=0.1), hparams, {"device": "cpu"})
        brain.fit_head(DataLoader(batches.dataset, **loader_options(whole_draws(batches.dataset.sources, 8))))
        return brain

    first = copy.deepcopy(student)
    brain = brain_with_a_head(student)
    fit(brain, batches, epochs=0)
    posteriors = brain.evaluate(windows_of(corpus), test_loader_kwargs=WHOLE)
    assert np.mean([LABELS[posteriors[row.id].argmax()] == row.emotion for row in manifest]) > 0.9
    assert all(torch.equal(tensor, before[name]) for name, tensor in brain.kept.encoder.state_dict().items())
    (row,) = brain.history
    assert row["epoch"] == 0 and row["gate"] == 0 and row["trust/a"] + row["trust/b"] == pytest.approx(1.0)

    first.forward = None  # the encoder's outputs are read from disk
    again = brain_with_a_head(first)
    assert torch.equal(again.student.centre, student.centre)


def test_defaults_of_the_brain_are_those_of_the_settings():
    declared = with_defaults({})
    shared = set(DEFAULTS) & set(declared) - {"train_logger"}  # None outside a recipe: no log
    assert len(shared) >= 6 and {key: DEFAULTS[key] for key in shared} == {key: declared[key] for key in shared}
