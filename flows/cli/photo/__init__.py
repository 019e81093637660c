"""The commands for a photo of your own."""
