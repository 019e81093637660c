"""A picture inverted: the latents from which a generator draws it (arXiv:1912.04958, appendix D)."""
