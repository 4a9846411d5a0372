"""Compression of a trained student in steps, with scores, size and speed after each.

>>> COMPRESSIONS.names()
['finetune', 'fp16', 'prune', 'quantize']
"""

from akd_toolkit.deploy.compress import methods
from akd_toolkit.deploy.compress.pipeline import compress
from akd_toolkit.deploy.compress.steps import COMPRESSIONS, Compression, read_steps

__all__ = ["COMPRESSIONS", "Compression", "compress", "methods", "read_steps"]
