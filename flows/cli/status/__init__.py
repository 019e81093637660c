"""What `nada status` shows."""
