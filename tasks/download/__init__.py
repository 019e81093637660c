"""Files fetched over HTTP, resumed and checked."""
