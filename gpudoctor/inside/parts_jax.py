"""JAX's parts."""


def jax_parts(framework):
    return {}
