"""TensorFlow's part of the smoke job. Runs after common_job.py in the interpreter under test; TensorFlow 2.4 and newer.

Keras 2 and 3 differ in what a variable is: ``_tensors`` gives TensorFlow's own variables for both.
"""

# Names such as SCALE and attempt are those of the common_*.py. What each verb is asked for is told in common_job.py.


class Framework(Verbs):
    def bring_in(self):
        import tensorflow

        self.tf = tensorflow
        # Keras loads when it is first touched; a broken Keras is part of a broken TensorFlow.
        self.keras = tensorflow.keras
        self.keras.Sequential  # noqa: B018

    # ------------------------------------------------------------------------------ what it says of itself

    def says(self, troubles):
        build = attempt(troubles, "tf.sysconfig.get_build_info()", self._build) or {}
        return {
            "version": str(self.tf.__version__),
            "cuda": build.get("cuda_version"),
            "cudnn_built": build.get("cudnn_version"),
            "targets": [str(target) for target in build.get("cuda_compute_capabilities") or ()],
        }

    def _build(self):
        ask = getattr(self.tf.sysconfig, "get_build_info", None)  # TensorFlow 2.3
        return dict(ask()) if ask else {}

    def devices(self, troubles):
        gpus = attempt(troubles, "tf.config.list_physical_devices()", self._gpus)
        listed = [attempt(troubles, gpu.name, lambda gpu=gpu: self._device(gpu)) for gpu in gpus or ()]
        return {
            "available": None if gpus is None else bool(gpus),
            "devices": [device for device in listed if device],
        }

    def _gpus(self):
        return self.tf.config.list_physical_devices("GPU")

    def _device(self, gpu):
        ask = getattr(self.tf.config.experimental, "get_device_details", None)  # TensorFlow 2.4
        details = ask(gpu) if ask else {}
        capability = details.get("compute_capability")
        return {
            "name": str(details.get("device_name", gpu.name)),
            "capability": "%d.%d" % tuple(capability) if capability else None,
        }

    # -------------------------------------------------------------------------------------------- the job

    def init(self, on_gpu):
        tf = self.tf
        self.on_gpu, self.device = on_gpu, "GPU:0" if on_gpu else "CPU:0"
        if on_gpu:
            gpus = self._gpus()
            if not gpus:
                raise RuntimeError("TensorFlow lists no GPU")
            # TensorFlow would make a context on every GPU. Memory growth is set by TF_FORCE_GPU_ALLOW_GROWTH.
            attempt([], "", lambda: tf.config.set_visible_devices(gpus[0], "GPU"))
        self.allow_tf32(False)
        with self.on(self.device):
            tf.reduce_sum(tf.ones([8])).numpy()
        return self.device if on_gpu else "cpu"

    def allow_tf32(self, allowed):
        switch = getattr(self.tf.config.experimental, "enable_tensor_float_32_execution", None)  # TensorFlow 2.4
        if switch:
            switch(allowed)

    def on(self, device):
        return self.tf.device("/" + device)

    def allow(self, precision):
        self.ask_for_hardware(precision)
        if precision in ("fp16", "bf16") and not hasattr(self.keras.mixed_precision, "Policy"):
            raise Unsupported("%s: Keras has no such policy before 2.4" % precision)

    def ask_for_hardware(self, precision):
        """Raise Unsupported where this device does not compute in that precision."""
        if precision == "tf32" and not self.on_gpu:
            raise Unsupported("tf32 is a mode of NVIDIA GPUs; this job is on the CPU")
        if precision == "tf32" and tf32_is_off():
            raise Unsupported("tf32 is switched off by NVIDIA_TF32_OVERRIDE=0")
        if self.on_gpu and precision in ("tf32", "bf16"):
            told = self._device(self._gpus()[0])
            if told["capability"] and int(told["capability"].partition(".")[0]) < 8:
                named = (precision, told["name"], told["capability"])
                raise Unsupported("%s needs compute capability 8.0, %s has %s" % named)

    def kind(self, precision):
        return {"fp16": "float16", "bf16": "bfloat16"}.get(precision, "float32")

    def policy(self, precision):
        mixed = {"fp16": "mixed_float16", "bf16": "mixed_bfloat16"}.get(precision)
        return self.keras.mixed_precision.Policy(mixed) if mixed else "float32"

    def images(self, lesson, drawn):
        """Images and labels on the CPU."""
        tf = self.tf
        with self.on("CPU:0"):
            templates, noises = (
                tf.reshape(tf.io.decode_raw(data, tf.uint8), [-1, lesson.pixels])
                for data in (lesson.templates, lesson.noises)
            )
            kinds, noise, labels = (tf.constant(part, tf.int64) for part in drawn)
            pixels = tf.cast(tf.gather(templates, kinds), tf.float32) + tf.cast(tf.gather(noises, noise), tf.float32)
            return (pixels - GRAIN_MEAN) / SCALE, labels

    def echo(self, lesson):
        pixels = self.images(lesson, [part[:1] for part in lesson.held_out])[0]
        with self.on(self.device):
            there = self.tf.identity(pixels)
        return there.numpy().reshape(-1).tolist()

    def multiply(self, left, right):
        tf = self.tf
        with self.on(self.device):
            product = tf.matmul(tf.constant(left, tf.float32), tf.constant(right, tf.float32))
        return product.numpy().reshape(-1).tolist()

    def network(self, lesson, device, kind):
        keras = self.keras
        layers = keras.layers

        def convolution(filters):
            return layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu", dtype=kind)

        if lesson.name == "convolutional":
            stack = [
                layers.Reshape((28, 28, 1), dtype=kind),
                convolution(16),
                convolution(32),
                layers.Flatten(dtype=kind),
                layers.Dense(10, dtype=kind),
            ]
        else:
            stack = [
                layers.Dense(32, activation="relu", dtype=kind),
                layers.Dense(32, activation="relu", dtype=kind),
                layers.Dense(10, dtype=kind),
            ]
        entry = kind if kind == "float64" else "float32"
        with self.on(device):
            network = keras.Sequential([keras.Input(shape=(lesson.pixels,), dtype=entry)] + stack)
            for variable, values in zip(self.tensors(network.trainable_variables), lesson.weights):
                # Through float32 in every case, so that the reference starts from the same numbers.
                start = self.tf.reshape(self.tf.constant(values, self.tf.float32), variable.shape)
                variable.assign(self.tf.cast(start, variable.dtype))
        return network

    def tensors(self, variables):
        # A Keras 3 variable holds TensorFlow's in ``value``; in Keras 2 it is TensorFlow's and ``value`` a method.
        return [variable if callable(variable.value) else variable.value for variable in variables]

    def loss(self, network, images, labels):
        tf = self.tf
        outputs = network(images, training=True)
        exact = outputs if outputs.dtype == tf.float64 else tf.cast(outputs, tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=exact)
        return tf.reduce_mean(losses), outputs

    def learner(self, lesson, precision, on_cpu=False):
        return Learner(self, lesson, precision, "CPU:0" if on_cpu else self.device)

    def gradients(self, lesson, count):
        return self._gradients(lesson, count, self.device, "float32")

    def reference(self, lesson, count):
        return self._gradients(lesson, count, "CPU:0", "float64")

    def _gradients(self, lesson, count, device, kind):
        tf = self.tf
        network = self.network(lesson, device, kind)
        images, labels = self.images(lesson, [part[:count] for part in lesson.trained])
        with self.on(device):
            images, labels = tf.identity(images), tf.identity(labels)
            with tf.GradientTape() as tape:
                loss, _ = self.loss(network, tf.cast(images, kind), labels)
            gradients = tape.gradient(loss, network.trainable_variables)
        return {"loss": float(loss.numpy()), "gradients": [part.numpy().reshape(-1).tolist() for part in gradients]}

    def be_deterministic(self, wanted):
        ask = getattr(self.tf.config.experimental, "enable_op_determinism", None)
        if ask is None:
            raise Unsupported("TensorFlow has no deterministic mode before 2.8")
        if wanted:  # there is no way back
            ask()

    # -------------------------------------------------------------------------------------- memory and time

    def allocated(self):
        ask = getattr(self.tf.config.experimental, "get_memory_info", None)  # TensorFlow 2.5
        return int(ask(self.device)["current"]) if ask else None

    def free_memory(self):
        return free_gpu_memory() if self.on_gpu else None

    def hold(self, size):
        with self.on(self.device):
            self.held = self.tf.ones([size // 4], self.tf.float32)
            self.tf.reduce_sum(self.held[:8]).numpy()

    def let_go(self):
        self.held = None

    def clock(self, work, runs):
        # TensorFlow shows no events: the time is the wall's, until the last run's first number is here.
        began = time.perf_counter()
        for _ in range(runs):
            result = work()
        with self.tf.device(result.device):
            self.tf.reshape(result, [-1])[:1].numpy()
        return time.perf_counter() - began

    def kernels(self, work):
        raise Unsupported("TensorFlow's profiler writes files")

    def parts(self):
        return tensorflow_parts(self)


class Learner(LearnerVerbs):
    def __init__(self, framework, lesson, precision, device):
        tf = framework.tf
        self.tf, self.framework, self.lesson, self.device = tf, framework, lesson, device
        self.precision = precision
        self.network = network = framework.network(lesson, device, framework.policy(precision))
        with framework.on(device):
            self.optimiser = optimiser = framework.keras.optimizers.SGD(learning_rate=lesson.rate, momentum=0.9)
            if hasattr(optimiser, "build"):  # variables cannot be made inside a tf.function that ran before
                optimiser.build(network.trainable_variables)
        # Small gradients vanish in float16 if the loss is not scaled.
        scale = 128.0 if precision == "fp16" else 1.0

        def step(images, labels):
            with framework.on(device):
                with tf.GradientTape() as tape:
                    loss, outputs = framework.loss(network, images, labels)
                    scaled = loss * scale
                gradients = [part / scale for part in tape.gradient(scaled, network.trainable_variables)]
                optimiser.apply_gradients(zip(gradients, network.trainable_variables))
                return loss, outputs, gradients

        # AutoGraph would want the source as a file.
        self.compiled = tf.function(step, autograph=False)

    def batches(self, steps, size):
        tf = self.tf
        images, labels = self.framework.images(self.lesson, self.lesson.trained)
        count = len(self.lesson.trained[2])

        @tf.autograph.experimental.do_not_convert  # it would want the source as a file
        def batch(step):
            places = (step * size + tf.range(size, dtype=tf.int64)) % count
            return tf.gather(images, places), tf.gather(labels, places)

        return tf.data.Dataset.range(steps).map(batch).prefetch(2)

    def step(self, batch):
        if self.precision != "tf32":
            return self._step(batch)
        self.framework.allow_tf32(True)
        try:
            return self._step(batch)
        finally:
            self.framework.allow_tf32(False)

    def _step(self, batch):
        with self.framework.on(self.device):
            images, labels = (self.tf.identity(part) for part in batch)
            loss, self.outputs, self.last_gradients = self.compiled(images, labels)
        return loss

    def number(self, loss):
        return float(loss.numpy())

    def classes(self):
        images = self.framework.images(self.lesson, self.lesson.held_out)[0]
        with self.framework.on(self.device):
            outputs = self.network(self.tf.identity(images), training=False)
            return self.tf.argmax(outputs, axis=1).numpy().tolist()

    def weights(self):
        variables = self.framework.tensors(self.network.trainable_variables)
        return [variable.numpy().reshape(-1).tolist() for variable in variables]

    def places(self):
        def short(tensors):
            return [tensor.device.rpartition("device:")[2] for tensor in tensors]

        state = self.optimiser.variables
        state = self.framework.tensors(state() if callable(state) else state)
        return {
            "parameters": short(self.framework.tensors(self.network.trainable_variables)),
            "gradients": short(self.last_gradients),
            "outputs": short([self.outputs]),
            # The rate and the number of steps are no slots.
            "optimiser": short([variable for variable in state if len(variable.shape)]),
        }
