"""What every framework's child does, in the interpreter under test: import, report, wait for its turn, train, prove.

gpudoctor.smoke joins this text with one train_*.py, which brings the class ``Framework``, and a last line that calls
``main``. Python 3.6 syntax, ASCII, standard library only, nothing of gpudoctor. Everything that can be told without
a framework (images, first weights, measures, comparisons) is told here in plain Python numbers, so that all
frameworks learn the same and none is its own judge.
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

IMAGE = 28  # pixels a side
CLASSES = 10
BATCH = 64
TRAINED, HELD_OUT = 2048, 512  # images
PARAMETERS = (144, 16, 4608, 32, 15680, 10)  # 3x3x1x16, 16; 3x3x16x32, 32; 7x7x32x10, 10
FAN_IN = (9, 0, 144, 0, 1568, 0)
RATE, MOMENTUM = 0.02, 0.9
BALLAST = 256 << 20  # bytes held on the device while a witness looks: more than noise, less than any GPU has
CHECKED = 32  # images in the batch that is compared with the CPU

# float32 against float64 differs by about 1e-6 on a CPU and 1e-4 with fast convolution algorithms. NVIDIA_TF32_OVERRIDE
# can force 10-bit mantissas (1e-3) on a program that asked for none. A wrong result is wrong by far more.
LOSS_TOLERANCE = 5e-3
GRADIENT_TOLERANCE = 2e-2

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


# ------------------------------------------------------------------------------------- images and weights


class Chance:
    """A small generator of numbers (Numerical Recipes' LCG): the same images and weights in every framework."""

    def __init__(self, seed):
        self._state = seed

    def uniform(self):
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return self._state / 4294967296.0

    def below(self, limit):
        return int(self.uniform() * limit)

    def normals(self, count):
        """Nearly normal numbers with variance 1: four uniform ones summed."""
        next_one = self.uniform
        return [(next_one() + next_one() + next_one() + next_one() - 2.0) * 1.7320508 for _ in range(count)]


def _patterns(chance):
    """A pattern of soft blobs for each class, 32 pixels a side, to be cut out at 25 offsets."""
    patterns = []
    for _ in range(CLASSES):
        blobs = [(6 + 20 * chance.uniform(), 6 + 20 * chance.uniform(), 2 + 2 * chance.uniform()) for _ in range(5)]
        # exp(-d) as 1 / (1 + d) ** 2: no math module is needed.
        patterns.append(
            [
                [sum(1.3 / (1 + ((x - u) ** 2 + (y - v) ** 2) / r**2) ** 2 for u, v, r in blobs) for x in range(32)]
                for y in range(32)
            ]
        )
    return patterns


class Images:
    """Images to learn: a class's pattern somewhat displaced, plus noise. Held-out images have noise of their own.

    ``templates`` and ``noises`` are images as flat lists; ``trained`` and ``held_out`` are triples of lists
    (index of template, index of noise, class), an image being the sum of its template and noise.
    """

    def __init__(self, seed=20260131):
        chance = Chance(seed)
        patterns = _patterns(chance)
        offsets = [(dx, dy) for dx in range(5) for dy in range(5)]
        self.templates = [
            [value for row in pattern[dy : dy + IMAGE] for value in row[dx : dx + IMAGE]]
            for pattern in patterns
            for dx, dy in offsets
        ]
        self.noises = [chance.normals(IMAGE * IMAGE) for _ in range(320)]
        self.trained = self._draw(chance, TRAINED, 0, 256)
        self.held_out = self._draw(chance, HELD_OUT, 256, 320)

    def _draw(self, chance, count, first, last):
        kinds = [chance.below(len(self.templates)) for _ in range(count)]
        noises = [first + chance.below(last - first) for _ in range(count)]
        return kinds, noises, [kind * CLASSES // len(self.templates) for kind in kinds]


def first_weights(seed=7):
    """Weights to start from, as flat lists in the order of PARAMETERS, scaled after He et al. 2015."""
    chance = Chance(seed)
    return [
        [value * (2.0 / fan) ** 0.5 for value in chance.normals(count)] if fan else [0.0] * count
        for count, fan in zip(PARAMETERS, FAN_IN)
    ]


# ------------------------------------------------------------------------------------------------ measures


def scores(predicted, true):
    """Accuracy, and precision, recall and F1 as plain means over the classes; an empty class counts 0."""
    right = [0] * CLASSES
    for guess, label in zip(predicted, true):
        right[label] += guess == label
    precision = [_ratio(right[c], predicted.count(c)) for c in range(CLASSES)]
    recall = [_ratio(right[c], true.count(c)) for c in range(CLASSES)]
    f1 = [_ratio(2 * p * r, p + r) for p, r in zip(precision, recall)]
    return {
        "accuracy": _ratio(sum(right), len(true)),
        "precision": sum(precision) / CLASSES,
        "recall": sum(recall) / CLASSES,
        "f1": sum(f1) / CLASSES,
    }


def _ratio(part, whole):
    return part / float(whole) if whole else 0.0


def distance(found, expected):
    """How far lists of numbers lie apart, as the largest share of an expected list's length; nan is far."""
    if [len(values) for values in found] != [len(values) for values in expected]:
        return float("inf")
    shares = [0.0]
    for ours, theirs in zip(found, expected):
        apart = sum((a - b) * (a - b) for a, b in zip(ours, theirs)) ** 0.5
        norm = sum(b * b for b in theirs) ** 0.5
        shares.append(apart / norm if norm else apart)
    return max(share if share == share else float("inf") for share in shares)


def matrices():
    """Two matrices of small whole numbers and their product: exact in every number format."""
    size = 32
    left = [[(3 * i + 5 * j) % 7 - 3 for j in range(size)] for i in range(size)]
    right = [[(2 * i + 7 * j) % 5 - 2 for j in range(size)] for i in range(size)]
    columns = list(zip(*right))
    return left, right, [float(sum(a * b for a, b in zip(row, column))) for row in left for column in columns]


# --------------------------------------------------------------------------------------------- the job


class Unsupported(Exception):
    """The framework cannot do what was asked; what it would have shown stays unknown."""


def proof(name, holds, detail="", required=False):
    return {"name": name, "holds": holds, "detail": detail[:500], "required": required}


class Job:
    """One training job in one framework on one device."""

    def __init__(self, talk, framework, on_gpu, steps):
        self.talk = talk
        self.framework = framework
        self.on_gpu = on_gpu
        self.steps = steps
        self.images = Images()
        self.weights = first_weights()
        self.wrong = []

    def run(self):
        self.init()
        self.copy()
        self.compute()
        self.train()
        self.verify()
        self.talk.stage("done")

    def init(self):
        self.talk.stage("init")
        self.talk.say(device=self.framework.init(self.on_gpu))

    def copy(self):
        self.talk.stage("copy")
        sent = self.images.templates[0]
        came_back = self.framework.load(self.images)
        if not distance([came_back], [sent]) < 1e-6:
            self.wrong.append("an image came back changed from the device")

    def compute(self):
        self.talk.stage("compute")
        left, right, expected = matrices()
        if self.framework.multiply(left, right) != expected:
            self.wrong.append("a product of whole numbers is wrong")

    def train(self):
        self.talk.stage("train")
        framework, every = self.framework, self.steps // 39 + 1  # at most 40 points of the curve
        framework.build(self.weights)
        losses, began, timed_from = [], time.time(), 0
        for step in range(self.steps):
            loss = framework.step(step * BATCH % TRAINED)
            if step % every == 0 or step == self.steps - 1:
                losses.append(float(framework.number(loss)))
                self.talk.say(step=step, of=self.steps, loss=losses[-1])
                if step == every:  # the first steps also compile and choose algorithms
                    began, timed_from = time.time(), step + 1
        seconds = time.time() - began
        self.talk.say(speed=(self.steps - timed_from) * BATCH / seconds if seconds > 0 else None)
        self.losses = losses

    def verify(self):
        self.talk.stage("verify")
        true = self.images.held_out[2]
        self.talk.say(scores=scores(self.framework.classes(), true))
        for check in (self.learned, self.lived_on_device, self.matches_cpu, self.repeats):
            for item in check():
                self.talk.say(proof=item)
        if self.on_gpu:
            self.meet_witnesses()

    def learned(self):
        changed = distance(self.framework.weights(), self.weights)
        yield proof("weights-changed", changed > 1e-6, "by %.2g of their size" % changed, True)
        first, last = self.losses[0], self.losses[-1]
        yield proof("loss-fell", last < 0.5 * first, "from %.3g to %.3g" % (first, last), True)

    def lived_on_device(self):
        wanted, places = self.framework.device, self.framework.places()
        for name in ("parameters", "gradients", "outputs"):
            seen = sorted(set(places[name]))
            yield proof(name + "-on-device", seen == [wanted], ", ".join(seen) or "none", True)

    def matches_cpu(self):
        ours = self.framework.gradients(self.weights, CHECKED)
        cpu = self.framework.reference(self.weights, CHECKED)
        loss = distance([[ours["loss"]]], [[cpu["loss"]]])
        gradients = distance(ours["gradients"], cpu["gradients"])
        holds = loss <= LOSS_TOLERANCE and gradients <= GRADIENT_TOLERANCE and not self.wrong
        told = "loss %.6g, on the CPU in float64 %.6g; gradients differ by %.2g of their size"
        detail = "; ".join(self.wrong + [told % (ours["loss"], cpu["loss"], gradients)])
        yield proof("matches-cpu", holds, detail, True)

    def repeats(self):
        try:
            self.framework.be_deterministic()
            first, second = (self.framework.gradients(self.weights, CHECKED) for _ in range(2))
        except Unsupported as why:
            yield proof("repeatable", None, str(why))
            return
        except Exception as error:
            yield proof("repeatable", None, "in deterministic mode: %s" % words(error))
            return
        same = first["loss"] == second["loss"] and first["gradients"] == second["gradients"]
        yield proof("repeatable", same, "the same step gave %s bits twice" % ("the same" if same else "other"))

    def meet_witnesses(self):
        """Hold memory while others look from outside; then, where they saw nothing, ask the profiler."""
        size = BALLAST
        while size and not self._holds(size):
            size //= 4
        allocated = attempt([], "", self.framework.allocated)
        self.talk.say(
            proof=proof(
                "allocator-memory",
                None if allocated is None else allocated > 0,
                "not told" if allocated is None else "%d bytes" % allocated,
            )
        )
        self.talk.say(hold=max(size, allocated or 0))
        if self.talk.wait().get("profile"):
            self.talk.say(trying="profiler-kernels")
            self.talk.say(proof=self._profiled())

    def _holds(self, size):
        try:
            self.framework.hold(size)
        except Exception:  # too little memory is left: a smaller weight will do
            return False
        return True

    def _profiled(self):
        try:
            kernels = self.framework.kernels()
        except Unsupported as why:
            return proof("profiler-kernels", None, str(why))
        except Exception as error:
            return proof("profiler-kernels", None, words(error))
        # No kernel may also mean that the profiler was refused: it does not always say so.
        return proof("profiler-kernels", True if kernels else None, ", ".join(kernels[:3]) or "none seen")


def report(talk, framework):
    """Import the framework and tell what it says of itself. False if that failed."""
    talk.stage("import")
    began = time.time()
    try:
        framework.bring_in()
    except SystemExit:
        raise
    except BaseException as error:
        talk.say(failed=words(error), seconds=time.time() - began)
        return False
    seconds, troubles = time.time() - began, []
    talk.say(imported=framework.says(troubles), seconds=seconds)
    framework.meet_numpy(troubles)
    _complain(talk, troubles)
    talk.stage("init")
    listed = framework.devices(troubles)
    listed["libraries"] = mapped_libraries()
    listed["cudnn"] = attempt(troubles, "cudnnGetVersion", loaded_cudnn)
    listed["nccl"] = attempt(troubles, "ncclGetVersion", loaded_nccl)
    listed["pci"] = attempt(troubles, "cuDeviceGetPCIBusId", first_gpu_address)
    _complain(talk, troubles)
    talk.say(listed=listed)
    return True


def _complain(talk, troubles):
    for trouble in troubles:
        talk.say(warning=trouble)
    del troubles[:]


def main(mark, make):
    talk = Talk(mark)
    talk.stage("start")
    talk.say(pid=os.getpid())
    hear_warnings(talk)
    give_back_local_modules()
    framework = make()
    if report(talk, framework):
        go = talk.wait().get("go")
        if go:
            try:
                Job(talk, framework, go["device"] == "gpu", go["steps"]).run()
            except Exception as error:
                talk.say(failed=words(error))
    sys.stderr.flush()
    # A framework's own clean-up may hang or crash after everything is told; the driver cleans up in any case.
    os._exit(0)
