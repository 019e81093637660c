"""What decides a row's results, hashed: inputs by content, code by what it computes."""
