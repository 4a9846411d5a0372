"""Checks of a sound file's length against its content: libsndfile silently shortens what is cut or has no length."""
