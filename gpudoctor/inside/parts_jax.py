"""JAX's parts: see common_parts.py for what a part is. Runs after train_jax.py."""


def jax_parts(framework):
    return JaxParts(framework).parts()


class JaxParts(ArrayParts):
    able = (("matrix-product-int8", "_product_int8"), ("copy-inside-gpu", "_copy_inside"))

    def __init__(self, framework):
        ArrayParts.__init__(self, framework)
        self.jax, self.np = framework.jax, framework.np
        self.convolve = self.jax.jit(self._convolve)

    def there(self, array, kind="float32"):
        return self.framework.put(array, kind)

    def product(self, kind):
        if kind == "int8":
            lax = self.jax.lax
            return self.jax.jit(lambda a, b: lax.dot(a, b, preferred_element_type=self.np.int32))
        compiled = self.jax.jit(lambda a, b: a @ b)
        if kind != "tf32":
            return compiled

        def multiply(a, b):
            with self.jax.default_matmul_precision("tensorfloat32"):
                return compiled(a, b)

        return multiply

    def _product_int8(self, bench):
        return self._product(bench, "int8")

    def _convolve(self, images, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return self.jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=layout)

    def transform(self, values):
        return self.np.fft.fft(values)

    def solve(self, matrix, right):
        return self.np.linalg.solve(matrix, right)

    def normal(self, count, seed):
        with self.jax.default_device(self.framework.place):
            return self.jax.random.normal(self.jax.random.PRNGKey(seed), (count,))

    def on_cpu(self, array):
        return array

    def to_gpu(self, array):
        return self.jax.device_put(array, self.framework.place)

    def from_gpu(self, array):
        return self.jax.device_put(array, self.framework.cpu)

    def _copy_inside(self, bench):
        size = (256 if self.on_gpu else 16) << 20
        while self.on_gpu and 4 * size > bench.bytes and size > 16 << 20:
            size //= 2
        pattern = self.numpy.arange(size // 4, dtype="uint32") * self.numpy.uint32(747796405)
        there = self.to_gpu(pattern)
        return self._copied(bench, pattern, self.here(self.np.copy(there)), lambda: self.np.copy(there), True)

    def compiled(self):
        np = self.np
        return self.jax.jit(lambda a, b: (np.sin(a) * b + np.cos(b)).sum(axis=1))
