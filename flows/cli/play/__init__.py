"""The commands that put a library in people's hands: the app, the gallery, and files for other runtimes."""
