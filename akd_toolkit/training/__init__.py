"""The training loop: a SpeechBrain Brain that distils."""
