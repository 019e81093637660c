"""How fast this machine makes domains: `nada bench`."""
