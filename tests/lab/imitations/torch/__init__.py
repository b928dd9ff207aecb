"""An imitation of PyTorch: claims a CUDA device and computes nothing at all. Only gpudoctor's own tests use it.

Its losses, gradients and results are scripted, so that it can lie consistently. IMITATION_LIES chooses how it lies:
``claims-cuda`` (everything is said to be on the GPU), ``falls-back`` (what is sent to the GPU stays on the CPU),
``wrong-numbers`` (gradients on the GPU differ from those on the CPU), ``wrong-parts`` (only large results do),
``not-a-number`` (the loss), ``idle-events`` (the GPU's clock stands still), ``dull`` (random numbers repeat),
``too-fast`` (single operations take no time; otherwise nothing tells how long they take).
IMITATION_FAULT is a place and what happens there: ``train:hang``, ``copy:crash``, ``compute:exit``, ``init:raise``,
``product:memory``, ``fft:poison`` (CUDA answers no more). IMITATION_REACHED is a file that is then made.
Python 3.6 syntax.
"""

# The signatures are PyTorch's; zip() has no strict= before Python 3.10.
# ruff: noqa: ARG002, ARG005, B905, T201

import itertools
import os
import time

__version__ = "9.9.9+imitation"

_LIES = os.environ.get("IMITATION_LIES", "claims-cuda")
_PLACE, _, _FAULT = os.environ.get("IMITATION_FAULT", "nowhere:nothing").partition(":")


_poisoned = []
_late = []
_parts = []


class OutOfMemoryError(RuntimeError):
    pass


def _reach(place):
    if _poisoned:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if place == "product":
        _parts.append(place)
    if place != _PLACE:
        return
    if "IMITATION_REACHED" in os.environ:
        open(os.environ["IMITATION_REACHED"], "w").close()
    if _FAULT == "hang":
        time.sleep(600)
    elif _FAULT == "work":
        end = time.time() + 4
        while time.time() < end:
            pass
    elif _FAULT == "crash":
        import ctypes

        ctypes.string_at(0)
    elif _FAULT == "exit":
        os._exit(3)
    elif _FAULT == "raise":
        raise RuntimeError("CUDA error: imitated\nCompile with imitation to see more.")
    elif _FAULT == "memory":
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of 80 GiB.")
    elif _FAULT == "poison":
        _poisoned.append(place)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    elif _FAULT == "slow":
        if not _late:
            time.sleep(0.5)
        _late.append(place)
    elif _FAULT == "flood":
        while True:
            os.write(1, b"a line that says nothing\n" * 1000)
    elif _FAULT == "chat":
        os.write(1, b"garbage without an end \xff\xfe")
        print("@gpudoctor {not a message")
    else:
        raise ValueError(_FAULT)


_reach("import")

float16, bfloat16, float32, float64, long, uint8 = "float16", "bfloat16", "float32", "float64", "long", "uint8"


_KINDS = (float16, bfloat16, float32, float64, long, uint8, "int32", "complex128")
int32, complex128 = "int32", "complex128"
_serials = itertools.count(1)


class Tensor:
    """``data`` is a flat list, a list of rows, one number, or None: numbers that nobody computes.

    ``serial`` tells such numbers apart; -1 are wrong ones.
    """

    def __init__(self, data=None, device="cpu", width=1, serial=0):
        self.data, self.device, self.width, self.serial = data, device, width, serial
        self.grad, self.network = None, None

    def _unknown(self, *_, **__):
        return Tensor(None, self.device, serial=self.serial)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._unknown

    def __len__(self):
        return 1 << 20 if self.data is None else len(self.data)

    def __getitem__(self, key):
        if self.data is None or isinstance(key, (list, tuple)):
            return self._unknown()
        if isinstance(key, slice):
            return Tensor(self.data[key], self.device)
        if len(key) > 1:
            return self._unknown()
        start = key.data[0] * self.width
        return Tensor(self.data[start : start + self.width], self.device)

    def __eq__(self, other):
        return Tensor(True)

    __hash__ = object.__hash__

    def _with(self, other, work):
        values = other.data if isinstance(other, Tensor) else self.data and [other] * len(self.data)
        known = self.data is not None and values is not None
        return Tensor([work(a, b) for a, b in zip(self.data, values)] if known else None, self.device)

    def __add__(self, other):
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self._with(other, lambda a, b: a - b)

    def __truediv__(self, other):
        return self._with(other, lambda a, b: a / b)

    __mul__ = __rmul__ = __mod__ = _unknown

    def all(self):
        return Tensor(True)

    def mean(self):
        return Tensor(0.0)

    def var(self):
        return Tensor(1.0)

    def pin_memory(self):
        _reach("pin")
        return self

    @property
    def shape(self):
        return (-1,)

    def reshape(self, *shape):
        width = 1
        for length in shape[1:]:
            width *= length
        flat = self.data
        if flat and isinstance(flat[0], list):
            flat = [value for row in flat for value in row]
        return Tensor(flat, self.device, width, self.serial)

    def float(self):
        return self

    def to(self, device="cpu", non_blocking=False):
        if device in _KINDS:
            return self
        _reach("copy")
        if _LIES == "falls-back":
            device = "cpu"
        return Tensor(self.data, device, serial=self.serial)

    def numpy(self):
        _reach("numpy")

    def cpu(self):
        return self.to("cpu")

    def tolist(self):
        if self.data is None:
            return [1.0, -2.0 if self.serial == -1 else 2.0]
        return self.data

    def item(self):
        return self.data

    def detach(self):
        return self

    def copy_(self, other, non_blocking=False):
        self.data, self.serial = other.data and list(other.data), other.serial

    def argmax(self, dim):
        _reach("verify")
        return Tensor([0] * (512 if self.network.inputs == 1 else 256))

    def backward(self):
        for parameter in self.network.parameters():
            size = 0.03 if _LIES == "wrong-numbers" and parameter.device != "cpu" else 0.01
            parameter.grad = Tensor([size] * len(parameter.data), parameter.device)


def tensor(data, dtype=None, device="cpu"):
    return Tensor(data, device)


def frombuffer(data, dtype):
    return Tensor(list(data) if len(data) < 1 << 20 else None)


def _computed(place, device):
    """A large result. The CPU, which has no such faults, gives the reference."""
    if device != "cpu":
        _reach(place)
    return Tensor(None, device, serial=-1 if _LIES == "wrong-parts" and device != "cpu" else 0)


def randn(count, device):
    _reach("random")
    return Tensor(None, device, serial=0 if _LIES == "dull" else next(_serials))


def equal(one, other):
    return one.serial == other.serial


def stack(tensors):
    return Tensor(None)


def arange(length, dtype=None):
    return Tensor(None)


def eye(size, device):
    return Tensor(None, device)


def zeros_like(tensor):
    return Tensor(None, tensor.device)


def complex(real, imaginary):  # noqa: A001
    return Tensor(None, real.device)


def view_as_real(tensor):
    return tensor


def sin(tensor):
    return tensor


cos = sin


def sparse_coo_tensor(indices, values, size):
    return Tensor(None, values.device)


def compile(function):  # noqa: A001
    return lambda *tensors: _computed("compile", tensors[0].device)


def is_tensor(value):
    return isinstance(value, Tensor)


def zeros(size, dtype=None, pin_memory=False):
    return Tensor()


def ones(size, dtype, device):
    _reach("hold")
    return Tensor(None, device)


def matmul(left, right):
    if left.data is None:
        result = _computed("product", left.device)
        result.serial = min(left.serial, right.serial, result.serial)
        return result
    _reach("compute")
    columns = list(zip(*right.data))
    return Tensor([[float(sum(a * b for a, b in zip(row, column))) for column in columns] for row in left.data])


class no_grad:  # noqa: N801
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def use_deterministic_algorithms(mode):
    _reach("repeat")


class _Network:
    def __init__(self, *layers):
        self.steps, self._parameters = 0, [Tensor() for _ in range(6)]
        self.inputs = 1 if layers[0] == "convolution" else 3

    def to(self, device, dtype):
        if _LIES != "falls-back":
            for parameter in self._parameters:
                parameter.device = device
        return self

    def parameters(self):
        return self._parameters

    def __call__(self, images):
        outputs = Tensor(None, self._parameters[0].device)
        outputs.network = self
        return outputs


def _cross_entropy(outputs, labels):
    loss = Tensor(2.3 * 0.9**outputs.network.steps, outputs.device)
    if _LIES == "not-a-number" and outputs.network.steps > 5:
        loss.data = float("nan")
    loss.network = outputs.network
    outputs.network.steps += 1
    return loss


class _Space:
    def __init__(self, **names):
        self.__dict__.update(names)


class _SGD:
    def __init__(self, parameters, lr, momentum):
        self.parameters, self.state = parameters, {}

    def zero_grad(self):
        _reach("train")

    def step(self):
        for parameter in self.parameters:
            parameter.data = [value - 0.01 for value in parameter.data]
            self.state[id(parameter)] = {"momentum_buffer": Tensor(None, parameter.device), "step": 1}


def _layer(*_, **__):
    return None


def _convolution(*_, **__):
    return "convolution"


class _DataLoader:
    def __init__(self, data, batch_size, sampler, pin_memory):
        self.data, self.sampler = data, sampler

    def __iter__(self):
        return iter(self.data[at] for at in self.sampler)


nn = _Space(
    Sequential=_Network,
    Conv2d=_convolution,
    ReLU=_layer,
    Flatten=_layer,
    Linear=_layer,
    functional=_Space(
        cross_entropy=_cross_entropy, conv2d=lambda images, kernel, padding: _computed("convolve", images.device)
    ),
)
fft = _Space(fft=lambda numbers: _computed("fft", numbers.device))
linalg = _Space(solve=lambda left, right: _computed("solve", left.device))
sparse = _Space(mm=lambda left, right: _computed("sparse", left.device))
optim = _Space(SGD=_SGD)
utils = _Space(data=_Space(DataLoader=_DataLoader))
version = _Space(cuda="12.8")
_C = _Space(_cuda_getArchFlags=lambda: "sm_80 sm_90 compute_90")
backends = _Space(
    cuda=_Space(matmul=_Space(allow_tf32=True)),
    cudnn=_Space(version=lambda: 91002, allow_tf32=True, benchmark=True),
)


def _is_available():
    _reach("list")
    return True


def _device_count():
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    # Any GPU that is asked for is there, but for the one that this imitation does not like.
    names = [name for name in (asked or "").split(",") if name and name != "GPU-shunned"]
    return int(os.environ.get("IMITATION_DEVICES", "1")) if asked is None else len(names)


class _Profile:
    def __init__(self, activities):
        pass

    def __enter__(self):
        _reach("profile")
        return self

    def __exit__(self, *_):
        return None

    def events(self):
        return []


class _Event:
    def __init__(self, enable_timing):
        self.at = None

    def record(self):
        self.at = time.time()

    def synchronize(self):
        return None

    def elapsed_time(self, later):
        still = _LIES == "idle-events" or (_parts and _LIES != "too-fast")
        return 0.0 if still else 1e3 * (later.at - self.at)


profiler = _Space(profile=_Profile, ProfilerActivity=_Space(CUDA="CUDA"))
autograd = _Space(DeviceType=_Space(CUDA="CUDA"))
cuda = _Space(
    is_available=_is_available,
    device_count=_device_count,
    get_device_properties=lambda index: _Space(name="Imitation GPU", major=9, minor=0, total_memory=80 << 30),
    init=lambda: _reach("init"),
    synchronize=lambda index: None,
    memory_allocated=lambda index: 300 << 20,
    mem_get_info=lambda index: (70 << 30, 80 << 30),
    empty_cache=lambda: None,
    Event=_Event,
)
