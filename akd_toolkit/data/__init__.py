"""Corpora: manifests, speaker folds, windows, views and audio."""
