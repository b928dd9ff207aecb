"""What each process of a collective job does in the interpreter under test: meet the others, compute, compare.

gpudoctor.collectives.job joins this text behind common_talk.py, from which it takes ``Talk`` and ``words``, and adds a
last line that calls ``take_part``. Python 3.6 syntax, ASCII. Every process speaks its own lines, with its rank: nothing
that the operations under test carried is needed to tell how they went.
"""

# Elements of 8 bytes: one; 8 KB, 1 MB and 32 MB. NCCL sends small, middle and large messages by different protocols
# (https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html#nccl-proto); odd counts leave a rest everywhere.
SIZES = (1, 1021, 131071, 4194301)
KINDS = ("int64", "float64")
WORKING_SECONDS = 0.05  # of processor time in one second: a wait for others uses less


class Voice(Talk):
    """Talk of one process among several: each message carries its rank."""

    def __init__(self, mark, rank):
        self._rank = rank
        Talk.__init__(self, mark)

    def say(self, **message):
        Talk.say(self, rank=self._rank, **message)


def keep_prints_in(folder, rank):
    """Give what this process and its libraries print a file of its own, that lines of others do not come between."""
    path = os.path.join(folder, "rank-%d" % rank)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 2)
    os.close(file)


def leave_with_starter():
    """End as soon as standard input closes: who started the job is gone, whatever became of the launcher."""

    def wait():
        while os.read(0, 4096):
            pass
        os._exit(1)

    _thread.start_new_thread(wait, ())


class Work:
    """Tells each second whether processor time was used, until it is stopped.

    A slow import is not to be taken for a hang. Waiting for other processes may use the processor too, so it is not
    told of the operations themselves.
    """

    def __init__(self, voice):
        self._going = True
        self._voice = voice
        _thread.start_new_thread(self._tell, ())

    def _tell(self):
        used = time.process_time()
        while self._going:
            time.sleep(1.0)
            before, used = used, time.process_time()
            if self._going and used - before >= WORKING_SECONDS:
                self._voice.say(working=True)

    def stop(self):
        self._going = False


class Group:
    """The processes of one job, as this one sees them."""

    def __init__(self, voice, backend, seconds):
        self._voice = voice
        self._backend = backend
        self._seconds = seconds
        self._rank = int(os.environ["RANK"])
        self._world = int(os.environ["WORLD_SIZE"])

    def run(self):
        work = Work(self._voice)
        self._bring_in()
        self._init()
        work.stop()
        self._connect()
        self._check("all-reduce", self._all_reduce)
        self._check("all-gather", self._all_gather)
        self._check("broadcast", self._broadcast)
        self._voice.stage("end")
        self._meet()
        self._dist.destroy_process_group()
        self._voice.stage("done")

    # -------------------------------------------------------------------------------------- together

    def _bring_in(self):
        self._voice.stage("import")
        import torch
        import torch.distributed

        self._torch, self._dist = torch, torch.distributed
        if not torch.distributed.is_available():
            raise RuntimeError("this build of torch has no torch.distributed")

    def _init(self):
        import datetime

        self._voice.stage("init")
        if self._backend == "nccl":
            local = int(os.environ["LOCAL_RANK"])
            # A launcher that shows each process its own GPU alone (srun --gpus-per-task) leaves one to see.
            local = local if self._torch.cuda.device_count() > 1 else 0
            self._torch.cuda.set_device(local)
            self._device = self._torch.device("cuda", local)
            self._torch.zeros(1, device=self._device)
            self._voice.say(nccl=attempt([], "", self._nccl))
        else:
            self._device = self._torch.device("cpu")
        limit = datetime.timedelta(seconds=self._seconds)
        self._dist.init_process_group(self._backend, init_method="env://", timeout=limit)
        self._voice.say(world=self._dist.get_world_size())

    def _nccl(self):
        version = self._torch.cuda.nccl.version()
        return version if isinstance(version, int) else ".".join(str(part) for part in version)

    def _connect(self):
        """The first exchange makes the connections between the processes."""
        self._voice.stage("connect")
        self._meet()

    def _meet(self):
        one = self._torch.ones(1, dtype=self._torch.int64, device=self._device)
        self._dist.all_reduce(one)
        self._finish()

    def _finish(self):
        if self._backend == "nccl":
            self._torch.cuda.synchronize()

    # -------------------------------------------------------------------------------------- comparing

    def _numbers(self, kind, count, rank):
        """What a process brings: other numbers at each place and for each rank, whose sums no rounding touches."""
        numbers = self._torch.arange(count, dtype=self._torch.int64) % 65521 + 1000000 * (rank + 1)
        return numbers if kind == "int64" else numbers.double() / 4

    def _sums(self, kind, count):
        ranks = self._world * (self._world + 1) // 2
        numbers = self._torch.arange(count, dtype=self._torch.int64) % 65521 * self._world + 1000000 * ranks
        return numbers if kind == "int64" else numbers.double() / 4

    def _check(self, name, operation):
        self._voice.stage(name)
        faults, seconds = [], None
        for kind in KINDS:
            for count in SIZES:
                seconds, fault = operation(kind, count)
                if fault:
                    faults.append("%d numbers (%s): %s" % (count, kind, fault))
        right = "%d tensors of up to %d numbers, int64 and float64" % (len(KINDS) * len(SIZES), SIZES[-1])
        self._voice.say(collective=name, holds=not faults, detail=faults[0] if faults else right, seconds=seconds)

    def _timed(self, operation):
        self._finish()
        began = time.perf_counter()
        operation()
        self._finish()
        return time.perf_counter() - began

    def _differs(self, found, expected):
        """The first difference in words, None where there is none; compared on the CPU."""
        found = found.cpu()
        if self._torch.equal(found, expected):
            return None
        places = (found != expected).nonzero().reshape(-1)
        first = int(places[0])
        told = (first, found[first].item(), expected[first].item(), len(places))
        return "number %d is %s, not %s; %d differ" % told

    def _all_reduce(self, kind, count):
        tensor = self._numbers(kind, count, self._rank).to(self._device)
        seconds = self._timed(lambda: self._dist.all_reduce(tensor))
        return seconds, self._differs(tensor, self._sums(kind, count))

    def _all_gather(self, kind, count):
        share = max(1, count // self._world)  # all shares together are as large as the other tensors
        ours = self._numbers(kind, share, self._rank).to(self._device)
        every = [self._torch.zeros_like(ours) - 1 for _ in range(self._world)]
        seconds = self._timed(lambda: self._dist.all_gather(every, ours))
        for rank, part in enumerate(every):
            fault = self._differs(part, self._numbers(kind, share, rank))
            if fault:
                return seconds, "from process %d: %s" % (rank, fault)
        return seconds, None

    def _broadcast(self, kind, count):
        root = self._world - 1
        sent = self._numbers(kind, count, root)
        tensor = (sent if self._rank == root else self._torch.zeros_like(sent) - 1).to(self._device)
        seconds = self._timed(lambda: self._dist.broadcast(tensor, root))
        return seconds, self._differs(tensor, self._numbers(kind, count, root))


def further_words(error):
    """The lines of an exception behind its first: NCCL's own reason stands there."""
    try:
        lines = [" ".join(line.split())[:300] for line in str(error).splitlines()[1:]]
    except Exception:
        return []
    return [line for line in lines if line and not line.startswith(("frame #", "Exception raised from"))][:6]


def take_part(mark, backend, seconds, folder):
    rank = int(os.environ["RANK"])
    keep_prints_in(folder, rank)
    voice = Voice(mark, rank)
    leave_with_starter()
    voice.stage("start")
    give_back_local_modules()
    try:
        Group(voice, backend, seconds).run()
    except Exception as error:
        voice.say(failed=words(error), further=further_words(error))
        os._exit(1)
    sys.stderr.flush()
    # What libraries do at the end of a process may hang or crash after everything is told.
    os._exit(0)
