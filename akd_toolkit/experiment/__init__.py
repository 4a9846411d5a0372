"""One experiment: its settings, its protocol, its trainings, and what is read of them afterwards."""
