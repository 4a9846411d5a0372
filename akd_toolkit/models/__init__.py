"""Small models that are trained and exported; independent of teachers."""

from akd_toolkit.models import (
    base,
    dkdfmh,
    encoder_student,
    hybrid_transformer,
    light_sernet,
    micro_cnn,
    multihead_attention,
    pretrained_cnn,
    tim_net,
    vanilla_transformer,
)
from akd_toolkit.models.base import Student

__all__ = [
    "Student",
    "base",
    "dkdfmh",
    "encoder_student",
    "hybrid_transformer",
    "light_sernet",
    "micro_cnn",
    "multihead_attention",
    "pretrained_cnn",
    "tim_net",
    "vanilla_transformer",
]
