"""The commands around a project itself: its beginning, and its health."""
