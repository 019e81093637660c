"""CLIP: the guide, the directions that texts mean to it, the losses, and what it makes of prompts."""
