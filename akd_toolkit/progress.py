"""Progress bars on a terminal; in a pipe or a file there are only the lines of the log."""

import tqdm as bars


class tqdm(bars.tqdm):
    """tqdm's progress bar, hidden where standard error is not a terminal."""

    def __init__(self, *arguments, disable: bool = False, **options):
        super().__init__(*arguments, disable=disable or None, **options)
