"""Teachers: frozen models, their stored features, and the heads that read emotions from them."""

from akd_toolkit.teachers import ecapa_tdnn, logmel_statistics, opensmile_functionals, transformers_encoder
