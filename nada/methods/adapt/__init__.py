"""StyleGAN-NADA (arXiv:2108.00946): a generator fine-tuned by text."""
