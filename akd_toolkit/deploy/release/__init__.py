"""Releases a trained student as a bundle: weights, settings, exported files, scores, model card."""
