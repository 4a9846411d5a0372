"""Speed, size, memory and energy of a student on this machine, compared with peers in one run.

This module imports nothing, so that the memory of the worker processes can be measured.
"""
