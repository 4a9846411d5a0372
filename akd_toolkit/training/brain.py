"""The training loop: SpeechBrain's Brain, taught to distil."""

import math
import time
from dataclasses import replace
from functools import reduce
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm import tqdm

from akd_toolkit.data.augment import build_augmentations
from akd_toolkit.environment import sb
from akd_toolkit.outputs import UNLABELLED, ModelOutput, ObjectiveResult, Posteriors, TeacherOutput
from akd_toolkit.training.checkpoint import load_state, save_state
from akd_toolkit.training.front_end import changed_front_end

SAVE_EVERY_S = 20.0
# (student, sound) -> embedding and maxima of a student that has not been trained
FIRST_LOOKS: dict[tuple, tuple[torch.Tensor, torch.Tensor]] = {}


class SupervisedBrain(sb.Brain):
    """Train a student on labels alone, then score it on speakers that it never heard.

    A student that can fit its head at once (``fit_head``) does so first where ``head_decay`` is set; with 0 epochs that
    is all. Every epoch begins from a seed of its own, so that a run that was killed and continued draws the same random
    numbers and ends with the same weights. The learning rate rises linearly over the share ``warmup`` of all steps
    and then falls to 0 along half a cosine. Where a batch is mixed (``augment.Mixup``), the objective is asked twice of
    what the student says of the mixture, once with what holds of either utterance, and both are weighed by their
    shares in the sound.

    Arguments
    ---------
    student, objective
        The modules to train; the objective may hold weights of its own, which no student keeps.
    hparams
        The recipe's built settings: ``opt_class``, ``number_of_epochs``, ``warmup``, ``weight_average``, ``augment``
        (those inside the front end; the others come with the batches) and, where the student can fit its head,
        ``head_decay``.
    seed
        Of this training, a non-negative integer.
    folder
        Where the checkpoint goes.
    run_opts
        SpeechBrain's run options, such as device and precision.
    """

    def __init__(self, student, objective, hparams: dict, seed: int, folder: str | Path, run_opts: dict | None = None):
        # Only what is read here: SpeechBrain takes any key that is named like one of its run options for that option.
        read = {key: hparams[key] for key in ("number_of_epochs", "label_order")}
        read |= {key: hparams.get(key, 0.0) for key in ("warmup", "weight_average")}
        read["head_decay"] = hparams.get("head_decay")
        modules = {"student": student, "objective": objective}
        run_opts = run_opts or {}
        # A loss scaled for fp16 may overflow until the scale has adapted; any other is never finite again.
        patience = {} if run_opts.get("precision") == "fp16" else {"nonfinite_patience": 0}
        super().__init__(modules, hparams["opt_class"], read, {**patience, **run_opts})
        self.seed = seed
        self.augmentations = build_augmentations(hparams.get("augment"), stage="features")
        self.title = str(folder)
        self.checkpoint = Path(folder) / "checkpoint.pt"
        self.epoch = self.epochs_done = 0
        average = get_ema_multi_avg_fn(read["weight_average"])
        self.average = (
            AveragedModel(student, multi_avg_fn=average, use_buffers=True) if read["weight_average"] else None
        )
        self.history: list[dict] = []  # one row an epoch: the mean of every part of the objective
        self.seconds = 0.0  # spent on training, over all starts of this run

    def train_student(self, batches, progressbar: bool = True) -> torch.nn.Module:
        """Train for ``number_of_epochs``, from the checkpoint if there is one; returns the student to keep.

        ``batches`` is iterated once an epoch and told which by ``set_epoch``.
        """
        if self.hparams.head_decay is not None:
            self.fit_head(batches)
        self.total_steps = len(batches) * self.hparams.number_of_epochs
        self.train_sampler = batches  # SpeechBrain calls its set_epoch
        hidden = {} if progressbar else {"disable": True}
        bar = tqdm(total=self.hparams.number_of_epochs, desc=self.title, unit="epoch", **hidden)
        with bar as self.bar, changed_front_end(self.modules.student, self.augmentations):
            self.fit(self._epochs(), DataLoader(batches, batch_size=None), progressbar=False)
        averaged = self.average is not None and self.average.n_averaged > 0
        student = self.average.module if averaged else self.modules.student
        if not all(weights.isfinite().all() for weights in student.state_dict().values()):
            raise self._diverged("a weight is not finite after")
        return student.eval()

    def fit_head(self, batches) -> None:
        """Fit the head of a student that begins as its teacher at once, on what its encoder says at the start.

        The weighting learns whom to trust first, from its own supervision; the head then learns the objective's
        blended targets on every view of every utterance.

        Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features": a linear probe first.
        """
        start = time.monotonic()
        student, objective = self.modules.student.eval(), self.modules.objective.cpu()
        # All but the head that is about to be fitted; the same in every fold and for every seed.
        weights = [tensor for name, tensor in student.state_dict().items() if not name.startswith("classifier")]
        self.untrained = tuple(float(tensor.double().abs().sum()) for tensor in weights)
        seen = [(self._first_look(batch), self.teacher_of(batch), batch.labels) for batch in batches.whole()]
        embedding, peaks = (torch.cat(parts) for parts in zip(*(look for look, _, _ in seen)))
        labels = torch.cat([labels for _, _, labels in seen])
        teacher = None if seen[0][1] is None else reduce(TeacherOutput.joined, (said for _, said, _ in seen))
        output = ModelOutput(torch.zeros(len(labels), student.num_classes), embedding, frames=peaks[:, None])
        decay = self.hparams.head_decay
        objective.fit_weighting(output, teacher, labels, decay)
        targets, temperature = objective.blended_targets(output, teacher, labels)
        logits = student.fit_head(embedding.to(self.device), targets.to(self.device), temperature, decay=decay).cpu()
        self.epoch_log: dict[str, list[float]] = {}
        with torch.no_grad():
            self.note(objective(replace(output, logits=logits), teacher, labels), teacher, labels)
        objective.to(self.device)
        self._end_epoch(0)
        self.seconds += time.monotonic() - start

    @torch.no_grad()
    def _first_look(self, batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings and per-channel maxima of a batch, on the CPU.

        The encoder is the same in every fold before it is trained, so that each utterance runs through it once.
        """
        keys = [(self.untrained, *key) for key in _sounds(batch)]
        missing = [row for row, key in enumerate(keys) if key not in FIRST_LOOKS]
        if missing:
            output = self.modules.student(
                batch.waveforms[missing].to(self.device), batch.lengths[missing].to(self.device)
            )
            peaks = output.frames.masked_fill(~output.frame_mask()[..., None], float("-inf")).amax(dim=1)
            looks = zip(output.embedding.cpu(), peaks.cpu())
            FIRST_LOOKS.update({keys[row]: look for row, look in zip(missing, looks)})
        embeddings, peaks = zip(*(FIRST_LOOKS[key] for key in keys))
        return torch.stack(embeddings), torch.stack(peaks)

    def compute_forward(self, batch, stage) -> ModelOutput:
        self.batch = batch.to(self.device)
        return self.modules.student(self.batch.waveforms, self.batch.lengths)

    def compute_objectives(self, output, batch, stage) -> torch.Tensor:
        teacher, labels, attributes = self.teacher_of(self.batch), self.batch.labels, self.batch.attributes
        result = self.modules.objective(output, teacher, labels, attributes)
        if self.batch.partner is not None:
            rows = self.batch.partner
            teacher_there = None if teacher is None else teacher.taken(rows)
            attributes_there = None if attributes is None else attributes[rows]
            there = self.modules.objective(output, teacher_there, labels[rows], attributes_there)
            result = result.mixed(there, self.batch.share)
        self.note(result, teacher, labels)
        return result.total

    def teacher_of(self, batch):
        """What the teachers say of the batch: here, nothing."""
        return None

    def note(self, result: ObjectiveResult, teacher: TeacherOutput | None, labels: torch.Tensor) -> None:
        """Add one batch to the epoch's log."""
        for part, value in {"total": result.total.detach(), **result.parts}.items():
            self.epoch_log.setdefault(part, []).append(float(value))

    # Called by SpeechBrain's loop.

    def init_optimizers(self) -> None:
        """One optimiser; a student with ``parameter_groups`` decides its own learning rates."""
        student, objective = self.modules.student, self.modules.objective
        if hasattr(student, "parameter_groups"):
            groups = student.parameter_groups(self.opt_class.keywords["lr"])
            if getattr(student, "regressor", None) is not None:  # a head that the student does not know of
                groups += [{"params": list(student.regressor.parameters())}]
        else:
            groups = [
                {"params": [p for p in student.parameters() if p.dim() > 1]},
                {"params": [p for p in student.parameters() if p.dim() <= 1], "weight_decay": 0.0},
            ]
        groups += [{"params": list(objective.parameters())}] if list(objective.parameters()) else []
        self.optimizer = self.opt_class(groups)
        self.optimizers_dict = {"opt_class": self.optimizer}
        self.peak_lrs = [group["lr"] for group in self.optimizer.param_groups]

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.last_save = self.last_tick = time.monotonic()
        state = load_state(self.checkpoint)
        if state is not None:
            try:
                for name, part in self._stateful().items():
                    part.load_state_dict(state[name])
            except (RuntimeError, ValueError, KeyError) as error:
                reason = str(error).partition("\n")[0]
                raise ValueError(f"{self.checkpoint} does not fit ({reason}); delete it to start over.") from None
            self.epochs_done = state["epoch"]
            self.optimizer_step = state["step"]
            self.bar.update(state["epoch"])
            self.history, self.seconds = state["history"], state["seconds"]

    def on_stage_start(self, stage, epoch=None) -> None:
        self.epoch, self.epoch_log = epoch, {}
        torch.manual_seed(1_000_003 * self.seed + epoch)

    def on_fit_batch_start(self, batch, should_step) -> None:
        done = self.optimizer_step / self.total_steps
        self.modules.objective.set_progress(done)
        factor = warmup_cosine(done, self.hparams.warmup)
        for group, peak in zip(self.optimizer.param_groups, self.peak_lrs):
            group["lr"] = factor * peak

    def check_loss_isfinite(self, loss) -> None:
        try:
            super().check_loss_isfinite(loss)
        except ValueError:
            raise self._diverged(f"the loss is {loss.item()} in") from None

    def _diverged(self, what: str) -> ValueError:
        lr = max(group["lr"] for group in self.optimizer.param_groups)
        return ValueError(
            f"{self.title}: {what} epoch {self.epoch}, at a learning rate of {lr:.3g}; lower it (--opt_class.lr), or "
            "train with --precision fp32."
        )

    def on_fit_batch_end(self, batch, outputs, loss, should_step) -> None:
        if self.average is not None:
            self.average.update_parameters(self.modules.student)

    def on_stage_end(self, stage, stage_loss, epoch=None) -> None:
        self._end_epoch(epoch)
        self.bar.update()
        self.bar.set_postfix(loss=f"{stage_loss:.3f}")
        now = time.monotonic()
        self.seconds, self.last_tick = self.seconds + now - self.last_tick, now
        if epoch < self.hparams.number_of_epochs and now - self.last_save > SAVE_EVERY_S:
            state = {name: part.state_dict() for name, part in self._stateful().items()}
            plain = {"epoch": epoch, "step": self.optimizer_step, "history": self.history, "seconds": self.seconds}
            save_state(self.checkpoint, {**state, **plain})
            self.last_save = now

    def _end_epoch(self, epoch: int) -> None:
        self.history.append({"epoch": epoch, **{part: float(np.mean(v)) for part, v in self.epoch_log.items()}})

    def _epochs(self):
        """Epochs still to do, from 1; asked for after a checkpoint has been read."""
        yield from range(self.epochs_done + 1, self.hparams.number_of_epochs + 1)

    def _stateful(self) -> dict:
        parts = {"modules": self.modules, "optimizer": self.optimizer}
        return parts if self.average is None else {**parts, "average": self.average}


class DistillBrain(SupervisedBrain):
    """Train a student on labels and on what m teachers say of the same windows.

    The batch carries the teachers' stored output; they never run here. The log adds how far the gate was open and how
    far each teacher was trusted, over all utterances and per class.
    """

    def teacher_of(self, batch):
        return batch.teacher

    def note(self, result: ObjectiveResult, teacher: TeacherOutput | None, labels: torch.Tensor) -> None:
        super().note(result, teacher, labels)
        if result.gate is not None:
            self.epoch_log.setdefault("gate", []).append(float(result.gate.mean()))
        if result.weights is not None:
            for title, trust in zip(teacher.names, result.weights):
                self.epoch_log.setdefault(f"trust/{title}", []).append(float(trust.mean()))
                for label in labels[labels != UNLABELLED].unique().tolist():
                    part = f"trust/{title}/{self.hparams.label_order[label]}"
                    self.epoch_log.setdefault(part, []).append(float(trust[labels == label].mean()))


@torch.no_grad()
def predict(student, batches, device: str = "cpu") -> Posteriors:
    """Mean over the windows of each utterance, of posteriors and of attributes where the student has any."""
    probs: dict[str, list] = {}
    values: dict[str, list] = {}
    for batch in batches:
        batch = batch.to(device)
        output = student(batch.waveforms, batch.lengths)
        for utterance_id, of_window in zip(batch.ids, torch.softmax(output.logits.double(), dim=-1).cpu().numpy()):
            probs.setdefault(utterance_id, []).append(of_window)
        if output.attributes is not None:
            for utterance_id, of_window in zip(batch.ids, output.attributes.double().cpu().numpy()):
                values.setdefault(utterance_id, []).append(of_window)
    averages = [{name: np.mean(windows, axis=0) for name, windows in found.items()} for found in (probs, values)]
    return Posteriors(*averages)


def _sounds(batch) -> list[tuple[str, bytes]]:
    """What tells one sound from another: its utterance, and a digest of its samples."""
    counts = (batch.lengths * batch.waveforms.shape[1]).round().long().tolist()
    digests = [blake2b(wave[:n].numpy().tobytes()).digest() for wave, n in zip(batch.waveforms.cpu(), counts)]
    return list(zip(batch.ids, digests))


def warmup_cosine(done: float, warmup: float) -> float:
    """Share of the peak learning rate after the share ``done`` of all steps.

    Example
    -------
    >>> [round(warmup_cosine(done, warmup=0.2), 3) for done in (0.0, 0.1, 0.2, 0.6, 1.0)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1 - warmup, 1e-9)))
