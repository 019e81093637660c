"""StyleCLIP's latent mapper (arXiv:2103.17249, section 5), and the mining of StyleGAN-NADA with it."""
