"""JAX's part of the smoke job. Runs after common_job.py in the interpreter under test; JAX 0.4 and newer."""

# Names such as SCALE and attempt are those of the common_*.py. What each verb is asked for is told in common_job.py.


class Framework(Verbs):
    def bring_in(self):
        import jax
        import jax.numpy

        self.jax, self.np, self.graded = jax, jax.numpy, {}

    # ------------------------------------------------------------------------------ what it says of itself

    def says(self, troubles):
        # JAX has no word of its own for the CUDA it was built with; the plugin's distribution has.
        return {"version": str(self.jax.__version__), "cuda": None, "cudnn_built": None, "targets": []}

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
        self.on_gpu, self.place = on_gpu, gpus[0] if on_gpu else self.cpu
        self.device = self.short(self.place)
        self.jax.config.update("jax_default_matmul_precision", "highest")
        return self.device if on_gpu else "cpu"

    def short(self, device):
        return "%s:%d" % (device.platform, device.id)

    def allow(self, precision):
        self.ask_for_hardware(precision)

    def ask_for_hardware(self, precision):
        """Raise Unsupported where this device does not compute in that precision."""
        if precision == "tf32" and not self.on_gpu:
            raise Unsupported("tf32 is a mode of NVIDIA GPUs; this job is on the CPU")
        if precision == "tf32" and tf32_is_off():
            raise Unsupported("tf32 is switched off by NVIDIA_TF32_OVERRIDE=0")
        told = self._device(self.place)
        capability = told["capability"] if self.on_gpu else None
        if precision in ("tf32", "bf16") and capability and int(capability.partition(".")[0]) < 8:
            raise Unsupported("%s needs compute capability 8.0, %s has %s" % (precision, told["name"], capability))

    def kind(self, precision):
        return {"fp16": "float16", "bf16": "bfloat16"}.get(precision, "float32")

    def put(self, value, kind, device=None):
        # Through the CPU in every case, so that nothing is computed where it does not belong.
        with self.jax.default_device(self.cpu):
            made = self.np.asarray(value, dtype=kind)
        return self.jax.device_put(made, device or self.place)

    def images(self, lesson, drawn):
        """Images and labels as arrays of NumPy, which JAX needs itself."""
        import numpy

        kinds, noises, labels = (numpy.asarray(part) for part in drawn)
        templates, grains = (
            numpy.frombuffer(data, dtype=numpy.uint8).reshape(-1, lesson.pixels)
            for data in (lesson.templates, lesson.noises)
        )
        pixels = templates[kinds].astype(numpy.float32) + grains[noises].astype(numpy.float32)
        return (pixels - numpy.float32(GRAIN_MEAN)) / numpy.float32(SCALE), labels.astype(numpy.int32)

    def echo(self, lesson):
        pixels = self.images(lesson, [part[:1] for part in lesson.held_out])[0]
        return self.put(pixels, "float32").reshape(-1).tolist()

    def multiply(self, left, right):
        return (self.put(left, "float32") @ self.put(right, "float32")).reshape(-1).tolist()

    def start(self, lesson, device, kind):
        # Through float32 in every case, so that the reference starts from the same numbers.
        single = [self.put(values, "float32", device) for values in lesson.weights]
        return [values.astype(kind).reshape(shape) for values, shape in zip(single, lesson.shapes)]

    def outputs(self, lesson, weights, images):
        np = self.np
        if lesson.name == "convolutional":
            images = images.reshape(-1, 28, 28, 1)
            hidden = self._convolve(self._convolve(images, weights[0], weights[1]), weights[2], weights[3])
            return hidden.reshape(hidden.shape[0], -1) @ weights[4] + weights[5]
        hidden = np.maximum(images @ weights[0] + weights[1], 0)
        hidden = np.maximum(hidden @ weights[2] + weights[3], 0)
        return hidden @ weights[4] + weights[5]

    def _convolve(self, images, kernel, bias):
        # The precision is that of jax_default_matmul_precision.
        sums = self.jax.lax.conv_general_dilated(
            images, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return self.np.maximum(sums + bias, 0)

    def loss(self, lesson, weights, images, labels):
        outputs = self.outputs(lesson, weights, images)
        exact = outputs if outputs.dtype == "float64" else outputs.astype("float32")
        logs = self.jax.nn.log_softmax(exact)
        chosen = self.np.take_along_axis(logs, labels[:, None], axis=1)
        return -chosen.mean(), outputs

    def learner(self, lesson, precision, on_cpu=False):
        return Learner(self, lesson, precision, self.cpu if on_cpu else self.place)

    def gradients(self, lesson, count):
        return self._gradients(lesson, count, self.place, "float32")

    def reference(self, lesson, count):
        self.jax.config.update("jax_enable_x64", True)
        try:
            return self._gradients(lesson, count, self.cpu, "float64")
        finally:
            self.jax.config.update("jax_enable_x64", False)

    def _gradients(self, lesson, count, device, kind):
        images, labels = self.images(lesson, [part[:count] for part in lesson.trained])
        images, labels = self.put(images, "float32", device), self.put(labels, "int32", device)
        if lesson.name not in self.graded:  # compiled once for each kind of number and each device
            compute = self.jax.value_and_grad(lambda *values: self.loss(lesson, *values), has_aux=True)
            self.graded[lesson.name] = self.jax.jit(compute)
        (loss, _), gradients = self.graded[lesson.name](self.start(lesson, device, kind), images.astype(kind), labels)
        return {"loss": float(loss), "gradients": [part.reshape(-1).tolist() for part in gradients]}

    def be_deterministic(self, wanted):
        if self.on_gpu and "--xla_gpu_deterministic_ops=true" not in os.environ.get("XLA_FLAGS", ""):
            raise Unsupported("XLA takes it only from XLA_FLAGS, before the start")

    # -------------------------------------------------------------------------------------- memory and time

    def allocated(self):
        told = self.place.memory_stats() or {}
        return told.get("bytes_in_use")

    def free_memory(self):
        return free_gpu_memory() if self.on_gpu else None

    def hold(self, size):
        with self.jax.default_device(self.place):
            self.held = self.np.ones(size // 4, dtype="float32")
        self.held.block_until_ready()

    def let_go(self):
        self.held = None

    def clock(self, work, runs):
        # JAX shows no events: the time is the wall's. It would make room for the results of all runs at once.
        under_way, began = [], time.perf_counter()
        for _ in range(runs):
            under_way.append(work())
            if len(under_way) > 2:
                self.jax.block_until_ready(under_way.pop(0))
        self.jax.block_until_ready(under_way)
        return time.perf_counter() - began

    def kernels(self, work):
        raise Unsupported("JAX's profiler writes files")

    def parts(self):
        return jax_parts(self)


class Learner(LearnerVerbs):
    def __init__(self, framework, lesson, precision, place):
        jax = framework.jax
        self.framework, self.lesson, self.precision, self.place = framework, lesson, precision, place
        self.trained = framework.images(lesson, lesson.trained)
        self.parameters = framework.start(lesson, place, "float32")
        self.speeds = [values * 0 for values in self.parameters]
        kind = framework.kind(precision)
        # Small gradients vanish in float16 if the loss is not scaled.
        scale = 128.0 if precision == "fp16" else 1.0

        def scaled_loss(parameters, images, labels):
            cast = [values.astype(kind) for values in parameters]
            loss, outputs = framework.loss(lesson, cast, images.astype(kind), labels)
            return loss * scale, (loss, outputs)

        def step(parameters, speeds, images, labels):
            (_, told), gradients = jax.value_and_grad(scaled_loss, has_aux=True)(parameters, images, labels)
            gradients = [gradient / scale for gradient in gradients]
            speeds = [0.9 * speed + gradient for speed, gradient in zip(speeds, gradients)]
            parameters = [values - lesson.rate * speed for values, speed in zip(parameters, speeds)]
            return parameters, speeds, told, gradients

        self.compiled = jax.jit(step)

    def batches(self, steps, size):
        images, labels = self.trained
        count = len(labels)
        for step in range(steps):
            start = step * size % count
            if start + size <= count:
                yield images[start : start + size], labels[start : start + size]
            else:
                wrapped = [(start + at) % count for at in range(size)]
                yield images[wrapped], labels[wrapped]

    def step(self, batch):
        images, labels = (self.framework.jax.device_put(part, self.place) for part in batch)
        if self.precision != "tf32":
            return self._step(images, labels)
        with self.framework.jax.default_matmul_precision("tensorfloat32"):
            return self._step(images, labels)

    def _step(self, images, labels):
        state = self.compiled(self.parameters, self.speeds, images, labels)
        self.parameters, self.speeds, (loss, self.outputs), self.last_gradients = state
        return loss

    def number(self, loss):
        return float(loss)

    def classes(self):
        images = self.framework.images(self.lesson, self.lesson.held_out)[0]
        images = self.framework.put(images, "float32", self.place)
        return self.framework.outputs(self.lesson, self.parameters, images).argmax(axis=1).tolist()

    def weights(self):
        return [values.reshape(-1).tolist() for values in self.parameters]

    def places(self):
        def short(arrays):
            return [self.framework.short(device) for array in arrays for device in array.devices()]

        return {
            "parameters": short(self.parameters),
            "gradients": short(self.last_gradients),
            "outputs": short([self.outputs]),
            "optimiser": short(self.speeds),
        }
