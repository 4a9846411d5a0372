"""Scores, reports and studies of finished experiments."""
