"""StyleCLIP's latent optimisation (arXiv:2103.17249, section 4): one picture's latent led by a text."""
