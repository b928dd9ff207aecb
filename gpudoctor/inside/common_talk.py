"""How a framework's child talks, in the interpreter under test; and what is mapped into it.

gpudoctor.smoke.jobs joins this text with common_lessons.py, common_parts.py, common_job.py and one train_*.py with its
parts_*.py, and a last line that calls ``main``. Python 3.6 syntax, ASCII, standard library only, nothing of gpudoctor.
"""

import sys


def _standard_library(path):
    """The folders of the standard library alone: neither a local json.py nor PYTHONPATH may kill the reporter."""
    os = sys.modules["os"]
    home = os.path.dirname(getattr(os, "__file__", None) or "")
    inside = [entry for entry in path if entry == home or entry.startswith(home + os.sep)] if home else []
    return [entry for entry in inside if "-packages" not in entry]


_before = frozenset(sys.modules)
_path = list(sys.path)
_bare = [entry for entry in _path if entry]
sys.path[:] = _standard_library(_path) or _bare
try:
    import _thread
    import json
    import os
    import time
    import warnings
except ImportError:
    sys.path[:] = _bare
    import _thread
    import json
    import os
    import time
    import warnings
sys.path[:] = _path
_own = [name for name in sys.modules if name not in _before]

CUDA_LIBRARIES = (
    "libcublas",
    "libcuda.so",
    "libcudart",
    "libcudnn",
    "libcufft",
    "libcupti",
    "libcurand",
    "libcusolver",
    "libcusparse",
    "libnccl",
    "libnvidia-ml.so",
    "libnvJitLink",
    "libnvrtc",
)


def give_back_local_modules():
    """Forget standard modules of ours that the user's own import would take from somewhere else.

    A local json.py breaks ``import torch`` for the user, so it has to break it here as well.
    """
    home = os.path.dirname(os.__file__)
    ahead = []
    for entry in sys.path:
        if entry == home:
            break
        ahead.append(entry or os.getcwd())
    for name in _own:
        top = name.partition(".")[0]
        if any(_holds_module(folder, top) for folder in ahead):
            sys.modules.pop(name, None)


def _holds_module(folder, name):
    place = os.path.join(folder, name)
    return os.path.isfile(place + ".py") or os.path.isfile(os.path.join(place, "__init__.py"))


# ---------------------------------------------------------------------------------------------- talking


class Talk:
    """The protocol: marked lines of JSON on what was standard output; everything else goes to standard error."""

    def __init__(self, mark):
        self._mark = mark
        self._lock = _thread.allocate_lock()
        self._instructions = sys.stdin
        sys.stdout.flush()
        self._out = os.dup(1)
        os.dup2(2, 1)

    def say(self, **message):
        data = ("%s%s\n" % (self._mark, json.dumps(message))).encode("ascii")
        with self._lock:
            while data:
                data = data[os.write(self._out, data) :]

    def stage(self, name):
        # The same line on standard error tells at which stage a library printed there.
        sys.stderr.flush()
        os.write(2, ("\n@gpudoctor-stage %s\n" % name).encode("ascii"))
        self.say(stage=name)

    def wait(self):
        """The next instruction; says that it waits meanwhile, so that waiting is not taken for hanging."""
        waiting = [True]

        def beat():
            while True:
                time.sleep(1.0)
                if not waiting:
                    return
                self.say(waiting=True)

        _thread.start_new_thread(beat, ())
        line = self._instructions.readline()
        waiting.clear()
        return json.loads(line) if line.strip() else {"stop": True}

    def warn(self, message, category, *_):
        """In place of warnings.showwarning: a warning is told at once, so that a crash does not lose it."""
        try:
            text = " ".join(str(message).split())
        except Exception as error:
            text = "unprintable warning (%s)" % type(error).__name__
        self.say(warning="%s: %s" % (category.__name__, text[:1000]))


def hear_warnings(talk):
    """Hear each warning that users may see once, whatever -W and PYTHONWARNINGS say; not those for developers."""
    warnings.resetwarnings()
    warnings.simplefilter("default")
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning, SyntaxWarning):
        warnings.simplefilter("ignore", category)
    warnings.showwarning = talk.warn


def words(error):
    """An exception in one line: its type and its meaningful line; never a traceback, also not one inside its text."""
    name = type(error).__name__
    try:
        lines = [line.rstrip() for line in str(error).splitlines() if line.strip()]
    except Exception:
        lines = []
    if not lines:
        return name
    chosen = lines[0].strip()
    for line in lines:
        if line.strip().startswith("Original error was:"):  # numpy
            chosen = line.strip()[len("Original error was:") :].strip()
    traces = [at for at, line in enumerate(lines) if line.strip().startswith("Traceback (most recent call last)")]
    if traces:  # TensorFlow puts the traceback of the loader's error into its own text
        after = [line for line in lines[traces[-1] + 1 :] if not line[:1].isspace()]
        chosen = after[0].strip() if after else chosen
    chosen = chosen[:500]
    return chosen if chosen.startswith(name + ":") else "%s: %s" % (name, chosen)


def attempt(troubles, what, ask):
    """An answer, or None and a line of trouble: one broken question must not cost the others."""
    try:
        return ask()
    except Exception as error:
        troubles.append("%s: %s" % (what, words(error)))
        return None


# ------------------------------------------------------------------------------------ what is really mapped


def mapped_libraries():
    """Paths of the CUDA libraries mapped into this process (proc_pid_maps(5)); None where that is not told."""
    try:
        with open("/proc/self/maps", "rb") as maps:
            lines = maps.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    paths = {line.split(None, 5)[5] for line in lines if line.count(" ") >= 5 and "/" in line}
    paths = {path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path for path in paths}
    return sorted(path for path in paths if path.rpartition("/")[2].startswith(CUDA_LIBRARIES))


def _mapped(prefix):
    import ctypes

    for path in mapped_libraries() or ():
        if path.rpartition("/")[2].startswith(prefix):
            return ctypes.CDLL(path)
    return None


def loaded_cudnn():
    """cudnnGetVersion() of the libcudnn that is mapped, None if there is none."""
    library = _mapped("libcudnn.so")
    if library is None:
        return None
    import ctypes

    library.cudnnGetVersion.restype = ctypes.c_size_t
    return int(library.cudnnGetVersion())


def loaded_nccl():
    """ncclGetVersion() of the libnccl that is mapped, None if there is none."""
    library = _mapped("libnccl")
    if library is None:
        return None
    import ctypes

    number = ctypes.c_int()
    return int(number.value) if library.ncclGetVersion(ctypes.byref(number)) == 0 else None


def first_gpu_address():
    """The PCI address of CUDA's device 0 in this process (cuDeviceGetPCIBusId), None without libcuda."""
    library = _mapped("libcuda.so")
    if library is None:
        return None
    import ctypes

    device, text = ctypes.c_int(), ctypes.create_string_buffer(32)
    if library.cuDeviceGet(ctypes.byref(device), 0) or library.cuDeviceGetPCIBusId(text, 32, device):
        return None
    return text.value.decode("ascii", "replace").lower()


def wait_asleep():
    """Let this process sleep while it waits for CUDA's device 0, if libcuda is here and takes the wish.

    CUDA waits busily where there are processors enough (CU_CTX_SCHED_AUTO), and then a GPU that never answers looks
    like work. https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__PRIMARY__CTX.html
    """
    library = _mapped("libcuda.so")
    if library is not None:
        library.cuDevicePrimaryCtxSetFlags_v2(0, 4)  # CU_CTX_SCHED_BLOCKING_SYNC


def free_gpu_memory():
    """Bytes free on CUDA's device 0 in this process (cuMemGetInfo), None without libcuda or an answer."""
    library = _mapped("libcuda.so")
    if library is None:
        return None
    import ctypes

    device, context, free, total = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    # The context that the framework has too: nothing is made anew, and this thread gets it for the question alone.
    if library.cuDeviceGet(ctypes.byref(device), 0) or library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
        return None
    try:
        if library.cuCtxPushCurrent_v2(context):
            return None
        failed = library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        library.cuCtxPopCurrent_v2(ctypes.byref(context))
    finally:
        library.cuDevicePrimaryCtxRelease_v2(device)
    return None if failed else int(free.value)
