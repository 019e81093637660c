"""Global directions in style space (StyleCLIP, arXiv:2103.17249, section 6): an edit without training."""
