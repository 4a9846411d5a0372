"""One experiment: its settings, protocol and trainings, and reading them afterwards."""
