"""Progress bars on a terminal; in a pipe or a file there are only the lines of the log."""

import tqdm as bars

HIDDEN: bool | None = None  # tqdm's ``disable``; None: hidden where standard error is not a terminal


class tqdm(bars.tqdm):
    """tqdm's progress bar, see ``HIDDEN``."""

    def __init__(self, *arguments, disable: bool = False, **options):
        super().__init__(*arguments, disable=disable or HIDDEN, **options)
