"""An imitation of TensorFlow that imports, lists no GPU, and fails at its first computation. Python 3.6 syntax."""

__version__ = "9.9.9"


class _Space:
    def __init__(self, **names):
        self.__dict__.update(names)


def device(name):
    raise RuntimeError("imitation of TensorFlow: no device " + name)


keras = _Space(Sequential=None)
sysconfig = _Space(get_build_info=lambda: {"cuda_version": "12.5.1", "cudnn_version": "9"})
config = _Space(list_physical_devices=lambda _: [], experimental=_Space())
