"""Spaces in which pictures are compared beside CLIP's: published networks, and features that need none."""

FINGERPRINT_DIGITS = 12  # enough to tell weights apart, short enough to read
