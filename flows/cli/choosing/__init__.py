"""Commands by which people say what a night should come to: `nada pick`, `nada add`, `nada pause`, `nada resume`."""
