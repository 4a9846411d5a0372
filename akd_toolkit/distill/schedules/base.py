"""What every schedule promises."""


class Schedule:
    """A number that moves with the share of training that is done.

    Any number that a loss, gate or weighting takes, its ``weight`` included, may be given in YAML as
    ``{name: linear, start: 4.0, end: 1.0}``. The value depends on the share alone, so that a run that was stopped and
    continued goes on where it was.

    Shape
    -----
    (progress in [0, 1]) -> a number.
    """

    example_options: dict = {}

    def __call__(self, progress: float) -> float:
        raise NotImplementedError
