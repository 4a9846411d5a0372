"""Speed, size, memory and energy of a student on this machine, beside named peers, in one run.

This module imports nothing, so that the memory of the worker processes can be measured.
"""
