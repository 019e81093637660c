"""Ways of making a domain, one folder each."""
