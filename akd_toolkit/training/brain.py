"""The training loop: a SpeechBrain Brain for distillation."""

import json
import logging
import time
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from akd_toolkit.data.augment import build_augmentations
from akd_toolkit.data.batches import Batch
from akd_toolkit.environment import sb
from akd_toolkit.outputs import ModelOutput, ObjectiveResult, Posteriors, TeacherOutput
from akd_toolkit.progress import tqdm
from akd_toolkit.training.averaging import WeightAverage
from akd_toolkit.training.front_end import changed_front_end
from akd_toolkit.training.head import fit_head
from akd_toolkit.training.optimisation import parameter_groups, warmup_cosine
from akd_toolkit.training.posteriors import MeanPosteriors
from akd_toolkit.training.processes import BrainOfProcesses, average_buffers, broadcast, is_main, mean_over_processes

Stage = sb.Stage

DEFAULTS = {
    "seed": 0,
    "label_order": (),  # class names for the log
    "warmup": 0.0,  # share of all steps over which the learning rate rises
    "weight_average": 0.0,  # decay of averaged weights; 0 keeps the last ones
    "head_decay": None,
    "unlabelled_ratio": 1.0,  # weight of unlabelled utterances when the head is fitted
    "augment": None,
    "valid_every": 1,  # epochs between validations; 0 for none
    "checkpoints": 2,  # how many are kept
    "save_every_s": 20.0,  # seconds between checkpoints, at the ends of epochs
    "train_logger": None,
    "output_folder": "training",  # names the training on the progress bar and in errors
    "store_folder": "store",
}


@sb.utils.checkpoints.register_checkpoint_hooks
class DistillBrain(BrainOfProcesses):
    """Train a student on labels and, if the batches have them, on stored teacher outputs.

    Every epoch has its own seed, so that a killed and continued training ends with the same weights. The learning rate
    rises linearly over the share ``warmup`` of all steps, then falls to 0 along half a cosine. For a mixed batch
    (``augment.Mixup``) the objective is the mean over both utterances, weighted by their shares. The valid set is only
    logged; the weights of the last epoch are used.

    Arguments
    ---------
    modules
        ``student`` and ``objective``, which may have weights of its own.
    opt_class
        Takes parameter groups, such as ``functools.partial(torch.optim.AdamW, lr=0.003)``.
    hparams
        Keys of ``DEFAULTS``.
    run_opts
        SpeechBrain's run options, such as device and precision.
    checkpointer
        Such as ``SafeCheckpointer``, or None to save nothing.

    Example
    -------
    >>> from akd_toolkit.data.batches import collate
    >>> from akd_toolkit.distill.objective import build_objective
    >>> from akd_toolkit.registry import STUDENTS
    >>> modules = {"student": STUDENTS.example("micro_cnn", num_classes=2)}
    >>> modules["objective"] = build_objective({"task": {"name": "cross_entropy"}})
    >>> brain = DistillBrain(modules, partial(torch.optim.AdamW, lr=0.01), {"label_order": ["low", "high"]})
    >>> batches = [collate(["a", "b"], [np.full(1600, level, np.float32) for level in (0.1, 0.9)], [0, 1])]
    >>> loader = DataLoader(batches, batch_size=None)
    >>> brain.fit(range(1, 4), loader, progressbar=False)
    >>> sorted(brain.evaluate(loader)), [row["epoch"] for row in brain.history]
    (['a', 'b'], [1, 2, 3])
    """

    def __init__(self, modules=None, opt_class=None, hparams=None, run_opts=None, checkpointer=None):
        super().__init__(modules, opt_class, {**DEFAULTS, **(hparams or {})}, run_opts, checkpointer)
        self.student, self.objective = modules["student"], modules["objective"]
        self.augmentations = build_augmentations(self.hparams.augment, stage="features")
        self.average = None
        if self.hparams.weight_average:
            self.average = WeightAverage(self.student, self.hparams.weight_average)
        self.history: list[dict] = []  # one row per epoch
        self.seconds = 0.0  # of training, over all starts of this run
        self.epoch = 0

    @property
    def kept(self) -> torch.nn.Module:
        """The final student, with averaged weights if there are any."""
        averaged = self.average is not None and self.average.n_averaged > 0
        return self.average.module if averaged else self.student

    # A batch

    def compute_forward(self, batch: Batch, stage) -> ModelOutput:
        student = self.modules.student if stage == Stage.TRAIN else self.kept
        return student(batch.waveforms, batch.lengths)

    def compute_objectives(self, output: ModelOutput, batch: Batch, stage) -> Tensor:
        teacher, labels, attributes = batch.teacher, batch.labels, batch.attributes
        result = self.modules.objective(output, teacher, labels, attributes)
        if batch.partner is not None:
            rows = batch.partner
            teacher_too = None if teacher is None else teacher.taken(rows)
            attributes_too = None if attributes is None else attributes[rows]
            partner = self.modules.objective(output, teacher_too, labels[rows], attributes_too)
            result = result.mixed(partner, batch.share)
        self.log_batch(result, teacher, labels)
        if stage != Stage.TRAIN:
            self.posteriors.add(batch, output)
        return result.total

    def fit_batch(self, batch: Batch) -> Tensor:
        return super().fit_batch(batch.to(self.device))

    def evaluate_batch(self, batch: Batch, stage) -> Tensor:
        return super().evaluate_batch(batch.to(self.device), stage)

    def log_batch(self, result: ObjectiveResult, teacher: TeacherOutput | None, labels: Tensor) -> None:
        """Log the objective's values of a batch."""
        names = () if teacher is None else teacher.names
        for part, value in result.logged(labels, self.hparams.label_order, names).items():
            self.log.setdefault(part, []).append(value)

    # The loop over epochs

    def fit_head(self, whole) -> None:
        """Fit the student's head before training, as epoch 0; ``whole`` yields batches of whole utterances."""
        begin, self.log, hparams = time.monotonic(), {}, self.hparams
        options = hparams.head_decay, hparams.store_folder, hparams.unlabelled_ratio, self.device
        self.log_batch(*fit_head(self.student, self.objective, whole, *options))
        self.history.append({"epoch": 0, **self._means()})
        self.seconds += time.monotonic() - begin

    def fit(
        self,
        epoch_counter,
        train_set,
        valid_set=None,
        progressbar=None,
        train_loader_kwargs=None,
        valid_loader_kwargs=None,
    ) -> None:
        """As SpeechBrain's, with one progress bar for all epochs."""
        if not isinstance(train_set, DataLoader):
            train_set = self.make_dataloader(train_set, Stage.TRAIN, None, **(train_loader_kwargs or {}))
        parts = (train_set.dataset, train_set.batch_sampler, train_set.sampler)
        self.drawn_by_epoch = [part for part in parts if hasattr(part, "set_epoch")]
        self.counter = epoch_counter
        epochs = epoch_counter.limit if hasattr(epoch_counter, "limit") else len(epoch_counter)
        self.total_steps = max(1, epochs * (len(train_set) // self.grad_accumulation_factor))
        if self.average is not None:
            self.average.set_length(self.total_steps)
        show = (not self.noprogressbar if progressbar is None else progressbar) and is_main()
        hidden = {} if show else {"disable": True}
        bar = tqdm(total=epochs, desc=str(self.hparams.output_folder), unit="epoch", **hidden)
        with bar as self.bar, changed_front_end(self.student, self.augmentations):
            super().fit(epoch_counter, train_set, valid_set, False, {}, dict(valid_loader_kwargs or {}))
            if self.kept is not self.student:
                self._estimate_norms(train_set, epochs)
        if (writer := getattr(self.hparams.train_logger, "writer", None)) is not None:  # of TensorBoard
            writer.close()
        if not all(weights.isfinite().all() for weights in self.kept.state_dict().values()):
            raise self._diverged("a weight is not finite after")
        self.kept.eval()

    def _estimate_norms(self, train_set, epochs: int) -> None:
        """Batch-norm statistics of the averaged weights, over one epoch more of training batches."""
        self._seed_epoch(epochs + 1)
        with changed_front_end(self.kept, self.augmentations):
            self.average.estimate_norms(islice(train_set, self.debug_batches if self.debug else None), self.device)
        if self.distributed_launch:
            average_buffers(self.kept)

    def init_optimizers(self) -> None:
        self.optimizer = self.opt_class(parameter_groups(self.student, self.objective, self.opt_class))
        self.optimizers_dict = {"opt_class": self.optimizer}
        factor = partial(warmup_cosine, total=self.total_steps, warmup=self.hparams.warmup)
        self.schedule = LambdaLR(self.optimizer, factor)
        if self.checkpointer is not None:
            stateful = {"student": self.student, "objective": self.objective, "average": self.average}
            stateful |= {"optimizer": self.optimizer, "schedule": self.schedule, "epoch_counter": self.counter}
            for name, part in stateful.items():
                if hasattr(part, "_recover") or (hasattr(part, "state_dict") and part.state_dict()):
                    self.checkpointer.add_recoverable(name, part)

    def on_fit_start(self) -> None:
        self.last_save = time.monotonic()
        super().on_fit_start()  # loads a checkpoint if there is one
        self.bar.update(max((row["epoch"] for row in self.history), default=0))

    def on_stage_start(self, stage, epoch=None) -> None:
        self.log: dict[str, list[float]] = {}
        if stage == Stage.TRAIN:
            self.epoch, self.epoch_began = epoch, time.monotonic()
            self._seed_epoch(epoch)
        else:
            self.posteriors = MeanPosteriors()
            self.kept.eval()

    def _seed_epoch(self, epoch: int) -> None:
        """Random numbers of one epoch, the same in a run that was continued."""
        torch.manual_seed(1_000_003 * self.hparams.seed + epoch)
        torch.empty((), dtype=torch.int64).random_()  # as a DataLoader without a generator does
        for part in self.drawn_by_epoch:
            part.set_epoch(epoch)

    def on_fit_batch_start(self, batch, should_step) -> None:
        self.objective.set_progress(self.optimizer_step / self.total_steps)

    def on_fit_batch_end(self, batch, outputs, loss, should_step) -> None:
        if not should_step:
            return
        self.schedule.step()
        if self.distributed_launch and self.device_type == "cpu":  # SyncBatchNorm on GPUs
            average_buffers(self.student)
        if self.average is not None:
            self.average.update_parameters(self.student)

    def on_stage_end(self, stage, stage_loss, epoch=None) -> None:
        if stage == Stage.TRAIN:
            self.seconds += time.monotonic() - self.epoch_began
            self.train_loss, self.train_stats, self.valid_stats = stage_loss, self._means(), None
        elif stage == Stage.VALID:
            # without teachers the total has other parts than in training
            parts = {part: value for part, value in self._means().items() if part != "total"}
            self.valid_stats = {**parts, "ua": self.posteriors.ua()}

    def _fit_valid(self, valid_set, epoch, enable) -> None:
        """Called by SpeechBrain after the training stage of every epoch."""
        every = self.hparams.valid_every
        if valid_set is not None and every and epoch % every == 0:
            super()._fit_valid(valid_set, epoch, enable)
        self.on_epoch_end(epoch)

    def on_epoch_end(self, epoch: int) -> None:
        """Log the epoch, and save a checkpoint if the last one is older than ``save_every_s``."""
        valid = {f"valid/{part}": value for part, value in (self.valid_stats or {}).items()}
        self.history.append({"epoch": epoch, **self.train_stats, **valid})
        if self.hparams.train_logger is not None:
            about = {"epoch": epoch, "lr": self.optimizer.param_groups[0]["lr"]}
            self.hparams.train_logger.log_stats(about, self.train_stats, self.valid_stats, verbose=False)
        self.bar.update()
        self.bar.set_postfix(loss=f"{self.train_loss:.3f}")
        now = time.monotonic()
        if self.checkpointer is not None and broadcast(now - self.last_save > self.hparams.save_every_s):
            keep = {"num_to_keep": self.hparams.checkpoints, "importance_keys": [], "verbosity": logging.DEBUG}
            self.checkpointer.save_and_keep_only(meta={"epoch": epoch}, **keep)
            self.last_save = now

    def _means(self) -> dict[str, float]:
        return mean_over_processes({part: float(np.mean(values)) for part, values in self.log.items()})

    # Scoring

    def evaluate(self, test_set, max_key=None, min_key=None, progressbar=None, test_loader_kwargs=None) -> Posteriors:
        """Mean posterior over the windows of each utterance of ``test_set``, never shortened by ``debug_batches``."""
        debug, self.debug = self.debug, False
        super().evaluate(test_set, max_key, min_key, False, dict(test_loader_kwargs or {}))
        self.debug = debug
        return self.posteriors.mean()

    def on_evaluate_start(self, max_key=None, min_key=None) -> None:
        """Keeps the last epoch instead of loading the best checkpoint."""

    # Errors, checkpoints

    def check_loss_isfinite(self, loss) -> None:
        try:
            super().check_loss_isfinite(loss)
        except ValueError:
            raise self._diverged(f"the loss is {loss.item()} in") from None

    def _diverged(self, what: str) -> ValueError:
        lr = max(group["lr"] for group in self.optimizer.param_groups)
        return ValueError(
            f"{self.hparams.output_folder}: {what} epoch {self.epoch}, at a learning rate of {lr:.3g}; lower it "
            "(--opt_class.lr), or train with --precision fp32."
        )

    @sb.utils.checkpoints.mark_as_saver
    def _save(self, path) -> None:
        state = {"optimizer_step": self.optimizer_step, "history": self.history, "seconds": self.seconds}
        state["logged"] = getattr(self.hparams.train_logger, "global_step", None)  # of TensorBoard
        path.write_text(json.dumps(state), encoding="utf-8")

    @sb.utils.checkpoints.mark_as_loader
    def _recover(self, path, end_of_epoch) -> None:
        state = json.loads(path.read_text(encoding="utf-8"))
        self.optimizer_step, self.history, self.seconds = (state[k] for k in ("optimizer_step", "history", "seconds"))
        if state["logged"] is not None:
            self.hparams.train_logger.global_step = state["logged"]
