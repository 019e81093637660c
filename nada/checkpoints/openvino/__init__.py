"""Networks that OpenVINO wrote, as files in a Python wheel; nothing in it is installed or executed."""
