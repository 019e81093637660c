"""Light domains: a pretrained generator that is shared, and kilobytes that move its styles."""
