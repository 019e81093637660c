"""What was computed or found before, kept between nights; every cache may be removed at any time."""
