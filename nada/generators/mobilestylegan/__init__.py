"""The MobileStyleGAN family (arXiv:2104.04767)."""
