"""In which layer two devices that decide differently begin to differ."""
