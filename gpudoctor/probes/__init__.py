"""World → one group of facts each. A probe looks and never judges; what stops it from looking is a Missing."""
