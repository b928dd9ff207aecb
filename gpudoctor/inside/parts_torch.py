"""PyTorch's parts."""


def torch_parts(framework):
    return {}
