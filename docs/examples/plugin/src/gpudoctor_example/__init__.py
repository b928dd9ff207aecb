"""An example of a gpudoctor plug-in. Its entry points are in pyproject.toml."""
