"""TensorFlow's parts: see common_parts.py for what a part is. Runs after train_tensorflow.py."""


def tensorflow_parts(framework):
    return TensorFlowParts(framework).parts()


class TensorFlowParts(ArrayParts):
    able = (("sparse-product", "_sparse"),)

    def __init__(self, framework):
        ArrayParts.__init__(self, framework)
        self.tf, self.device = framework.tf, framework.device

    def there(self, array, kind="float32"):
        with self.framework.on("CPU:0"):
            made = self.tf.cast(self.tf.constant(array), kind)
        return self.to_gpu(made)

    def here(self, tensor):
        return tensor.numpy()

    def _placed(self, work):
        """The work, with the device as its surroundings."""

        def placed(*tensors):
            with self.framework.on(self.device):
                return work(*tensors)

        return placed

    def product(self, kind):
        def multiply(a, b):
            with self.framework.on(self.device):
                return self.tf.matmul(a, b)

        if kind != "tf32":
            return multiply

        def with_tf32(a, b):
            self.framework.allow_tf32(True)
            try:
                return multiply(a, b)
            finally:
                self.framework.allow_tf32(False)

        return with_tf32

    def convolve(self, images, kernel):
        with self.framework.on(self.device):
            return self.tf.nn.conv2d(images, kernel, strides=1, padding="SAME")

    def transform(self, values):
        with self.framework.on(self.device):
            return self.tf.signal.fft(values)

    def solve(self, matrix, right):
        with self.framework.on(self.device):
            return self.tf.linalg.solve(matrix, right)

    def normal(self, count, seed):
        with self.framework.on(self.device):
            return self.tf.random.stateless_normal([count], [seed, 7])

    def on_cpu(self, array):
        with self.framework.on("CPU:0"):
            return self.tf.constant(array.view("float32"))

    def to_gpu(self, tensor):
        with self.framework.on(self.device):
            return self.tf.identity(tensor)

    def from_gpu(self, tensor):
        with self.framework.on("CPU:0"):
            return self.tf.identity(tensor)

    def _copied(self, bench, pattern, came, work, inside=False):
        # As bytes: as numbers some of them are none.
        return ArrayParts._copied(self, bench, pattern, came.view("uint32"), work, inside)

    def _sparse(self, bench):
        """A matrix with 32 numbers in each row times a dense one of 64 columns."""
        numpy, tf = self.numpy, self.tf
        each, width = 32, 64
        inputs = {}

        def make(size):
            inputs.clear()
            places = numpy.arange(size)[:, None] * 31 + numpy.arange(each)[None, :] * (size // each + 1)
            columns = numpy.sort(places % size, axis=1)
            rows = numpy.repeat(numpy.arange(size), each)
            values, dense = self.some(size * each), self.some(size, width)
            inputs.update(columns=columns, values=values.reshape(size, each), dense=dense)
            indices = numpy.stack([rows, columns.reshape(-1)], axis=1).astype("int64")
            matrix = tf.SparseTensor(indices, self.there(values), (size, size))
            there = self.there(dense)

            def work():
                with self.framework.on(self.device):
                    return tf.sparse.sparse_dense_matmul(matrix, there)

            return work

        sizes = (4096, 16384, 65536, 262144) if self.on_gpu else (1024, 4096)
        try:
            size, work = bench.largest(sizes, lambda size: size * (each * 40 + width * 12), make, 4)
        except tf.errors.UnimplementedError as error:
            if "deterministic" not in str(error):
                raise
            raise Unsupported("not in TensorFlow's deterministic mode, which has no end")
        rows = spread(size, PLACES)
        found = self.here(work())[rows]
        dense = inputs["dense"].astype("float64")[inputs["columns"][rows]]
        expected = (inputs["values"][rows].astype("float64")[:, :, None] * dense).sum(axis=1)
        rate = teraflops(2.0 * size * each * width, bench.best(work))
        what = "%d rows of %d numbers, times %d columns" % (size, each, width)
        return checked(self.flat(found), self.flat(expected), TOLERANCES["fp32"], what, **rate)

    def compiled(self):
        tf = self.tf

        def function(a, b):
            return tf.reduce_sum(tf.sin(a) * b + tf.cos(b), axis=1)

        try:
            made = tf.function(function, autograph=False, jit_compile=True)
        except TypeError:
            raise Unsupported("TensorFlow has no jit_compile before 2.5")
        return self._placed(made)
