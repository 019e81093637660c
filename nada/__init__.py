"""Text-guided adaptation of StyleGAN generators (StyleGAN-NADA, arXiv:2108.00946), in plain PyTorch."""
