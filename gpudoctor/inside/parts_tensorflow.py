"""TensorFlow's parts."""


def tensorflow_parts(framework):
    return {}
