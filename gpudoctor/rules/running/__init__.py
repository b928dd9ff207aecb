"""What the smoke jobs showed."""
