"""SpeechBrain's Checkpointer, made safe against a kill: a checkpoint is there whole or not at all."""

import logging
import os
import pickle
import shutil
from pathlib import Path

from yaml import YAMLError

from akd_toolkit.environment import sb
from akd_toolkit.training.processes import barrier

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"  # of a training that is not done, in its run's folder
UNFINISHED = "unfinished+"
DAMAGED = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError, YAMLError)


class SafeCheckpointer(sb.utils.checkpoints.Checkpointer):
    """SpeechBrain's Checkpointer of whole checkpoints; the newest that can be read is continued.

    A checkpoint is written beside the others and renamed when it is complete. One that is damaged is skipped with a
    warning, and the one before it is used. Files hold tensors and plain numbers alone: ``torch.load`` reads weights
    only, the rest is JSON and safe YAML, so that reading a checkpoint runs no code.

    Arguments
    ---------
    checkpoints_dir
        Folder of the checkpoints, made if missing.
    options
        As SpeechBrain's.
    """

    def __init__(self, checkpoints_dir: str | Path, **options):
        super().__init__(checkpoints_dir, **options)
        self.unreadable: set[Path] = set()

    def save_checkpoint(self, *args, **options):
        """As SpeechBrain's, but written aside and renamed."""
        if sb.utils.distributed.if_main_process():
            for left in self.checkpoints_dir.glob(f"{UNFINISHED}*"):  # by a process that was killed
                shutil.rmtree(left)
        saved = super().save_checkpoint(*args, **options)
        if saved is not None:  # by the main process
            place = saved.path.with_name(saved.path.name.removeprefix(UNFINISHED))
            os.replace(saved.path, place)
        barrier()  # all processes see the same checkpoints when they delete the oldest together
        if saved is None:
            return None
        return saved._replace(path=place, paramfiles={name: place / file.name for name, file in saved[2].items()})

    def recover_if_possible(self, importance_key=None, max_key=None, min_key=None, ckpt_predicate=None):
        """Load the best checkpoint that can be read, by default the newest; None where there is none.

        Raises
        ------
        ValueError
            If there are checkpoints and none can be read, or all are of another model.
        """
        reason = None
        for checkpoint in self.find_checkpoints(importance_key, max_key, min_key, ckpt_predicate):
            try:
                self.load_checkpoint(checkpoint)
                return checkpoint
            except DAMAGED as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split()).partition(". ")[0][:200]
                logger.warning("the checkpoint %s cannot be used (%s); trying the one before.", checkpoint.path, reason)
        if reason is not None:
            raise ValueError(
                f"no checkpoint in {self.checkpoints_dir} can be used ({reason}); delete that folder to start over."
            )
        return None

    def list_checkpoints(self) -> list:
        """Every checkpoint whose description can be read."""
        found = []
        for place in self._list_checkpoint_dirs():
            try:
                (checkpoint,) = self._construct_checkpoint_objects([place])
                checkpoint.meta["unixtime"], checkpoint.meta["end-of-epoch"]
                found.append(checkpoint)
            except DAMAGED as error:
                if place not in self.unreadable:
                    logger.warning("the checkpoint %s cannot be read (%s); it is skipped.", place, type(error).__name__)
                self.unreadable.add(place)
        return found

    def _new_checkpoint_dirpath(self) -> Path:
        place = super()._new_checkpoint_dirpath()
        return place.with_name(UNFINISHED + place.name)

    def _custom_checkpoint_dirpath(self, name: str) -> Path:
        place = super()._custom_checkpoint_dirpath(name)
        return place.with_name(UNFINISHED + place.name)


def remove_checkpoints(folder: str | Path) -> None:
    """Delete the checkpoints in the folder of a run that is done."""
    shutil.rmtree(Path(folder) / FOLDER, ignore_errors=True)
