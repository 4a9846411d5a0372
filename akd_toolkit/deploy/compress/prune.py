"""The step that takes channels away."""

from torch import nn

from akd_toolkit.deploy.compress.base import COMPRESSIONS, Compression, Work, check_count, check_rate
from akd_toolkit.deploy.compress.importance import IMPORTANCES, by_norm, by_taylor
from akd_toolkit.deploy.compress.narrowing import groups_of, narrow_options, narrowed
from akd_toolkit.deploy.compress.tuning import tuned
from akd_toolkit.experiment.parts import build_parts
from akd_toolkit.registry import STUDENTS


@COMPRESSIONS.register("prune")
class Prune(Compression):
    """Take away whole channels, those that matter least, and train on under the same objective.

    What is left is the same kind of student with smaller numbers in its options; it loads and exports as any other.

    Source: Li et al. 2017, "Pruning filters for efficient ConvNets"; Molchanov et al. 2019, "Importance estimation for
    neural network pruning". Channels that must go together are grouped as in Fang et al. 2023, "DepGraph: towards any
    structural pruning", but written down for each student (``couplings.py``): that paper's library, torch-pruning
    1.6.1, takes one input instead of eight from the layer that reads flattened bands.

    Arguments
    ---------
    share
        Share of each width to take away, in [0, 1); one number, or a mapping from options such as
        ``{channels: 0.25, dim: 0.5}``.
    importance
        ``norm`` (squared weights) or ``taylor`` (what the objective loses on training speech).
    multiple
        Widths that shrink become multiples of this, >= 1; 8 suits vector units.
    epochs
        Of training afterwards, >= 0.
    lr
        Peak of the learning rate meanwhile, in (0, 1].

    Example
    -------
    >>> Prune(share=1.0)
    Traceback (most recent call last):
    ValueError: share must be a number in [0, 1), or a mapping from options to such, got 1.0.
    """

    example_options = {"share": 0.5, "multiple": 4}

    def __init__(self, share=0.25, importance: str = "norm", multiple: int = 8, epochs: int = 0, lr: float = 0.001):
        if not all(_is_share(value) for value in (share.values() if isinstance(share, dict) else [share])):
            raise ValueError(f"share must be a number in [0, 1), or a mapping from options to such, got {share}.")
        if importance not in IMPORTANCES:
            raise ValueError(f"importance must be one of {', '.join(IMPORTANCES)}, got '{importance}'.")
        check_count("multiple", multiple, 1)
        check_count("epochs", epochs, 0)
        check_rate(lr)
        self.share, self.importance, self.multiple = share, importance, multiple
        self.epochs, self.lr = epochs, lr

    @property
    def changes_student(self) -> bool:
        return True

    def check(self, spec: dict) -> None:
        student = STUDENTS.build(**spec, num_classes=2)
        narrow_options(spec, groups_of(student, spec["name"]), self.share, self.multiple)

    def change(self, work: Work) -> tuple[nn.Module, dict]:
        student = work.student
        if self.importance == "taylor":
            parts = build_parts(work.source.training(work.number, work.spec), student)
            scores = by_taylor(student, parts.objective, parts.data.train_loader())
        else:
            scores = by_norm(student)
        student, spec = narrowed(student, work.spec, self.share, scores, self.multiple)
        return tuned(student, spec, work, self.epochs, self.lr), spec


def _is_share(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
