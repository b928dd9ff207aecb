"""The job of a framework's child: import, report, wait for its turn, train, prove, run the parts.

Joined after common_parts.py. A train_*.py brings ``Framework``, which derives from :class:`Verbs` below: its docstrings
are what every framework is asked for.

The child tells, one JSON object a line (gpudoctor.smoke.told makes facts of them):

- ``{"stage": s}``: start, import, init, (its turn) init, copy, compute, train, verify, then parts if parts or the
  speed of the CPU were asked for, done
- ``{"pid"}``; ``{"imported": {...}, "seconds"}``; ``{"listed": {...}}``; ``{"device": "cuda:0"}``; ``{"warning"}``;
  ``{"failed": words}`` as its last words
- for each network, "convolutional" first: ``{"step", "of", "loss", "network"}``, ``{"speed", "network"}`` in images a
  second, ``{"scores": {accuracy, precision, recall, f1}, "network"}``
- ``{"proof": {name, holds, detail, required}}``
- ``{"opened": true}``: the GPU is open, nothing lies on it yet; it waits for ``{"continue": true}``
- ``{"hold": bytes}``: it holds that much and waits for ``{"continue": true, "profile": bool}``
- ``{"trying": name}`` before what may take the child with it: "profiler-kernels", and each part by its name
- ``{"cpu_speed": images a second}``; ``{"part": {name, holds, detail, error, rate, unit, seconds}}``

It is told, once it has listed its devices, ``{"stop": true}`` or ``{"go": {...}}`` with

- ``device``: gpu or cpu; ``steps``: of each network
- ``batch`` (64): images a step; ``precision`` ("fp32", "tf32", "fp16", "bf16"): of the training alone
- ``seconds`` (no limit): what all may take from here. The first network always takes all its steps and is proved.
  When time is over, the second is not begun or ends early, and the parts that are left hold None: no time left
- ``parts``, ``speedup`` (false): whether the parts are run, and whether the same training is timed on the CPU
"""

NETWORKS = (convolutional, perceptron)
BATCH = 64
BALLAST = 256 << 20  # bytes held on the device while a witness looks: more than noise, less than any GPU has
CHECKED = 32  # images in the batch that is compared with the CPU
CPU_SECONDS = 1.5  # of training on the CPU, to tell what the GPU is worth


class Verbs:
    """What the job asks of a framework. A verb that raises fails the stage at which it was asked."""

    device = None  # the framework's own short name of the device that was chosen, as places() tells it
    doubts = ()  # of each longer row that was timed since a list was put here, whether the GPU's own clock was wrong

    def bring_in(self):
        """Import the framework."""
        raise NotImplementedError

    def says(self, troubles):
        """{"version", "cuda", "cudnn_built", "targets"} of the build."""
        raise NotImplementedError

    def meet_numpy(self, troubles):
        """Provoke whatever NumPy of another generation breaks."""

    def devices(self, troubles):
        """{"available": bool or None, "devices": [{"name", "capability", "memory"}]}."""
        raise NotImplementedError

    def init(self, on_gpu):
        """Open the first GPU, or the CPU; full precision from here on (no TF32). Its name."""
        raise NotImplementedError

    def allow(self, precision):
        """Raise Unsupported if this device cannot train in that precision. Called after init, not for fp32."""
        raise NotImplementedError

    def echo(self, lesson):
        """The pixels of the lesson's first held-out image after a journey to the device, as a flat list."""
        raise NotImplementedError

    def multiply(self, left, right):
        """The product of two lists of rows, computed on the device, as a flat list."""
        raise NotImplementedError

    def learner(self, lesson, precision, on_cpu=False):
        """A :class:`LearnerVerbs` for the lesson on the device, or on the CPU."""
        raise NotImplementedError

    def gradients(self, lesson, count):
        """{"loss", "gradients": flat lists} of the first trained images at the first weights: float32, the device."""
        raise NotImplementedError

    def reference(self, lesson, count):
        """The same in float64 on the CPU, from the same float32 numbers."""
        raise NotImplementedError

    def be_deterministic(self, wanted):
        """Give the same bits from now on, or be free again where that can be had. Raises Unsupported."""
        raise Unsupported("this framework has no deterministic mode")

    def allocated(self):
        """Bytes that the framework's allocator counts on the GPU, None if it does not tell."""
        return

    def hold(self, size):
        """Hold that many bytes of the GPU's memory, written to, until let_go."""
        raise NotImplementedError

    def let_go(self):
        """Give back what is held, and what an allocator keeps for later."""

    def event_seconds(self, work):
        """How long the work took by events that the GPU itself recorded. Raises Unsupported."""
        raise Unsupported("this framework shows no events")

    def kernels(self, work):
        """Names of the kernels that the framework's profiler saw run on the GPU during the work."""
        raise Unsupported("this framework has no such profiler")

    def clock(self, work, runs):
        """Seconds that so many runs of the work took together on the device, everything waited for."""
        raise NotImplementedError

    def free_memory(self):
        """Bytes free on the device that was chosen; None if that is not told."""
        return

    def parts(self):
        """A function for each name in PARTS that the framework can do; see common_parts.py."""
        return {}


class LearnerVerbs:
    """One network on one device, learning one lesson."""

    def batches(self, steps, size):
        """So many batches of the trained images from the framework's own data loader, round and round."""
        raise NotImplementedError

    def step(self, batch):
        """Learn from a batch; the loss, wherever it is."""
        raise NotImplementedError

    def number(self, loss):
        """The loss as a number; waits for the device."""
        raise NotImplementedError

    def classes(self):
        """The class that is guessed for each held-out image, in full precision."""
        raise NotImplementedError

    def weights(self):
        """The weights as flat lists in the lesson's order."""
        raise NotImplementedError

    def places(self):
        """Devices by their short names: {"parameters": [...], "gradients", "outputs", "optimiser"}."""
        raise NotImplementedError


# --------------------------------------------------------------------------------------------- the job


def proof(name, holds, detail="", required=False):
    return {"name": name, "holds": holds, "detail": detail[:500], "required": required}


def _late_mean(losses):
    """The mean of the last quarter: of a few images the loss jumps."""
    late = losses[-(len(losses) // 4 or 1) :]
    return sum(late) / len(late)


class Learnt:
    """A lesson, who learnt it, and how it went. ``whole``: all steps were taken."""

    def __init__(self, lesson, learner):
        self.lesson, self.learner = lesson, learner
        self.losses, self.whole = [], False


class Job:
    """One training job in one framework on one device."""

    def __init__(self, talk, framework, go):
        self.talk = talk
        self.framework = framework
        self.on_gpu = go["device"] == "gpu"
        self.steps = go["steps"]
        self.batch = go.get("batch") or BATCH
        self.precision = go.get("precision") or "fp32"
        self.until = time.perf_counter() + go["seconds"] if go.get("seconds") else None
        self.wants_parts, self.wants_speedup = bool(go.get("parts")), bool(go.get("speedup"))
        self.lessons = [make() for make in NETWORKS]
        for lesson in self.lessons:
            lesson.rate *= min(1.0, self.batch / 16.0)  # a few images at a time are learnt in small steps
        self.learnt = []
        self.wrong = []

    def run(self):
        self.init()
        self.copy()
        self.compute()
        self.train()
        self.verify()
        if self.wants_parts or self.wants_speedup:
            self.more()
        self.talk.stage("done")

    def _late(self):
        return self.until is not None and time.perf_counter() >= self.until

    def init(self):
        self.talk.stage("init")
        if self.on_gpu:
            attempt([], "", wait_asleep)
        self.talk.say(device=self.framework.init(self.on_gpu))
        if self.on_gpu:
            # A context takes more memory than the job will: who looks from outside has to see the GPU with it.
            self.talk.say(opened=True)
            self.talk.wait()
        if self.precision != "fp32":
            self.framework.allow(self.precision)

    def copy(self):
        self.talk.stage("copy")
        for lesson in self.lessons:
            if not distance([self.framework.echo(lesson)], [lesson.first_image()]) < 1e-6:
                self.wrong.append("an image came back changed from the device")

    def compute(self):
        self.talk.stage("compute")
        left, right, expected = matrices()
        if self.framework.multiply(left, right) != expected:
            self.wrong.append("a product of whole numbers is wrong")

    # ----------------------------------------------------------------------------------------------- training

    def train(self):
        self.talk.stage("train")
        for lesson in self.lessons:
            if self.learnt and self._late():
                return
            self.learnt.append(Learnt(lesson, self.framework.learner(lesson, self.precision)))
            self._teach(self.learnt[-1], may_end=len(self.learnt) > 1)

    def _teach(self, learnt, may_end):
        learner, network = learnt.learner, learnt.lesson.name
        every = self.steps // 39 + 1  # at most 40 points of the curve
        began, timed_from, done = time.perf_counter(), 0, 0
        for step, batch in enumerate(learner.batches(self.steps, self.batch)):
            loss, done = learner.step(batch), step + 1
            if step % every and done != self.steps:
                continue
            learnt.losses.append(float(learner.number(loss)))
            self.talk.say(step=step, of=self.steps, loss=learnt.losses[-1], network=network)
            if step == every:  # the first steps also compile and choose algorithms
                began, timed_from = time.perf_counter(), done
            if may_end and self._late():
                break
        seconds = time.perf_counter() - began
        speed = (done - timed_from) * self.batch / seconds if seconds > 0 else None
        self.talk.say(speed=speed, network=network)
        learnt.whole = done == self.steps

    # ----------------------------------------------------------------------------------------------- evidence

    def verify(self):
        self.talk.stage("verify")
        for learnt in self.learnt:
            measured = scores(learnt.learner.classes(), learnt.lesson.held_out[2])
            self.talk.say(scores=measured, network=learnt.lesson.name)
        for check in (self.learned, self.lived_on_device, self.times_agree, self.matches_cpu, self.repeats):
            for item in check():
                self.talk.say(proof=item)
        if self.on_gpu:
            self.meet_witnesses()

    def learned(self):
        changed = [distance(one.learner.weights(), one.lesson.weights) for one in self.learnt]
        details = ["by %.2g of their size" % share for share in changed]
        yield proof("weights-changed", min(changed) > 1e-6, self._told(details), True)
        ends = [(one.losses[0], _late_mean(one.losses)) for one in self.learnt if one.whole]
        details = ["from %.3g to %.3g" % end for end in ends]
        yield proof("loss-fell", all(last < 0.5 * first for first, last in ends), self._told(details), True)

    def _told(self, details):
        """The first network's detail, then those of the others with their names."""
        named = ["%s: %s" % (one.lesson.name, detail) for one, detail in zip(self.learnt[1:], details[1:])]
        return "; ".join(details[:1] + named)

    def lived_on_device(self):
        places = [one.learner.places() for one in self.learnt]
        for name in ("parameters", "gradients", "outputs", "optimiser"):
            seen = sorted({place for each in places for place in each.get(name, ())})
            detail = ", ".join(seen) or "none"
            yield proof(name + "-on-device", seen == [self.framework.device], detail, name != "optimiser")

    def matches_cpu(self):
        holds, details = not self.wrong, []
        for lesson in self.lessons:
            ours, cpu = self.framework.gradients(lesson, CHECKED), self.framework.reference(lesson, CHECKED)
            loss = distance([[ours["loss"]]], [[cpu["loss"]]])
            gradients = distance(ours["gradients"], cpu["gradients"])
            holds = holds and loss <= LOSS_TOLERANCE and gradients <= GRADIENT_TOLERANCE
            told = "loss %.6g, on the CPU in float64 %.6g; gradients differ by %.2g of their size"
            details.append(told % (ours["loss"], cpu["loss"], gradients))
        named = ["%s: %s" % (lesson.name, detail) for lesson, detail in zip(self.lessons[1:], details[1:])]
        yield proof("matches-cpu", holds, "; ".join(self.wrong + details[:1] + named), True)

    def repeats(self):
        try:
            self.framework.be_deterministic(True)
            first, second = (self.framework.gradients(self.lessons[0], CHECKED) for _ in range(2))
            self.framework.be_deterministic(False)
        except Unsupported as why:
            yield proof("repeatable", None, str(why))
            return
        except Exception as error:
            yield proof("repeatable", None, "in deterministic mode: %s" % words(error))
            return
        same = first["loss"] == second["loss"] and first["gradients"] == second["gradients"]
        yield proof("repeatable", same, "the same step gave %s bits twice" % ("the same" if same else "other"))

    def times_agree(self):
        """The GPU's own events cannot tell more time than the clock on the wall, nor none."""
        if not self.on_gpu:
            return
        began = time.perf_counter()
        try:
            told = self.framework.event_seconds(self._more_steps)
        except Unsupported as why:
            yield proof("device-events", None, str(why))
            return
        except Exception as error:
            yield proof("device-events", None, words(error))
            return
        wall = time.perf_counter() - began
        detail = "%.3g ms by events, %.3g ms by the clock" % (1e3 * told, 1e3 * wall)
        # The two clocks differ by far less than 2 %.
        yield proof("device-events", 0 < told <= 1.02 * wall, detail)

    def _more_steps(self):
        learner = self.learnt[0].learner
        for batch in learner.batches(10, self.batch):
            loss = learner.step(batch)
        learner.number(loss)

    def meet_witnesses(self):
        """Hold memory while others look from outside; then, where they saw nothing, ask the profiler."""
        size = BALLAST
        while size and not self._holds(size):
            size //= 4
        allocated = attempt([], "", self.framework.allocated)
        self.talk.say(
            proof=proof(
                "allocator-memory",
                None if allocated is None else allocated > 0,
                "not told" if allocated is None else "%d bytes" % allocated,
            )
        )
        self.talk.say(hold=max(size, allocated or 0))
        if self.talk.wait().get("profile"):
            self.talk.say(trying="profiler-kernels")
            self.talk.say(proof=self._profiled())
        attempt([], "", self.framework.let_go)

    def _holds(self, size):
        try:
            self.framework.hold(size)
        except Exception:  # too little memory is left: a smaller weight will do
            return False
        return True

    def _profiled(self):
        try:
            kernels = self.framework.kernels(self._more_steps)
        except Unsupported as why:
            return proof("profiler-kernels", None, str(why))
        except Exception as error:
            return proof("profiler-kernels", None, words(error))
        # No kernel may also mean that the profiler was refused: it does not always say so.
        return proof("profiler-kernels", True if kernels else None, ", ".join(kernels[:3]) or "none seen")

    # ----------------------------------------------------------------------------------- the CPU, and the parts

    def more(self):
        self.talk.stage("parts")
        if self.wants_speedup and not self._late():
            self.talk.say(cpu_speed=attempt([], "", self._cpu_speed))
        if self.wants_parts:
            Parts(self.talk, self.framework, self.on_gpu, self.until).run()

    def _cpu_speed(self):
        learner = self.framework.learner(self.lessons[0], "fp32", on_cpu=True)
        began, done = None, 0
        for step, batch in enumerate(learner.batches(1000, self.batch)):
            learner.number(learner.step(batch))
            if step == 1:  # the first steps also compile
                began = time.perf_counter()
            elif step > 1:
                done += 1
                if time.perf_counter() - began > CPU_SECONDS or done == 100:
                    break
        return done * self.batch / (time.perf_counter() - began)


def report(talk, framework):
    """Import the framework and tell what it says of itself. False if that failed."""
    talk.stage("import")
    began = time.perf_counter()
    try:
        framework.bring_in()
    except SystemExit:
        raise
    except BaseException as error:
        talk.say(failed=words(error), seconds=time.perf_counter() - began)
        return False
    seconds, troubles = time.perf_counter() - began, []
    talk.say(imported=framework.says(troubles), seconds=seconds)
    framework.meet_numpy(troubles)
    _complain(talk, troubles)
    talk.stage("init")
    listed = framework.devices(troubles)
    listed["libraries"] = mapped_libraries()
    listed["cudnn"] = attempt(troubles, "cudnnGetVersion", loaded_cudnn)
    listed["nccl"] = attempt(troubles, "ncclGetVersion", loaded_nccl)
    listed["pci"] = attempt(troubles, "cuDeviceGetPCIBusId", first_gpu_address)
    _complain(talk, troubles)
    talk.say(listed=listed)
    return True


def _complain(talk, troubles):
    for trouble in troubles:
        talk.say(warning=trouble)
    del troubles[:]


def main(mark, make):
    talk = Talk(mark)
    talk.stage("start")
    talk.say(pid=os.getpid())
    hear_warnings(talk)
    give_back_local_modules()
    framework = make()
    if report(talk, framework):
        go = talk.wait().get("go")
        if go:
            try:
                Job(talk, framework, go).run()
            except Unsupported as why:
                talk.say(failed=str(why))
            except Exception as error:
                talk.say(failed=words(error))
    sys.stderr.flush()
    # A framework's own clean-up may hang or crash after everything is told; the driver cleans up in any case.
    os._exit(0)
