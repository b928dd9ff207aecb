"""PyTorch's part of the smoke job. Runs after common_job.py in the interpreter under test; PyTorch 1.4 and newer."""

# Names such as SCALE and attempt are those of the common_*.py. What each verb is asked for is told in common_job.py.

LEAST_WALL = 0.005  # seconds; what starts and ends a row may take longer than a shorter one itself


class Framework(Verbs):
    def bring_in(self):
        # Threads that spin while they wait for each other take minutes for small networks where other programs keep
        # the cores busy; with this they sleep. libgomp reads it when it is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import torch

        self.torch, self.doubts = torch, []

    # ------------------------------------------------------------------------------ what it says of itself

    def says(self, troubles):
        torch = self.torch
        return {
            "version": str(torch.__version__),
            "cuda": torch.version.cuda,
            "cudnn_built": self._cudnn_built(),
            # torch.cuda.get_arch_list() is empty where no GPU is usable; the flags are part of the build.
            "targets": attempt(troubles, "compiled architectures", self._targets) or [],
        }

    def meet_numpy(self, troubles):
        # PyTorch works without NumPy; one of another generation shows only when the two meet.
        from importlib.util import find_spec

        if find_spec("numpy") is not None:
            attempt(troubles, "torch.zeros(1).numpy()", lambda: self.torch.zeros(1).numpy())

    def _cudnn_built(self):
        try:
            from torch._C import _cudnn

            return ".".join(str(part) for part in _cudnn.getCompileVersion())
        except (ImportError, AttributeError):  # a build without cuDNN
            return None

    def _targets(self):
        flags = getattr(self.torch._C, "_cuda_getArchFlags", None)
        return (flags() or "").split() if flags else []

    def devices(self, troubles):
        cuda = self.torch.cuda
        available = attempt(troubles, "torch.cuda.is_available()", cuda.is_available)
        count = attempt(troubles, "torch.cuda.device_count()", cuda.device_count) if available else 0
        if self.torch.version.cuda:
            # Loads cuDNN and compares it with the one built for.
            attempt(troubles, "torch.backends.cudnn.version()", self.torch.backends.cudnn.version)
        listed = [
            attempt(troubles, "cuda:%d" % index, lambda index=index: self._device(index)) for index in range(count or 0)
        ]
        return {"available": available, "devices": [device for device in listed if device]}

    def _device(self, index):
        properties = self.torch.cuda.get_device_properties(index)
        return {
            "name": str(properties.name),
            "capability": "%d.%d" % (properties.major, properties.minor),
            "memory": int(properties.total_memory),
        }

    # -------------------------------------------------------------------------------------------- the job

    def init(self, on_gpu):
        torch = self.torch
        self.on_gpu, self.device = on_gpu, "cuda:0" if on_gpu else "cpu"
        self.allow_tf32(False)
        if on_gpu:
            torch.cuda.init()
            torch.cuda.synchronize(0)
        return self.device

    def allow_tf32(self, allowed):
        # PyTorch 2.9 and newer has other switches, and forbids to mix them with these, which its own compiler used to
        # do: https://github.com/pytorch/pytorch/issues/166387. These still work, with a warning to developers.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.torch.backends.cuda.matmul.allow_tf32 = allowed
            self.torch.backends.cudnn.allow_tf32 = allowed

    def ask_for_hardware(self, precision):
        """Raise Unsupported where this device does not compute in that precision."""
        if precision == "tf32" and not self.on_gpu:
            raise Unsupported("tf32 is a mode of NVIDIA GPUs; this job is on the CPU")
        if precision == "tf32" and tf32_is_off():
            raise Unsupported("tf32 is switched off by NVIDIA_TF32_OVERRIDE=0")
        if precision in ("tf32", "bf16"):
            self.ask_for(8, 0, precision)

    def allow(self, precision):
        torch = self.torch
        self.ask_for_hardware(precision)
        if precision != "tf32":
            if not hasattr(torch, "autocast"):
                raise Unsupported("%s: PyTorch has no autocast for it before 1.10" % precision)
            one = torch.ones(8, 8).to(self.device)
            with self.autocast(self.device, precision):
                became = torch.matmul(one, one).dtype
            if became != self.kind(precision):  # PyTorch falls back to float32 with no more than a warning
                raise Unsupported("%s: autocast on the %s gives %s" % (precision, self._kind_of_device(), became))
        if precision == "fp16":
            self.scaler(self.device)

    def _kind_of_device(self):
        return "GPU" if self.on_gpu else "CPU"

    def ask_for(self, major, minor, what):
        """Raise Unsupported on a GPU of lower compute capability."""
        if not self.on_gpu:
            return
        properties = self.torch.cuda.get_device_properties(0)
        if (properties.major, properties.minor) < (major, minor):
            told = (what, major, minor, properties.name, properties.major, properties.minor)
            raise Unsupported("%s needs compute capability %d.%d, %s has %d.%d" % told)

    def kind(self, precision):
        torch = self.torch
        return {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)

    def autocast(self, device, precision):
        return self.torch.autocast(device.partition(":")[0], dtype=self.kind(precision))

    def scaler(self, device):
        """Small gradients vanish in float16 if the loss is not scaled."""
        torch = self.torch
        if device != "cpu":
            return torch.cuda.amp.GradScaler() if not hasattr(torch.amp, "GradScaler") else torch.amp.GradScaler("cuda")
        if not hasattr(torch.amp, "GradScaler"):
            raise Unsupported("fp16: PyTorch does not train in it on the CPU before 2.3")
        return torch.amp.GradScaler("cpu")

    def bytes_of(self, data):
        """A tensor of bytes on the CPU."""
        torch = self.torch
        if hasattr(torch, "frombuffer"):  # PyTorch 1.10
            return torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return torch.tensor(list(data), dtype=torch.uint8)

    def images(self, lesson, drawn):
        """Images and labels on the CPU."""
        torch = self.torch
        templates, noises = (
            self.bytes_of(data).reshape(-1, lesson.channels, lesson.side, lesson.side)
            for data in (lesson.templates, lesson.noises)
        )
        kinds, noise, labels = (torch.tensor(part, dtype=torch.long) for part in drawn)
        pixels = templates[kinds].float() + noises[noise].float()
        return (pixels - GRAIN_MEAN) / SCALE, labels

    def echo(self, lesson):
        drawn = [part[:1] for part in lesson.held_out]
        return self.images(lesson, drawn)[0].to(self.device).cpu().reshape(-1).tolist()

    def multiply(self, left, right):
        torch = self.torch
        ours, theirs = (torch.tensor(rows, dtype=torch.float32).to(self.device) for rows in (left, right))
        return torch.matmul(ours, theirs).reshape(-1).tolist()

    def network(self, lesson, device, kind):
        torch = self.torch
        nn = torch.nn
        if lesson.name == "convolutional":
            layers = [
                nn.Conv2d(1, 16, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(16, 32, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(7 * 7 * 32, 10),
            ]
        else:
            layers = [nn.Flatten(), nn.Linear(3072, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)]
        network = nn.Sequential(*layers).to(device=device, dtype=kind)
        with torch.no_grad():
            for parameter, values in zip(network.parameters(), lesson.weights):
                # Through float32 in every case, so that the reference starts from the same numbers.
                parameter.copy_(torch.tensor(values, dtype=torch.float32).reshape(parameter.shape))
        return network

    def learner(self, lesson, precision, on_cpu=False):
        return Learner(self, lesson, precision, "cpu" if on_cpu else self.device)

    def gradients(self, lesson, count):
        return self._gradients(lesson, count, self.device, self.torch.float32)

    def reference(self, lesson, count):
        return self._gradients(lesson, count, "cpu", self.torch.float64)

    def _gradients(self, lesson, count, device, kind):
        network = self.network(lesson, device, kind)
        images, labels = self.images(lesson, [part[:count] for part in lesson.trained])
        loss = self.torch.nn.functional.cross_entropy(network(images.to(device).to(kind)), labels.to(device))
        loss.backward()
        gradients = [parameter.grad.reshape(-1).tolist() for parameter in network.parameters()]
        return {"loss": loss.item(), "gradients": gradients}

    def be_deterministic(self, wanted):
        torch = self.torch
        if not hasattr(torch, "use_deterministic_algorithms"):
            raise Unsupported("PyTorch has no deterministic mode before 1.8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(wanted)

    # -------------------------------------------------------------------------------------- memory and time

    def allocated(self):
        if os.environ.get("PYTORCH_NO_CUDA_MEMORY_CACHING"):  # then it counts nothing
            return None
        return int(self.torch.cuda.memory_allocated(0))

    def free_memory(self):
        ask = getattr(self.torch.cuda, "mem_get_info", None)  # PyTorch 1.11
        if not self.on_gpu:
            return None
        return int(ask(0)[0]) if ask else free_gpu_memory()

    def hold(self, size):
        self.held = self.torch.ones(size, dtype=self.torch.uint8, device=self.device)
        self.torch.cuda.synchronize(0)

    def let_go(self):
        self.held = None
        if self.on_gpu:
            self.torch.cuda.empty_cache()

    def event_seconds(self, work):
        cuda = self.torch.cuda
        began, ended = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        cuda.synchronize(0)
        began.record()
        work()
        ended.record()
        ended.synchronize()
        return began.elapsed_time(ended) / 1e3

    def clock(self, work, runs):
        def row():
            for _ in range(runs):
                work()

        if not self.on_gpu:
            began = time.perf_counter()
            row()
            return time.perf_counter() - began
        self.torch.cuda.synchronize(0)
        began = time.perf_counter()
        told = self.event_seconds(row)
        return self.sober(told, time.perf_counter() - began)

    def sober(self, told, wall):
        """What events told of a row of work; the wall's clock, and a doubt, where they cannot be right.

        A row of some length takes about as long by the clock on the wall; much less is no time in which it was done.
        On a busy machine the wall's clock may run on after it.
        """
        wrong = told <= 0 or (wall >= LEAST_WALL and told <= 0.5 * wall)
        if wrong or wall >= LEAST_WALL:
            self.doubts.append(wrong)
        return wall if wrong else told

    def kernels(self, work):
        profiler = getattr(self.torch, "profiler", None)
        if profiler is None:
            raise Unsupported("PyTorch has no such profiler before 1.8")
        with profiler.profile(activities=[profiler.ProfilerActivity.CUDA]) as profile:
            work()
            self.torch.cuda.synchronize(0)
        cuda = self.torch.autograd.DeviceType.CUDA
        names = {event.name for event in profile.events() if event.device_type == cuda}
        return sorted(name for name in names if not name.startswith(("Memcpy", "Memset")))

    def parts(self):
        return torch_parts(self)


class Batches:
    """The trained images as a data set whose items are whole batches: single images would cost more than learning."""

    def __init__(self, images, labels, steps, size):
        self.images, self.labels, self.steps, self.size = images, labels, steps, size

    def __len__(self):
        return self.steps

    def __getitem__(self, step):
        count = len(self.labels)
        start = step * self.size % count
        if start + self.size <= count:
            return self.images[start : start + self.size], self.labels[start : start + self.size]
        wrapped = [(start + at) % count for at in range(self.size)]
        return self.images[wrapped], self.labels[wrapped]


class Learner(LearnerVerbs):
    def __init__(self, framework, lesson, precision, device):
        torch = framework.torch
        self.torch, self.framework, self.lesson, self.device = torch, framework, lesson, device
        self.precision = precision
        self.trained = framework.images(lesson, lesson.trained)
        self.network = framework.network(lesson, device, torch.float32)
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=lesson.rate, momentum=0.9)
        self.scaler = framework.scaler(device) if precision == "fp16" else None

    def batches(self, steps, size):
        pinned = self.device != "cpu"
        data = Batches(self.trained[0], self.trained[1], steps, size)
        return self.torch.utils.data.DataLoader(data, batch_size=None, sampler=range(steps), pin_memory=pinned)

    def step(self, batch):
        if self.precision == "tf32":
            self.framework.allow_tf32(True)
            try:
                return self._step(batch)
            finally:
                self.framework.allow_tf32(False)
        return self._step(batch)

    def _step(self, batch):
        images, labels = (part.to(self.device, non_blocking=True) for part in batch)
        self.optimiser.zero_grad()
        loss = self._loss(images, labels)
        if self.scaler is None:
            loss.backward()
            self.optimiser.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimiser)
            self.scaler.update()
        return loss

    def _loss(self, images, labels):
        cross_entropy = self.torch.nn.functional.cross_entropy
        if self.precision not in ("fp16", "bf16"):
            self.outputs = self.network(images)
            return cross_entropy(self.outputs, labels)
        with self.framework.autocast(self.device, self.precision):
            self.outputs = self.network(images)
            return cross_entropy(self.outputs, labels)

    def number(self, loss):
        return loss.item()

    def classes(self):
        images = self.framework.images(self.lesson, self.lesson.held_out)[0]
        with self.torch.no_grad():
            return self.network(images.to(self.device)).argmax(dim=1).tolist()

    def weights(self):
        return [parameter.detach().reshape(-1).tolist() for parameter in self.network.parameters()]

    def places(self):
        parameters = list(self.network.parameters())
        state = [value for each in self.optimiser.state.values() for value in each.values()]
        return {
            "parameters": [str(parameter.device) for parameter in parameters],
            "gradients": [str(parameter.grad.device) for parameter in parameters],
            "outputs": [str(self.outputs.device)],
            "optimiser": [str(value.device) for value in state if self.torch.is_tensor(value)],
        }
