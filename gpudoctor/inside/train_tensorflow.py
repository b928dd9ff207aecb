"""TensorFlow's part of the smoke job. Runs after common_job.py in the interpreter under test; TensorFlow 2.4 and newer.

Keras 2 and 3 differ in what a variable is: ``_tensors`` gives TensorFlow's own variables for both.
"""

# Names such as BATCH and attempt are those of common_job.py.


class Framework:
    """See Job in common_job.py for what each verb is asked for."""

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

    def meet_numpy(self, troubles):
        pass  # it was met at the import

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
        self.device = "GPU:0" if on_gpu else "CPU:0"
        if on_gpu:
            gpus = self._gpus()
            if not gpus:
                raise RuntimeError("TensorFlow lists no GPU")
            # TensorFlow would make a context on every GPU. Memory growth is set by TF_FORCE_GPU_ALLOW_GROWTH.
            attempt([], "", lambda: tf.config.set_visible_devices(gpus[0], "GPU"))
        if hasattr(tf.config.experimental, "enable_tensor_float_32_execution"):
            tf.config.experimental.enable_tensor_float_32_execution(False)
        with self._on(self.device):
            tf.reduce_sum(tf.ones([8])).numpy()
        return self.device if on_gpu else "cpu"

    def _on(self, device):
        return self.tf.device("/" + device)

    def load(self, images):
        tf = self.tf
        with self._on("CPU:0"):
            templates = tf.constant(images.templates, tf.float32)
            noises = tf.constant(images.noises, tf.float32)

        def put(drawn):
            with self._on("CPU:0"):
                kinds, noise, labels = (tf.constant(part, tf.int64) for part in drawn)
                pixels = tf.reshape(tf.gather(templates, kinds) + tf.gather(noises, noise), [-1, 28, 28, 1])
            with self._on(self.device):
                return tf.identity(pixels), tf.identity(labels)

        self.trained, self.held_out = put(images.trained), put(images.held_out)
        with self._on(self.device):
            there = tf.identity(templates[0])
        return there.numpy().tolist()

    def multiply(self, left, right):
        tf = self.tf
        with self._on(self.device):
            product = tf.matmul(tf.constant(left, tf.float32), tf.constant(right, tf.float32))
        return product.numpy().reshape(-1).tolist()

    def _network(self, weights, device, kind):
        keras = self.keras
        layers = keras.layers

        def convolution(filters):
            return layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu", dtype=kind)

        with self._on(device):
            network = keras.Sequential(
                [
                    keras.Input(shape=(28, 28, 1), dtype=kind),
                    convolution(16),
                    convolution(32),
                    layers.Flatten(dtype=kind),
                    layers.Dense(10, dtype=kind),
                ]
            )
            for variable, values in zip(self._tensors(network.trainable_variables), weights):
                # Through float32 in every case, so that the reference starts from the same numbers.
                start = self.tf.reshape(self.tf.constant(values, self.tf.float32), variable.shape)
                variable.assign(self.tf.cast(start, variable.dtype))
        return network

    def _tensors(self, variables):
        # A Keras 3 variable holds TensorFlow's in ``value``; in Keras 2 it is TensorFlow's and ``value`` a method.
        return [variable if callable(variable.value) else variable.value for variable in variables]

    def _loss(self, network, images, labels):
        tf = self.tf
        outputs = network(images, training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=outputs)
        return tf.reduce_mean(losses), outputs

    def build(self, weights):
        tf = self.tf
        self.network = network = self._network(weights, self.device, "float32")
        with self._on(self.device):
            self.optimiser = optimiser = self.keras.optimizers.SGD(learning_rate=RATE, momentum=MOMENTUM)
            if hasattr(optimiser, "build"):  # variables cannot be made inside a tf.function that ran before
                optimiser.build(network.trainable_variables)

        def step(images, labels):
            with self._on(self.device):
                with tf.GradientTape() as tape:
                    loss, outputs = self._loss(network, images, labels)
                gradients = tape.gradient(loss, network.trainable_variables)
                optimiser.apply_gradients(zip(gradients, network.trainable_variables))
                return loss, outputs, gradients

        # AutoGraph would want the source as a file.
        self.compiled = tf.function(step, autograph=False)

    def step(self, start):
        with self._on(self.device):
            images, labels = (part[start : start + BATCH] for part in self.trained)
            loss, self.outputs, self.last_gradients = self.compiled(images, labels)
        return loss

    def places(self):
        def short(tensors):
            return [tensor.device.rpartition("device:")[2] for tensor in tensors]

        return {
            "parameters": short(self._tensors(self.network.trainable_variables)),
            "gradients": short(self.last_gradients),
            "outputs": short([self.outputs]),
        }

    def number(self, loss):
        return float(loss.numpy())

    def weights(self):
        return [variable.numpy().reshape(-1).tolist() for variable in self._tensors(self.network.trainable_variables)]

    def classes(self):
        with self._on(self.device):
            outputs = self.network(self.held_out[0], training=False)
            return self.tf.argmax(outputs, axis=1).numpy().tolist()

    def gradients(self, weights, count):
        return self._gradients(weights, count, self.device, "float32")

    def reference(self, weights, count):
        return self._gradients(weights, count, "CPU:0", "float64")

    def _gradients(self, weights, count, device, kind):
        tf = self.tf
        network = self._network(weights, device, kind)
        with self._on(device):
            images, labels = (tf.identity(part[:count]) for part in self.trained)
            with tf.GradientTape() as tape:
                loss, _ = self._loss(network, tf.cast(images, kind), labels)
            gradients = tape.gradient(loss, network.trainable_variables)
        return {"loss": self.number(loss), "gradients": [part.numpy().reshape(-1).tolist() for part in gradients]}

    def be_deterministic(self):
        ask = getattr(self.tf.config.experimental, "enable_op_determinism", None)
        if ask is None:
            raise Unsupported("TensorFlow has no deterministic mode before 2.8")
        ask()

    def allocated(self):
        ask = getattr(self.tf.config.experimental, "get_memory_info", None)  # TensorFlow 2.5
        return int(ask(self.device)["current"]) if ask else None

    def hold(self, size):
        with self._on(self.device):
            self.held = self.tf.ones([size // 4], self.tf.float32)
            self.tf.reduce_sum(self.held[:8]).numpy()

    def kernels(self):
        raise Unsupported("TensorFlow's profiler writes files")
