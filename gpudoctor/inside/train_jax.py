"""JAX's part of the smoke job. Runs after common_job.py in the interpreter under test; JAX 0.4 and newer."""

# Names such as BATCH and attempt are those of common_job.py.


class Framework:
    """See Job in common_job.py for what each verb is asked for."""

    def bring_in(self):
        import jax
        import jax.numpy

        self.jax, self.np = jax, jax.numpy

    # ------------------------------------------------------------------------------ what it says of itself

    def says(self, troubles):
        # JAX has no word of its own for the CUDA it was built with; the plugin's distribution has.
        return {"version": str(self.jax.__version__), "cuda": None, "cudnn_built": None, "targets": []}

    def meet_numpy(self, troubles):
        pass  # it was met at the import

    def devices(self, troubles):
        gpus = attempt(troubles, "jax.devices()", self._gpus)
        return {
            "available": None if gpus is None else bool(gpus),
            "devices": [self._device(gpu) for gpu in gpus or ()],
        }

    def _gpus(self):
        return [device for device in self.jax.devices() if device.platform in ("gpu", "cuda", "rocm")]

    def _device(self, gpu):
        capability = getattr(gpu, "compute_capability", None)
        return {"name": str(gpu.device_kind), "capability": None if capability is None else str(capability)}

    # -------------------------------------------------------------------------------------------- the job

    def init(self, on_gpu):
        gpus = self._gpus() if on_gpu else []
        if on_gpu and not gpus:
            raise RuntimeError("JAX lists no GPU")
        self.cpu = self.jax.devices("cpu")[0]
        self.place = gpus[0] if on_gpu else self.cpu
        self.device = self._short(self.place)
        self.jax.config.update("jax_default_matmul_precision", "highest")
        return self.device if on_gpu else "cpu"

    def _short(self, device):
        return "%s:%d" % (device.platform, device.id)

    def _put(self, value, kind, device=None):
        # Through the CPU in every case, so that nothing is computed where it does not belong.
        with self.jax.default_device(self.cpu):
            made = self.np.asarray(value, dtype=kind)
        return self.jax.device_put(made, device or self.place)

    def load(self, images):
        def put(drawn):
            kinds, noises, labels = drawn
            pixels = [
                [a + b for a, b in zip(images.templates[kind], images.noises[noise])]
                for kind, noise in zip(kinds, noises)
            ]
            return self._put(pixels, "float32").reshape(-1, 28, 28, 1), self._put(labels, "int32")

        self.trained, self.held_out = put(images.trained), put(images.held_out)
        return self._put(images.templates[0], "float32").tolist()

    def multiply(self, left, right):
        return (self._put(left, "float32") @ self._put(right, "float32")).reshape(-1).tolist()

    def _start(self, weights, device, kind):
        shapes = [(3, 3, 1, 16), (16,), (3, 3, 16, 32), (32,), (1568, 10), (10,)]
        # Through float32 in every case, so that the reference starts from the same numbers.
        single = [self._put(values, "float32", device) for values in weights]
        return [values.astype(kind).reshape(shape) for values, shape in zip(single, shapes)]

    def _outputs(self, weights, images):
        def convolve(images, kernel, bias):
            dimensions = ("NHWC", "HWIO", "NHWC")
            sums = self.jax.lax.conv_general_dilated(
                images, kernel, (2, 2), "SAME", dimension_numbers=dimensions, precision=self.jax.lax.Precision.HIGHEST
            )
            return self.np.maximum(sums + bias, 0)

        hidden = convolve(convolve(images, weights[0], weights[1]), weights[2], weights[3])
        return hidden.reshape(hidden.shape[0], -1) @ weights[4] + weights[5]

    def _loss(self, weights, images, labels):
        outputs = self._outputs(weights, images)
        logs = self.jax.nn.log_softmax(outputs)
        chosen = self.np.take_along_axis(logs, labels[:, None], axis=1)
        return -chosen.mean(), outputs

    def build(self, weights):
        jax = self.jax
        self.parameters = self._start(weights, self.place, "float32")
        self.speeds = [values * 0 for values in self.parameters]

        def step(parameters, speeds, images, labels):
            (loss, outputs), gradients = jax.value_and_grad(self._loss, has_aux=True)(parameters, images, labels)
            speeds = [MOMENTUM * speed + gradient for speed, gradient in zip(speeds, gradients)]
            parameters = [values - RATE * speed for values, speed in zip(parameters, speeds)]
            return parameters, speeds, loss, outputs, gradients

        self.compiled = jax.jit(step)

    def step(self, start):
        images, labels = (part[start : start + BATCH] for part in self.trained)
        state = self.compiled(self.parameters, self.speeds, images, labels)
        self.parameters, self.speeds, loss, self.outputs, self.last_gradients = state
        return loss

    def places(self):
        def short(arrays):
            return [self._short(device) for array in arrays for device in array.devices()]

        return {
            "parameters": short(self.parameters),
            "gradients": short(self.last_gradients),
            "outputs": short([self.outputs]),
        }

    def number(self, loss):
        return float(loss)

    def weights(self):
        return [values.reshape(-1).tolist() for values in self.parameters]

    def classes(self):
        return self._outputs(self.parameters, self.held_out[0]).argmax(axis=1).tolist()

    def gradients(self, weights, count):
        return self._gradients(weights, count, self.place, "float32")

    def reference(self, weights, count):
        self.jax.config.update("jax_enable_x64", True)
        try:
            return self._gradients(weights, count, self.cpu, "float64")
        finally:
            self.jax.config.update("jax_enable_x64", False)

    def _gradients(self, weights, count, device, kind):
        images, labels = (self.jax.device_put(part[:count], device) for part in self.trained)
        compute = self.jax.value_and_grad(self._loss, has_aux=True)
        (loss, _), gradients = compute(self._start(weights, device, kind), images.astype(kind), labels)
        return {"loss": self.number(loss), "gradients": [part.reshape(-1).tolist() for part in gradients]}

    def be_deterministic(self):
        if self.place.platform != "cpu" and "--xla_gpu_deterministic_ops=true" not in os.environ.get("XLA_FLAGS", ""):
            raise Unsupported("XLA takes it only from XLA_FLAGS, before the start")

    def allocated(self):
        told = self.place.memory_stats() or {}
        return told.get("bytes_in_use")

    def hold(self, size):
        with self.jax.default_device(self.place):
            self.held = self.np.ones(size // 4, dtype="float32")
        self.held.block_until_ready()

    def kernels(self):
        raise Unsupported("JAX's profiler writes files")
