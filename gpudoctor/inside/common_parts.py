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
LEAST_COPY = 128 << 20  # bytes; half of it would lie in the cache of a large GPU (126 MiB), whose speed is another
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


def tf32_is_off():
    """NVIDIA's libraries then compute in full fp32, whatever a program asks for."""
    return os.environ.get("NVIDIA_TF32_OVERRIDE") == "0"


def teraflops(operations, seconds):
    return {"rate": operations / seconds / 1e12, "unit": "TFLOP/s"} if seconds > 0 else {}


def gigabytes(size, seconds):
    return {"rate": size / seconds / 1e9, "unit": "GB/s"} if seconds > 0 else {}


def millions(count, seconds):
    return {"rate": count / seconds / 1e6, "unit": "M/s"} if seconds > 0 else {}


def copied_inside(size, seconds, on_gpu):
    """The rate of a copy inside the GPU, which reads and writes; none for one that its cache may have answered."""
    return gigabytes(2 * size, seconds) if size >= LEAST_COPY or not on_gpu else {}


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
        self.framework, self.clock, self.on_gpu = framework, framework.clock, on_gpu
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
        """Seconds of one run: the best of several rows of runs; fewer rows where one run is long. 0 if not known."""
        doubts = self.framework.doubts = []
        taken = [self.clock(work, 1)]
        runs = max(1, min(1000, int(SAMPLE[self.on_gpu] / max(taken[0], 1e-6))))
        began = time.perf_counter()
        for _ in range(SAMPLES):
            taken.append(self.clock(work, runs) / runs)
            if time.perf_counter() - began > 2 * SAMPLES * SAMPLE[self.on_gpu]:
                break
        return 0.0 if doubts and all(doubts) else min(taken)


class Parts:
    """Runs the parts one after the other and tells of each."""

    def __init__(self, talk, framework, on_gpu, until):
        self.talk, self.framework, self.on_gpu, self.until = talk, framework, on_gpu, until
        self.lost = None

    def run(self):
        able = self.framework.parts()
        for name in PARTS:
            began = time.perf_counter()
            part = {"name": name, "holds": None, "detail": "", "error": None, "rate": None, "unit": None}
            part.update(self._one(name, able.get(name)))
            part["detail"] = part["detail"][:500]
            part["seconds"] = time.perf_counter() - began
            self.talk.say(part=part)

    def _one(self, name, work):
        if work is None:
            return {"detail": "not in this framework's public interface"}
        if self.lost is not None:
            return {"detail": "the GPU answers no more after %s" % self.lost}
        if self.until is not None and self.until - time.perf_counter() < self._needs(name):
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


PLACES = 64  # along each side of a large result: so that every tile of 128 x 128 of the largest is met


class ArrayParts:
    """The parts for a framework that brings NumPy, which gives the expected numbers in float64.

    A subclass brings the operations: each takes what ``there`` gave and leaves its result on the device. Up to three
    results may lie there at once.
    """

    able = ()  # names of parts besides those that every subclass has

    def __init__(self, framework):
        import numpy

        self.numpy, self.framework, self.on_gpu = numpy, framework, framework.on_gpu
        grains = numpy.frombuffer(Chance(11).grains(1 << 20), dtype=numpy.uint8)
        self.normals = ((grains - numpy.float32(GRAIN_MEAN)) / numpy.float32(GRAIN_DEVIATION)).astype("float32")

    def there(self, array, kind="float32"):
        """An array of NumPy on the device, as numbers of that kind."""
        raise NotImplementedError

    def here(self, tensor):
        """A result as an array of NumPy."""
        return self.numpy.asarray(tensor)

    def parts(self):
        parts = {"matrix-product-%s" % kind: self._product_of(kind) for kind in ("fp32", "tf32", "fp16", "bf16")}
        parts.update({"convolution-%s" % kind: self._convolution_of(kind) for kind in ("fp32", "fp16")})
        parts.update({"fft": self._fft, "solver": self._solver, "random-numbers": self._random})
        parts.update({"copy-to-gpu-pageable": self._copy_to, "copy-from-gpu-pageable": self._copy_from})
        parts["compile"] = self._compile
        parts.update({name: getattr(self, method) for name, method in self.able})
        return parts

    def some(self, *shape):
        """Nearly normal numbers; a million of them, repeated."""
        return self.numpy.resize(self.normals, shape)

    def flat(self, array):
        return self.numpy.asarray(array, dtype="float64").reshape(-1).tolist()

    def _product_of(self, kind):
        return lambda bench: self._product(bench, kind)

    def _convolution_of(self, kind):
        return lambda bench: self._convolution(bench, kind)

    def _product(self, bench, kind):
        self.framework.ask_for_hardware(kind)
        multiply = self.product(kind)
        factors = {}

        def make(size):
            factors.clear()
            left, right = self.some(size, size), self.some(size + 1, size)[1:]
            if kind == "int8":
                left, right = (self.numpy.rint(20 * values) for values in (left, right))
            wanted = "int8" if kind == "int8" else self.framework.kind(kind)
            left, right = (self.there(values, wanted) for values in (left, right))
            factors.update(left=left, right=right)
            return lambda: multiply(left, right)

        sizes = (1024, 2048, 4096, 8192) if self.on_gpu else (128, 256, 512, 1024)
        size, work = bench.largest(sizes, lambda size: 24 * size * size, make, 8)
        places = spread(size, PLACES)
        found = self.here(work())[places][:, places]
        left, right = self.here(factors["left"])[places], self.here(factors["right"])[:, places]
        expected = left.astype("float64").dot(right.astype("float64"))
        rate = teraflops(2.0 * size**3, bench.best(work))
        return checked(self.flat(found), self.flat(expected), TOLERANCES[kind], "%d x %d" % (size, size), **rate)

    def _convolution(self, bench, kind):
        """Forward, 3 x 3, with as many channels out as in, channels last; the inside of the last image is compared."""
        numpy = self.numpy
        wanted = self.framework.kind(kind)
        channels, side = (256, 56) if self.on_gpu else (32, 28)
        kernel = self.there(self.some(3, 3, channels, channels) / (9 * channels) ** 0.5, wanted)
        inputs = {}

        def make(count):
            inputs.clear()
            images = inputs["images"] = self.there(self.some(count, side, side, channels), wanted)
            return lambda: self.convolve(images, kernel)

        sizes = (8, 16, 32, 64, 128) if self.on_gpu else (1, 2, 4, 8)
        count, work = bench.largest(sizes, lambda count: 24 * count * channels * side * side, make, 2)
        found = self.here(work())[-1, 1:-1, 1:-1, ::16]
        image = self.here(inputs["images"])[-1].astype("float64")
        weights = self.here(kernel)[..., ::16].astype("float64")
        expected = numpy.zeros(found.shape)
        for y in range(3):
            for x in range(3):
                expected += image[y : y + side - 2, x : x + side - 2].dot(weights[y, x])
        rate = teraflops(2.0 * 9 * count * (channels * side) ** 2, bench.best(work))
        what = "%d images %dx%dx%d" % (count, side, side, channels)
        return checked(self.flat(found), self.flat(expected), TOLERANCES[kind], what, **rate)

    def _fft(self, bench):
        length = 4096
        inputs = {}

        def make(rows):
            inputs.clear()
            values = inputs["values"] = self.some(rows, length) + 1j * self.some(rows + 1, length)[1:]
            there = self.there(values, "complex64")
            return lambda: self.transform(there)

        sizes = (1024, 4096, 16384) if self.on_gpu else (64, 256, 1024)
        rows, work = bench.largest(sizes, lambda rows: 48 * rows * length, make, 4)
        some = spread(rows, 4)
        found = self.here(work())[some]
        expected = self.numpy.fft.fft(inputs["values"][some].astype("complex128"))
        # The usual count of operations: http://www.fftw.org/speed/method.html
        rate = teraflops(5.0 * rows * length * 12, bench.best(work))
        both = [self.flat(part) for part in (found.real, expected.real, found.imag, expected.imag)]
        what = "%d of %d complex numbers" % (rows, length)
        return checked(both[0] + both[2], both[1] + both[3], 1e-4, what, **rate)

    def _solver(self, bench):
        """Linear equations; the right sides come out again when the CPU multiplies."""
        numpy = self.numpy
        inputs = {}

        def make(size):
            inputs.clear()
            # Far from singular, and the solver has to change rows: the large numbers stand beside the diagonal.
            matrix = self.some(size, size) / numpy.float32(size**0.5) + 4 * numpy.eye(size, k=1, dtype="float32")
            matrix[-1, 0] += 4
            right = self.some(size + 1, 16)[1:]
            inputs.update(matrix=matrix, right=right)
            there = self.there(matrix), self.there(right)
            return lambda: self.solve(*there)

        sizes = (512, 1024, 2048, 4096, 8192) if self.on_gpu else (64, 128, 256, 512)
        size, work = bench.largest(sizes, lambda size: 16 * size * size, make, 8)
        found = inputs["matrix"].astype("float64").dot(self.here(work()).astype("float64"))
        rate = teraflops(2.0 / 3 * size**3, bench.best(work))
        what = "%d equations, 16 right sides" % size
        # Backward error: the condition is below 10, so float32 leaves about 1e-5.
        return checked(self.flat(found), self.flat(inputs["right"]), 1e-3, what, **rate)

    def _random(self, bench):
        """Normal ones: their mean and variance as the CPU finds them, and no two draws alike."""
        seeds = iter(range(1, 1 << 30))

        def make(count):
            return lambda: self.normal(count, next(seeds))

        sizes = (1 << 22, 1 << 24, 1 << 26) if self.on_gpu else (1 << 16, 1 << 18, 1 << 20)
        count, work = bench.largest(sizes, lambda count: 16 * count, make, 4)
        one, other = (self.here(work())[:: max(1, count >> 20)].astype("float64") for _ in range(2))
        if self.numpy.array_equal(one, other):
            return {"holds": False, "detail": "two draws gave the same %d numbers" % one.size}
        mean, variance = float(one.mean()), float(one.var())
        # Six standard deviations of what so many normal numbers give.
        right = abs(mean) <= 6 / one.size**0.5 and abs(variance - 1) <= 6 * (2.0 / one.size) ** 0.5
        told = "mean %.2g, variance %.5f of %d among %d normal numbers" % (mean, variance, one.size, count)
        result = {"holds": right, "detail": told}
        result.update(millions(count, bench.best(work)))
        return result

    def _pattern(self, bench):
        if not self.on_gpu:
            raise Unsupported("this job is on the CPU")
        size = max(16 << 20, min(128 << 20, bench.bytes // 8 >> 24 << 24))
        return self.numpy.arange(size // 4, dtype="uint32") * self.numpy.uint32(747796405)

    def _copied(self, bench, pattern, came, work, inside=False):
        right = self.numpy.array_equal(came, pattern)
        detail = "%d MiB" % (pattern.nbytes >> 20) if right else "what was copied differs from its source"
        result = {"holds": bool(right), "detail": detail}
        seconds = bench.best(work)
        size = pattern.nbytes
        result.update(copied_inside(size, seconds, self.on_gpu) if inside else gigabytes(size, seconds))
        return result

    def _copy_to(self, bench):
        pattern = self._pattern(bench)
        host = self.on_cpu(pattern)
        return self._copied(bench, pattern, self.here(self.to_gpu(host)), lambda: self.to_gpu(host))

    def _copy_from(self, bench):
        pattern = self._pattern(bench)
        there = self.to_gpu(self.on_cpu(pattern))
        return self._copied(bench, pattern, self.here(self.from_gpu(there)), lambda: self.from_gpu(there))

    def _compile(self, bench):
        """A small function through XLA's compiler, which on a GPU needs libdevice and ptxas."""
        numpy = self.numpy
        a, b = self.some(256, 1024), self.some(257, 1024)[1:]
        try:
            found = self.here(self.compiled()(self.there(a), self.there(b)))
        except Unsupported:
            raise
        except Exception as error:
            return {"error": compilers_words(error)}
        a, b = a.astype("float64"), b.astype("float64")
        expected = (numpy.sin(a) * b + numpy.cos(b)).sum(axis=1)
        return checked(self.flat(found), self.flat(expected), 1e-4, "a small function")
