"""What a picture costs where nothing was measured yet: a rough model, fitted to a few generators and CLIPs."""
