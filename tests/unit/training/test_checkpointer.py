"""Checkpoints of a training by several processes."""

import pytest
from torch import nn

from akd_toolkit.environment import sb
from akd_toolkit.training import checkpointer
from akd_toolkit.training.checkpointer import SafeCheckpointer


@pytest.mark.parametrize("main", [True, False])
def test_no_process_deletes_old_checkpoints_before_the_new_one_has_its_name(tmp_path, monkeypatch, main):
    """Each deletion waits for all processes; with different lists of checkpoints they would wait forever."""
    events, names = [], lambda: sorted(path.name.partition("+")[0] for path in tmp_path.glob("*+*"))
    monkeypatch.setattr(checkpointer, "barrier", lambda: events.append(names()))
    if not main:
        monkeypatch.setattr(sb.utils.checkpoints.Checkpointer, "save_checkpoint", lambda *args, **options: None)
    SafeCheckpointer(tmp_path, recoverables={"layer": nn.Linear(1, 1)}).save_checkpoint()
    assert events == [["CKPT"] if main else []]
