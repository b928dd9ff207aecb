"""The parts: single operations that are checked against the CPU and timed, in every framework under the same names.

Joined after common_lessons.py. ``Framework.parts()`` gives a function for each of the PARTS that it can do. That is
called with a :class:`Bench` and

- sets up its operation as large as ``bench.largest`` allows, and times it with ``bench.best``;
- returns ``checked(...)`` with numbers that came from the device and the same numbers as the CPU has them;
- raises Unsupported where the build or this device has no such thing: that is no fault. Every other exception is one,
  and told as the part's ``error``, with ``holds`` None: wrong are only numbers that were compared.

What is timed is one whole operation on data that lies on the device, everything waited for; the first, slower run does
not count. The sizes let an H100 reach its speed.
"""

PARTS = (
    "matrix-product-fp32",
    "matrix-product-tf32",
    "matrix-product-fp16",
    "matrix-product-bf16",
    "matrix-product-int8",
    "matrix-product-fp8",
    "convolution-fp32",
    "convolution-fp16",
    "fft",
    "solver",
    "random-numbers",
    "copy-to-gpu-pinned",
    "copy-to-gpu-pageable",
    "copy-from-gpu-pinned",
    "copy-from-gpu-pageable",
    "copy-inside-gpu",
    "sparse-product",
    "compile",
)

SHARE = 0.25  # of the free memory, at most, for all that a part holds at once
PLENTY = 4 << 30  # bytes that are enough for every part where the free memory is not told to be less
CPU_BYTES = 256 << 20
LONGEST = {True: 0.05, False: 0.03}  # seconds that one operation may take on a GPU, on a CPU
SAMPLE = {True: 0.05, False: 0.03}  # seconds of repeats behind one timing
SAMPLES = 5
# With less time left the compiler is not begun: it has to be loaded first, and a C++ compiler takes its time.
COMPILE_SECONDS = {True: 10.0, False: 30.0}

# How far a number may lie from the CPU's, in float64 from the same inputs, as a share of the numbers' typical size
# (see deviation). fp32: sums of thousands of products differ by 1e-5; NVIDIA_TF32_OVERRIDE may have rounded the
# factors to 10 bits, which adds up to 2e-3. tf32: 10 bits of the factors, by intention. fp16 and bf16: the inputs are
# exact, results of up to 5 times the typical size are rounded to 11 and 8 bits, and sums of parts may be rounded too.
# int8 sums whole numbers. fp8: as bf16, which its result has. A wrong result is off by its own size.
TOLERANCES = {"fp32": 5e-3, "tf32": 1e-2, "fp16": 2e-2, "bf16": 8e-2, "int8": 0.0, "fp8": 8e-2}


class Unsupported(Exception):
    """The framework, its build or this device cannot do what was asked; what it would have shown stays unknown."""


def checked(found, expected, tolerance, what, rate=None, unit=None):
    """A part's result: whether numbers from the device are the CPU's, and how fast they came."""
    apart = deviation(found, expected)
    detail = "%s; off by %.1e of their size" % (what, apart)
    return {"holds": apart <= tolerance, "detail": detail, "rate": rate, "unit": unit}


def teraflops(operations, seconds):
    return {"rate": operations / seconds / 1e12, "unit": "TFLOP/s"} if seconds > 0 else {}


def gigabytes(size, seconds):
    return {"rate": size / seconds / 1e9, "unit": "GB/s"} if seconds > 0 else {}


def millions(count, seconds):
    return {"rate": count / seconds / 1e6, "unit": "M/s"} if seconds > 0 else {}


def spread(length, count):
    """So many places among ``length``, one in each stretch of it, at changing distances from its beginning."""
    if length <= count:
        return list(range(length))
    step = length // count
    return [at * step + at * 37 % step for at in range(count)]


def compilers_words(error):
    """The line in which a compiler, assembler or linker says what it lacks: it stands far down in such an error."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    for mark in ("ptxas fatal", "ptxas error", "fatal error:", "cannot find", "error:", "not found"):
        for line in lines:
            if mark in line and not line.endswith("compile error"):
                return line[:500]
    return words(error)


class Bench:
    """What a part may use: its share of the memory and of the time, and the clock."""

    def __init__(self, framework, on_gpu):
        self.clock, self.on_gpu = framework.clock, on_gpu
        free = framework.free_memory()
        self.bytes = min(PLENTY, int(SHARE * free)) if free is not None else PLENTY // 16
        if not on_gpu:
            self.bytes = min(self.bytes, CPU_BYTES)

    def largest(self, sizes, bytes_of, make, growth):
        """The largest size that fits into memory and time, and what ``make`` made for it.

        ``make(size)`` gives a work without arguments that holds all it needs; it is run twice for each size. A size
        needs ``bytes_of(size)``, and the next about ``growth`` times the time. The first size is taken in any case.
        """
        work, seconds, taken = None, 0.0, sizes[0]
        for at, size in enumerate(sizes):
            if at and (bytes_of(size) > self.bytes or growth * seconds > LONGEST[self.on_gpu]):
                break
            work = None  # the smaller one's memory goes first
            work, taken = make(size), size
            work()
            seconds = self.clock(work, 1)
        return taken, work

    def best(self, work):
        """Seconds of one run: the best of several rows of runs."""
        once = self.clock(work, 1)
        runs = max(1, min(1000, int(SAMPLE[self.on_gpu] / max(once, 1e-6))))
        return min([once] + [self.clock(work, runs) / runs for _ in range(SAMPLES)])


class Parts:
    """Runs the parts one after the other and tells of each."""

    def __init__(self, talk, framework, on_gpu, until):
        self.talk, self.framework, self.on_gpu, self.until = talk, framework, on_gpu, until
        self.lost = None

    def run(self):
        able = self.framework.parts()
        for name in PARTS:
            began = time.time()
            part = {"name": name, "holds": None, "detail": "", "error": None, "rate": None, "unit": None}
            part.update(self._one(name, able.get(name)))
            part["detail"] = part["detail"][:500]
            part["seconds"] = time.time() - began
            self.talk.say(part=part)

    def _one(self, name, work):
        if work is None:
            return {"detail": "not in this framework's public interface"}
        if self.lost is not None:
            return {"detail": "the GPU answers no more after %s" % self.lost}
        if self.until is not None and self.until - time.time() < self._needs(name):
            return {"detail": "no time left"}
        self.talk.say(trying=name)
        try:
            with warnings.catch_warnings():  # a part's own ways of asking are no news to the user
                warnings.simplefilter("ignore")
                return work(Bench(self.framework, self.on_gpu))
        except Unsupported as why:
            return {"detail": str(why)}
        except Exception as error:
            self._look_after(name)
            return {"error": words(error)}
        finally:
            attempt([], "", self.framework.let_go)

    def _needs(self, name):
        return COMPILE_SECONDS[self.on_gpu] if name == "compile" else 0.0

    def _look_after(self, name):
        """After some errors CUDA answers every call of the process with the same error."""
        left, right, expected = matrices()
        if attempt([], "", lambda: self.framework.multiply(left, right)) != expected:
            self.lost = name
