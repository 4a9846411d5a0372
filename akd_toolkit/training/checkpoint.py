"""The state of an unfinished training: one file, whole or not there."""

from pathlib import Path

import torch

from akd_toolkit.data.files import written_aside


def save_state(path: str | Path, state: dict) -> None:
    """Write ``state`` aside, then rename it over ``path``: a kill in the middle leaves the previous state."""
    with written_aside(path) as aside:
        torch.save(state, aside)


def load_state(path: str | Path) -> dict | None:
    """The state at ``path``, tensors and plain data only, or None where there is none."""
    if not Path(path).is_file():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        raise ValueError(
            f"the checkpoint {path} cannot be read ({type(error).__name__}); delete it to start over."
        ) from None
