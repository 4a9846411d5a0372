"""Compression of a trained student in steps, with scores, size and speed after each.

>>> COMPRESSIONS.names()
['finetune', 'fp16', 'prune', 'quantize']
"""

from akd_toolkit.deploy.compress import prune, quantize, simple
from akd_toolkit.deploy.compress.base import COMPRESSIONS, Compression
from akd_toolkit.deploy.compress.runs import compress
from akd_toolkit.deploy.compress.steps import read_steps

__all__ = ["COMPRESSIONS", "Compression", "compress", "prune", "quantize", "read_steps", "simple"]
