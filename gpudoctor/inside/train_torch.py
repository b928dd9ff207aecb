"""PyTorch's part of the smoke job. Runs after common_job.py in the interpreter under test; PyTorch 1.4 and newer."""

# Names such as BATCH and attempt are those of common_job.py.


class Framework:
    """See Job in common_job.py for what each verb is asked for."""

    def bring_in(self):
        import torch

        self.torch = torch

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
        self.device = "cuda:0" if on_gpu else "cpu"
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        if on_gpu:
            torch.cuda.init()
            torch.cuda.synchronize(0)
        return self.device

    def load(self, images):
        torch = self.torch
        templates = torch.tensor(images.templates, dtype=torch.float32)
        noises = torch.tensor(images.noises, dtype=torch.float32)

        def put(drawn):
            kinds, noise, labels = (torch.tensor(part, dtype=torch.long) for part in drawn)
            pixels = (templates[kinds] + noises[noise]).reshape(-1, 1, 28, 28)
            return pixels.to(self.device), labels.to(self.device)

        self.trained, self.held_out = put(images.trained), put(images.held_out)
        return templates[0].to(self.device).cpu().tolist()

    def multiply(self, left, right):
        torch = self.torch
        ours, theirs = (torch.tensor(rows, dtype=torch.float32).to(self.device) for rows in (left, right))
        return torch.matmul(ours, theirs).reshape(-1).tolist()

    def _network(self, weights, device, kind):
        torch = self.torch
        nn = torch.nn
        network = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(7 * 7 * 32, 10),
        )
        network = network.to(device=device, dtype=kind)
        with torch.no_grad():
            for parameter, values in zip(network.parameters(), weights):
                # Through float32 in every case, so that the reference starts from the same numbers.
                parameter.copy_(torch.tensor(values, dtype=torch.float32).reshape(parameter.shape))
        return network

    def build(self, weights):
        torch = self.torch
        self.network = self._network(weights, self.device, torch.float32)
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=RATE, momentum=MOMENTUM)

    def step(self, start):
        images, labels = (part[start : start + BATCH] for part in self.trained)
        self.optimiser.zero_grad()
        self.outputs = self.network(images)
        loss = self.torch.nn.functional.cross_entropy(self.outputs, labels)
        loss.backward()
        self.optimiser.step()
        return loss

    def places(self):
        parameters = list(self.network.parameters())
        return {
            "parameters": [str(parameter.device) for parameter in parameters],
            "gradients": [str(parameter.grad.device) for parameter in parameters],
            "outputs": [str(self.outputs.device)],
        }

    def number(self, loss):
        return loss.item()

    def weights(self):
        return [parameter.detach().reshape(-1).tolist() for parameter in self.network.parameters()]

    def classes(self):
        with self.torch.no_grad():
            return self.network(self.held_out[0]).argmax(dim=1).tolist()

    def gradients(self, weights, count):
        return self._gradients(weights, count, self.device, self.torch.float32)

    def reference(self, weights, count):
        return self._gradients(weights, count, "cpu", self.torch.float64)

    def _gradients(self, weights, count, device, kind):
        network = self._network(weights, device, kind)
        images, labels = (part[:count].to(device) for part in self.trained)
        loss = self.torch.nn.functional.cross_entropy(network(images.to(kind)), labels)
        loss.backward()
        gradients = [parameter.grad.reshape(-1).tolist() for parameter in network.parameters()]
        return {"loss": loss.item(), "gradients": gradients}

    def be_deterministic(self):
        torch = self.torch
        if not hasattr(torch, "use_deterministic_algorithms"):
            raise Unsupported("PyTorch has no deterministic mode before 1.8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)

    def allocated(self):
        return int(self.torch.cuda.memory_allocated(0))

    def hold(self, size):
        self.held = self.torch.ones(size, dtype=self.torch.uint8, device=self.device)
        self.torch.cuda.synchronize(0)

    def kernels(self):
        profiler = getattr(self.torch, "profiler", None)
        if profiler is None:
            raise Unsupported("PyTorch has no such profiler before 1.8")
        with profiler.profile(activities=[profiler.ProfilerActivity.CUDA]) as profile:
            self.number(self.step(0))
            self.torch.cuda.synchronize(0)
        cuda = self.torch.autograd.DeviceType.CUDA
        names = {event.name for event in profile.events() if event.device_type == cuda}
        return sorted(name for name in names if not name.startswith(("Memcpy", "Memset")))
