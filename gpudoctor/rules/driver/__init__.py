"""The driver, the GPU and what connects them."""
