"""Windows of a sound whose end is not known: those of the whole."""

import numpy as np
import pytest

from akd_toolkit.data.segments import window_starts
from akd_toolkit.inference.windows import WindowCutter


@pytest.mark.parametrize("size, step", [(7, 7), (7, 5), (7, 1), (1, 1)])
@pytest.mark.parametrize("longest", [1, 3, 40])
def test_windows_are_those_that_the_whole_is_cut_into(size, step, longest):
    random = np.random.default_rng(size + step + longest)
    for total in range(1, 60):
        sound = np.arange(total)
        cutter, found, at = WindowCutter(size, step), [], 0
        while at < total:
            piece = sound[at : at + random.integers(0, longest + 1)]
            found += [window.tolist() for window in cutter.push(piece)]
            at += len(piece)
            assert len(cutter._held) <= size
        found.append(cutter.finish().tolist())
        assert found == [sound[start : start + size].tolist() for start in window_starts(total, size, step)]


@pytest.mark.parametrize("step", [0, 8])
def test_a_step_that_leaves_gaps_is_refused(step):
    with pytest.raises(ValueError, match="step must be from 1 to size = 7 samples"):
        WindowCutter(7, step)
