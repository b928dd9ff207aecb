"""Python packages, whatever the framework."""
