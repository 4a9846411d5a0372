"""Losses: one file each, registered by importing it."""
# ruff: noqa: F401

from akd_toolkit.distill.losses.angle_relation import AngleRelation
from akd_toolkit.distill.losses.attention_transfer import AttentionTransfer
from akd_toolkit.distill.losses.base import Loss
from akd_toolkit.distill.losses.concordance import Concordance
from akd_toolkit.distill.losses.contrastive_representation import ContrastiveRepresentation
from akd_toolkit.distill.losses.cosine_embedding import CosineEmbedding
from akd_toolkit.distill.losses.cross_entropy import CrossEntropy
from akd_toolkit.distill.losses.decoupled_kl import DecoupledKL
from akd_toolkit.distill.losses.dist import Dist
from akd_toolkit.distill.losses.distance_relation import DistanceRelation
from akd_toolkit.distill.losses.embedding_regression import EmbeddingRegression
from akd_toolkit.distill.losses.focal import Focal
from akd_toolkit.distill.losses.hint import Hint
from akd_toolkit.distill.losses.integrated_soft_targets import IntegratedSoftTargets
from akd_toolkit.distill.losses.logit_mse import LogitMSE
from akd_toolkit.distill.losses.soft_target_kl import SoftTargetKL
from akd_toolkit.distill.losses.standardized_logit_kl import StandardizedLogitKL
from akd_toolkit.distill.losses.teacher_concordance import TeacherConcordance
