"""How fast, how small and how hungry a student is on this machine, beside named peers, in one run.

Importing the room imports nothing: its worker processes start bare, so that the memory they need can be told.
"""
