"""A gate that closes as the teachers disagree with each other."""

import torch
from torch import Tensor

from akd_toolkit.distill.gates.base import Gate
from akd_toolkit.outputs import ModelOutput, TeacherOutput
from akd_toolkit.registry import GATES


@GATES.register("teacher_agreement")
class TeacherAgreement(Gate):
    """One minus the generalised Jensen-Shannon divergence of the trusted teachers; needs no label.

    gate[b] = 1 - (H(sum_t w[t, b] p[t, b]) - sum_t w[t, b] H(p[t, b])) / log min(m, C)

    H is the entropy, p[t, b] the softmax of teacher t at T = 1, w its weight. The divergence is at most H(w) <= log m
    and at most log C, so the gate is in [0, 1]: 1 where all teachers agree, 0 where min(m, C) equally trusted teachers
    are certain of different classes. With one teacher, or all trust in one, the gate is always open. m counts the
    teachers that are present for utterance b.

    Source: Lin 1991, "Divergence measures based on the Shannon entropy", for the divergence; as a gate it is ours.

    Example
    -------
    >>> first, second = [[99.0, 0.0], [99.0, 0.0]], [[99.0, 0.0], [0.0, 99.0]]  # they differ on the second utterance
    >>> TeacherAgreement()(ModelOutput(torch.zeros(2, 2)), TeacherOutput(torch.tensor([first, second])), labels=None)
    tensor([1., 0.])
    """

    needs_truth = False

    @torch.no_grad()
    def forward(self, student: ModelOutput, teacher: TeacherOutput, labels: Tensor) -> Tensor:
        counts = teacher.is_present().sum(dim=0)  # [batch]
        probs, trust = torch.softmax(teacher.logits.float(), dim=-1), teacher.trust()[..., None]
        mixture_entropy = torch.special.entr((trust * probs).sum(dim=0)).sum(dim=-1)  # [batch]; entr(0) is 0
        own_entropy = (trust * torch.special.entr(probs)).sum(dim=(0, 2))
        largest = counts.clamp(min=2, max=probs.shape[-1]).log()  # log 1 would divide by 0
        divergence = (mixture_entropy - own_entropy) / largest
        return torch.where(counts > 1, (1 - divergence).clamp(0, 1), 1.0)  # rounding can leave it at 1 + 1e-7
