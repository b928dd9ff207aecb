"""PyTorch's parts: see common_parts.py for what a part is. Runs after train_torch.py.

Numbers to compute with are made on the CPU and copied, so that a part rests on no other operation of the device. The
expected ones are computed on the CPU from what lies on the device, rounded as it is there.
"""


def torch_parts(framework):
    made = TorchParts(framework)
    parts = {"matrix-product-%s" % kind: product_of(made, kind) for kind in ("fp32", "tf32", "fp16", "bf16")}
    parts.update({"convolution-%s" % kind: convolution_of(made, kind) for kind in ("fp32", "fp16")})
    torch = framework.torch
    if hasattr(torch.nn.functional, "scaled_mm") and hasattr(torch, "float8_e4m3fn"):
        parts["matrix-product-fp8"] = made.product_fp8
    parts["fft"] = made.fft
    parts["solver"] = made.solver
    parts["random-numbers"] = made.random_numbers
    for way in ("to", "from"):
        for memory in ("pinned", "pageable"):
            parts["copy-%s-gpu-%s" % (way, memory)] = copy_of(made, way == "to", memory == "pinned")
    parts["copy-inside-gpu"] = made.copy_inside
    parts["sparse-product"] = made.sparse_product
    parts["compile"] = made.compiled
    return parts


def product_of(made, kind):
    return lambda bench: made.product(bench, kind)


def convolution_of(made, kind):
    return lambda bench: made.convolution(bench, kind)


def copy_of(made, to_gpu, pinned):
    return lambda bench: made.copy(bench, to_gpu, pinned)


class TorchParts:
    def __init__(self, framework):
        self.framework, self.torch = framework, framework.torch
        self.device, self.on_gpu = framework.device, framework.on_gpu
        self.normals = None

    def some(self, *shape):
        """Nearly normal float32 numbers on the device, from the CPU; a million of them, repeated."""
        if self.normals is None:
            numbers = self.framework.bytes_of(Chance(11).grains(1 << 20)).float()
            self.normals = (numbers - GRAIN_MEAN) / GRAIN_DEVIATION
        count = 1
        for length in shape:
            count *= length
        there = self.normals.to(self.device)
        repeated = there.repeat((count + len(there) - 1) // len(there)) if count > len(there) else there
        return repeated[:count].reshape(shape)

    def at(self, places):
        return self.torch.tensor(places, device=self.device)

    def numbers(self, tensor):
        """As a flat list, the numbers as float64."""
        return tensor.detach().cpu().double().reshape(-1).tolist()

    # ------------------------------------------------------------------------------------------ matrix products

    def product(self, bench, kind):
        torch = self.torch
        self.framework.ask_for_hardware(kind)
        dtype = self.framework.kind(kind)
        self.framework.allow_tf32(kind == "tf32")
        try:
            return self._product(bench, kind, lambda a, b: torch.matmul(a, b), lambda numbers: numbers.to(dtype))
        finally:
            self.framework.allow_tf32(False)

    def product_fp8(self, bench):
        torch = self.torch
        self.framework.ask_for(8, 9, "fp8")
        one = torch.ones((), device=self.device)
        scaling = torch.nn.functional.ScalingType.TensorWise

        def multiply(a, b):
            return torch.nn.functional.scaled_mm(a, b, one, scaling, one, scaling, output_dtype=torch.bfloat16)

        # cuBLAS wants the right factor column by column.
        return self._product(bench, "fp8", multiply, lambda numbers: numbers.to(torch.float8_e4m3fn), turned=True)

    def _product(self, bench, kind, multiply, convert, turned=False):
        torch = self.torch
        sizes = (1024, 2048, 4096, 8192) if self.on_gpu else (128, 256, 512, 1024)
        factors = {}

        def make(size):
            factors.clear()
            left = convert(self.some(size, size))
            right = self.some(size + 1, size)[1:]
            right = convert(right.t().contiguous()).t() if turned else convert(right)
            factors.update(left=left, right=right)
            return lambda: multiply(left, right)

        # Two factors, the product, and what they are made from.
        size, work = bench.largest(sizes, lambda size: 16 * size * size, make, 8)
        rows, columns = self.at(spread(size, PLACES)), self.at(spread(size, PLACES))
        found = work()[rows][:, columns]
        left, right = factors["left"], factors["right"]
        # Through bfloat16's or float32's storage: an index into fp8 is not supported everywhere.
        expected = torch.matmul(left.float()[rows].cpu().double(), right.float().t()[columns].t().cpu().double())
        what = "%d x %d" % (size, size)
        rate = teraflops(2.0 * size**3, bench.best(work))
        return checked(self.numbers(found), self.numbers(expected), TOLERANCES[kind], what, **rate)

    # ------------------------------------------------------------------------ convolution, transform, equations

    def convolution(self, bench, kind):
        """Forward, 3 x 3, with as many channels out as in: what cuDNN is for."""
        torch = self.torch
        dtype = self.framework.kind(kind)
        channels, side = (256, 56) if self.on_gpu else (32, 28)
        convolve = torch.nn.functional.conv2d
        inputs = {}
        kernel = (self.some(channels, channels, 3, 3) / (9 * channels) ** 0.5).to(dtype)

        def make(count):
            inputs.clear()
            images = inputs["images"] = self.some(count, channels, side, side).to(dtype)
            return lambda: convolve(images, kernel, padding=1)

        def bytes_of(count):
            return 12 * count * channels * side * side  # with room for what an algorithm needs

        sizes = (8, 16, 32, 64, 128) if self.on_gpu else (1, 2, 4, 8)
        with torch.no_grad():
            count, work = bench.largest(sizes, bytes_of, make, 2)
            found = work()[count - 1, ::16]
            images = inputs["images"][count - 1 :].cpu().double()
            expected = convolve(images, kernel.cpu().double()[::16], padding=1)
            rate = teraflops(2.0 * 9 * count * (channels * side) ** 2, bench.best(work))
        what = "%d images %dx%dx%d" % (count, side, side, channels)
        return checked(self.numbers(found), self.numbers(expected), TOLERANCES[kind], what, **rate)

    def fft(self, bench):
        torch = self.torch
        if not hasattr(torch.fft, "fft"):
            raise Unsupported("PyTorch has no torch.fft.fft before 1.8")
        length = 4096
        inputs = {}

        def make(rows):
            inputs.clear()
            numbers = inputs["numbers"] = torch.complex(self.some(rows, length), self.some(rows + 1, length)[1:])
            return lambda: torch.fft.fft(numbers)

        sizes = (1024, 4096, 16384) if self.on_gpu else (64, 256, 1024)
        rows, work = bench.largest(sizes, lambda rows: 32 * rows * length, make, 4)
        some = self.at(spread(rows, 4))
        found = torch.view_as_real(work()[some])
        exact = inputs["numbers"][some].cpu().to(torch.complex128)
        expected = torch.view_as_real(torch.fft.fft(exact))
        # The usual count of operations: http://www.fftw.org/speed/method.html
        rate = teraflops(5.0 * rows * length * 12, bench.best(work))
        what = "%d of %d complex numbers" % (rows, length)
        return checked(self.numbers(found), self.numbers(expected), 1e-4, what, **rate)

    def solver(self, bench):
        """Linear equations; the right sides come out again when the CPU multiplies."""
        torch = self.torch
        if not hasattr(torch, "linalg") or not hasattr(torch.linalg, "solve"):
            raise Unsupported("PyTorch has no torch.linalg.solve before 1.8")
        inputs = {}

        def make(size):
            inputs.clear()
            # Far from singular, and the solver has to change rows: the large numbers stand beside the diagonal.
            matrix = self.some(size, size) / size**0.5 + 4 * torch.eye(size, device=self.device).roll(1, 0)
            right = self.some(size + 1, 16)[1:]
            inputs.update(matrix=matrix, right=right)
            return lambda: torch.linalg.solve(matrix, right)

        sizes = (512, 1024, 2048, 4096, 8192) if self.on_gpu else (64, 128, 256, 512)
        size, work = bench.largest(sizes, lambda size: 16 * size * size, make, 8)
        found = torch.matmul(inputs["matrix"].cpu().double(), work().cpu().double())
        rate = teraflops(2.0 / 3 * size**3, bench.best(work))
        what = "%d equations, 16 right sides" % size
        # Backward error: the condition is below 10, so float32 leaves about 1e-5.
        return checked(self.numbers(found), self.numbers(inputs["right"]), 1e-3, what, **rate)

    # ----------------------------------------------------------------------------------------------- random numbers

    def random_numbers(self, bench):
        """Normal ones: their mean and variance as the CPU finds them, and no two draws alike."""
        torch = self.torch

        def make(count):
            return lambda: torch.randn(count, device=self.device)

        sizes = (1 << 22, 1 << 24, 1 << 26, 1 << 28) if self.on_gpu else (1 << 16, 1 << 18, 1 << 20)
        count, work = bench.largest(sizes, lambda count: 8 * count, make, 4)
        one, other = (work()[:: max(1, count >> 20)].cpu().double() for _ in range(2))
        size = len(one)
        mean, variance = one.mean().item(), one.var().item()
        # Six standard deviations of what so many normal numbers give.
        right = abs(mean) <= 6 / size**0.5 and abs(variance - 1) <= 6 * (2.0 / size) ** 0.5
        if torch.equal(one, other):
            return {"holds": False, "detail": "two draws gave the same %d numbers" % size}
        told = "mean %.2g, variance %.5f of %d among %d normal numbers" % (mean, variance, size, count)
        result = {"holds": right, "detail": told}
        result.update(millions(count, bench.best(work)))
        return result

    # ------------------------------------------------------------------------------------------------------ copies

    def pattern(self, size):
        """So many bytes on the CPU that repeat only after 16 MiB."""
        torch = self.torch
        row = torch.arange(min(size, 16 << 20) // 4, dtype=torch.int32) * 747796405
        return row.repeat(max(1, size // (16 << 20)))

    def copy(self, bench, to_gpu, pinned):
        if not self.on_gpu:
            raise Unsupported("this job is on the CPU")
        size = max(16 << 20, min(128 << 20, bench.bytes // 8 >> 24 << 24))
        pattern = self.pattern(size)
        host = pattern.pin_memory() if pinned else pattern
        device = host.to(self.device)
        if to_gpu:
            device.zero_()
            work = lambda: device.copy_(host, non_blocking=pinned)  # noqa: E731
            work()
            came = device.cpu()
        else:
            target = self.torch.zeros(len(host), dtype=host.dtype, pin_memory=pinned)
            work = lambda: target.copy_(device, non_blocking=pinned)  # noqa: E731
            work()
            self.torch.cuda.synchronize(0)
            came = target
        right = self.torch.equal(came, pattern)
        detail = "%d MiB" % (size >> 20) if right else self.told_difference(came, pattern)
        result = {"holds": right, "detail": detail}
        result.update(gigabytes(size, bench.best(work)))
        return result

    def told_difference(self, came, pattern):
        wrong = (came != pattern).nonzero().reshape(-1)
        told = (len(wrong), len(pattern), 4 * int(wrong[0]))
        return "%d of %d words came otherwise, the first at byte %d" % told

    def copy_inside(self, bench):
        torch = self.torch
        sizes = [size << 20 for size in ((64, 256, 1024) if self.on_gpu else (16, 32))]
        made = {}

        def make(size):
            made.clear()
            source = self.pattern(16 << 20).to(self.device).repeat(size // (16 << 20))
            target = torch.zeros_like(source)
            made.update(source=source, target=target)
            return lambda: target.copy_(source)

        size, work = bench.largest(sizes, lambda size: 2 * size, make, 4)
        work()
        # The last 16 MiB are compared on the CPU, all others with them on the device.
        pattern = self.pattern(16 << 20)
        stretches = made["target"].reshape(-1, len(pattern))
        last = stretches[-1].cpu()
        right = torch.equal(last, pattern) and bool((stretches == stretches[-1]).all().item())
        detail = "%d MiB" % (size >> 20) if right else "what was copied differs from its source"
        result = {"holds": right, "detail": detail}
        result.update(copied_inside(size, bench.best(work), self.on_gpu))
        return result

    # --------------------------------------------------------------------------------------- sparse, and compiled

    def sparse_product(self, bench):
        """A matrix with 32 numbers in each row times a dense one of 64 columns."""
        torch = self.torch
        each, width = 32, 64
        inputs = {}

        def make(size):
            inputs.clear()
            # Whole numbers on the CPU: a row's columns differ, since size is a power of two and 2 * at + 1 is odd.
            rows = torch.arange(size).repeat_interleave(each)
            places = torch.arange(each).repeat(size)
            columns = (rows * 31 + places * (size // each) + places) % size
            values = self.some(size * each)
            indices = torch.stack([rows, columns]).to(self.device)
            matrix = torch.sparse_coo_tensor(indices, values, (size, size)).coalesce()
            dense = self.some(size, width)
            inputs.update(columns=columns, values=values, dense=dense)
            return lambda: torch.sparse.mm(matrix, dense)

        sizes = (4096, 16384, 65536, 262144) if self.on_gpu else (1024, 4096)
        size, work = bench.largest(sizes, lambda size: size * (each * 40 + width * 12), make, 4)
        rows = spread(size, PLACES)
        found = work()[self.at(rows)]
        some = torch.tensor(rows)
        values = inputs["values"].reshape(size, each)[self.at(rows)].cpu().double()
        columns = inputs["columns"].reshape(size, each)[some]
        dense = inputs["dense"].cpu().double()[columns]
        expected = (values.unsqueeze(2) * dense).sum(1)
        rate = teraflops(2.0 * size * each * width, bench.best(work))
        what = "%d rows of %d numbers, times %d columns" % (size, each, width)
        return checked(self.numbers(found), self.numbers(expected), TOLERANCES["fp32"], what, **rate)

    def compiled(self, bench):
        """A small function through TorchDynamo, Inductor and, on a GPU, Triton and ptxas."""
        torch = self.torch
        if not hasattr(torch, "compile"):
            raise Unsupported("PyTorch has no torch.compile before 2.0")
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # else it starts a process for each core

        def function(a, b):
            return (torch.sin(a) * b + torch.cos(b)).sum(dim=1)

        # This text is no file that the compiler could read; it looks at code, not at source.
        a, b = self.some(256, 1024), self.some(257, 1024)[1:]
        try:
            found = torch.compile(function)(a, b)
        except Exception as error:
            return self._not_compiled(error)
        expected = function(a.cpu().double(), b.cpu().double())
        return checked(self.numbers(found), self.numbers(expected), 1e-4, "torch.compile of a small function")

    def _not_compiled(self, error):
        inner = getattr(error, "inner_exception", None) or error
        text = compilers_words(inner)
        if "not supported on" in text or "not yet supported" in text:  # a Python newer than PyTorch, or Windows
            raise Unsupported(text)
        return {"error": text}
