"""What networks of faces say of portraits: expression, age, and who it is."""
