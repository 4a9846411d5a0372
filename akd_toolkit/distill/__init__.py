"""What a student learns from its teachers: losses, weightings, gates, schedules and the objective."""

from akd_toolkit.distill import gates, losses, schedules, weightings

__all__ = ["gates", "losses", "schedules", "weightings"]
