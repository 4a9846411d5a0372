"""SpeechBrain's Checkpointer with atomic checkpoints."""

import logging
import os
import pickle
import shutil
from pathlib import Path

from yaml import YAMLError

from akd_toolkit.environment import sb
from akd_toolkit.training.processes import barrier, is_main

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"  # in the run's folder, until the run is done
UNFINISHED = "unfinished+"
DAMAGED = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError, YAMLError)


class SafeCheckpointer(sb.utils.checkpoints.Checkpointer):
    """SpeechBrain's Checkpointer; a checkpoint is written aside and renamed when complete.

    Damaged checkpoints are skipped with a warning. Loading runs no code: ``torch.load`` reads weights only, the rest is
    JSON and safe YAML.

    Arguments
    ---------
    checkpoints_dir
        Folder of the checkpoints, created if missing.
    options
        As SpeechBrain's.
    """

    def __init__(self, checkpoints_dir: str | Path, **options):
        super().__init__(checkpoints_dir, **options)
        self.unreadable: set[Path] = set()

    def save_checkpoint(self, *args, **options):
        if is_main():
            for left in self.checkpoints_dir.glob(f"{UNFINISHED}*"):  # from a killed process
                shutil.rmtree(left)
        saved = super().save_checkpoint(*args, **options)
        if saved is not None:  # in the main process
            place = saved.path.with_name(saved.path.name.removeprefix(UNFINISHED))
            os.replace(saved.path, place)
            files = {name: place / file.name for name, file in saved.paramfiles.items()}
            saved = saved._replace(path=place, paramfiles=files)
        barrier()  # all processes must see the same checkpoints when they delete the oldest together
        return saved

    def recover_if_possible(self, importance_key=None, max_key=None, min_key=None, ckpt_predicate=None):
        """Load the best readable checkpoint, by default the newest; None without checkpoints.

        Raises
        ------
        ValueError
            If there are checkpoints and none fits.
        """
        reason = None
        for checkpoint in self.find_checkpoints(importance_key, max_key, min_key, ckpt_predicate):
            try:
                self.load_checkpoint(checkpoint)
                return checkpoint
            except DAMAGED as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split()).partition(". ")[0][:200]
                logger.warning("the checkpoint %s cannot be used (%s); trying the previous.", checkpoint.path, reason)
        if reason is not None:
            raise ValueError(
                f"no checkpoint in {self.checkpoints_dir} can be used ({reason}); delete that folder to start over."
            )
        return None

    def list_checkpoints(self) -> list:
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
    """Delete the checkpoints in a run's folder."""
    shutil.rmtree(Path(folder) / FOLDER, ignore_errors=True)
