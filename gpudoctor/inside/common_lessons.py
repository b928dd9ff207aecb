"""What is learnt in every framework: images made from a seed, first weights, and the measures of what was learnt.

Joined after common_talk.py. All of it is told in plain Python numbers, so that all frameworks learn the same and none
is its own judge. Long runs of numbers are bytes made by whole-number arithmetic on very long integers: that is fast
without any package, and the same in every Python.
"""

CLASSES = 10
SHIFTS = [(dx, dy) for dx in range(5) for dy in range(5)]

# float32 against float64 differs by about 1e-6 on a CPU and 1e-4 with fast convolution algorithms. NVIDIA_TF32_OVERRIDE
# can force 10-bit mantissas (1e-3) on a program that asked for none. A wrong result is wrong by far more.
LOSS_TOLERANCE = 5e-3
GRADIENT_TOLERANCE = 2e-2

# Four five-bit numbers summed: 62 in the mean, nearly normal with this deviation (4 * (32 ** 2 - 1) / 12, its root).
GRAIN_MEAN, GRAIN_DEVIATION = 62, 18.466
SCALE = 24.0  # what a byte of an image is divided by


class Chance:
    """Random numbers from a seed: the same in every Python 3, since they are taken as bits."""

    def __init__(self, seed):
        # The part of the module random that is compiled: a local random.py is none of our business.
        import _random

        source = _random.Random()
        source.seed(seed)  # as an argument of Random() it counts otherwise in Python 3.8 and 3.9
        self._bits = source.getrandbits

    def uniform(self):
        return self._bits(32) / 4294967296.0

    def below(self, limit):
        return self._bits(32) * limit >> 32

    def grains(self, count):
        """Bytes that are nearly normal: see GRAIN_MEAN."""
        five_bits = int.from_bytes(b"\x1f" * count, "little")
        # A sum is at most 124: no byte runs over into the next.
        total = sum(self._bits(8 * count) & five_bits for _ in range(4))
        return total.to_bytes(count, "little")


def _blobs(chance, side):
    """Soft blobs: for each a long integer with its profile across in lanes of 16 bits, and its profile down."""
    blobs = []
    for _ in range(5):
        u, v = (0.2 * side + 0.6 * side * chance.uniform() for _ in range(2))
        r = side * (0.06 + 0.06 * chance.uniform())
        across, down = ([1 / (1 + ((x - middle) / r) ** 2) ** 2 for x in range(side)] for middle in (u, v))
        lanes = b"".join(int(255 * share).to_bytes(2, "little") for share in across)
        blobs.append((int.from_bytes(lanes, "little"), [int(50 * share) for share in down]))
    return blobs


def _pattern(chance, side):
    """Rows of bytes: five blobs added. 5 * 255 * 50 fits into 16 bits, whose upper byte is kept."""
    blobs = _blobs(chance, side)
    rows = [sum(across * down[y] for across, down in blobs) for y in range(side)]
    return [row.to_bytes(2 * side, "little")[1::2] for row in rows]


class Lesson:
    """Images of ten classes and the network that is to learn them.

    An image is its class's pattern, somewhat displaced, plus noise; held-out images have noise of their own.
    ``templates`` and ``noises`` are bytes, image after image, each ``channels`` planes of ``side`` x ``side``.
    ``trained`` and ``held_out`` are triples of lists (index of template, index of noise, class). A pixel is
    (template + noise - GRAIN_MEAN) / SCALE. ``shapes`` are those of the weights in the layout of TensorFlow and JAX
    (height, width, in, out; in, out), PyTorch's layout has the same number of each and reads the same numbers in its
    own order; ``fans`` the number of inputs of each, 0 for biases. ``rate``: of learning.
    """

    def __init__(self, name, side, channels, counts, shapes, fans, rate, seed):
        self.name, self.side, self.channels, self.rate = name, side, channels, rate
        self.images = "%dx%dx%d" % (side, side, channels)
        self.pixels = channels * side * side
        self.shapes, self.fans = shapes, fans
        trained, held_out, noises = counts
        chance = Chance(seed)
        self.templates = b"".join(self._displaced(chance))
        self.noises = chance.grains(noises * self.pixels)
        self.trained = self._draw(chance, trained, 0, noises * 4 // 5)
        self.held_out = self._draw(chance, held_out, noises * 4 // 5, noises)
        self.weights = [self._weights(chance, shape, fan) for shape, fan in zip(shapes, fans)]

    def _displaced(self, chance):
        side = self.side
        for _ in range(CLASSES):
            planes = [_pattern(chance, side + 4) for _ in range(self.channels)]
            for dx, dy in SHIFTS:
                yield b"".join(row[dx : dx + side] for plane in planes for row in plane[dy : dy + side])

    def _draw(self, chance, count, first, last):
        kinds = [chance.below(CLASSES * len(SHIFTS)) for _ in range(count)]
        noises = [first + chance.below(last - first) for _ in range(count)]
        return kinds, noises, [kind // len(SHIFTS) for kind in kinds]

    def _weights(self, chance, shape, fan):
        """Weights to start from as a flat list, scaled after He et al. 2015."""
        count = 1
        for length in shape:
            count *= length
        if not fan:
            # Pixels and weights are multiples of something: without these, many sums were exactly 0, where a ReLU
            # has no slope that float32 and float64 agree on.
            return [0.1 * (chance.uniform() - 0.5) for _ in range(count)]
        scale = (2.0 / fan) ** 0.5 / GRAIN_DEVIATION
        values = [(byte - GRAIN_MEAN) * scale for byte in range(256)]
        return [values[byte] for byte in chance.grains(count)]

    def first_image(self):
        """The pixels of the first held-out image, as a flat list."""
        kind, noise = (part[0] * self.pixels for part in self.held_out[:2])
        template, grains = self.templates[kind : kind + self.pixels], self.noises[noise : noise + self.pixels]
        return [(a + b - GRAIN_MEAN) / SCALE for a, b in zip(template, grains)]


def convolutional():
    shapes = ((3, 3, 1, 16), (16,), (3, 3, 16, 32), (32,), (1568, 10), (10,))
    return Lesson("convolutional", 28, 1, (2048, 512, 320), shapes, (9, 0, 144, 0, 1568, 0), 0.02, 20260131)


def perceptron():
    shapes = ((3072, 32), (32,), (32, 32), (32,), (32, 10), (10,))
    return Lesson("perceptron", 32, 3, (1024, 256, 80), shapes, (3072, 0, 32, 0, 32, 0), 0.005, 20260201)


# ------------------------------------------------------------------------------------------------ measures


def scores(predicted, true):
    """Accuracy, and precision, recall and F1 as plain means over the classes; an empty class counts 0."""
    right = [0] * CLASSES
    for guess, label in zip(predicted, true):
        right[label] += guess == label
    precision = [_ratio(right[c], predicted.count(c)) for c in range(CLASSES)]
    recall = [_ratio(right[c], true.count(c)) for c in range(CLASSES)]
    f1 = [_ratio(2 * p * r, p + r) for p, r in zip(precision, recall)]
    return {
        "accuracy": _ratio(sum(right), len(true)),
        "precision": sum(precision) / CLASSES,
        "recall": sum(recall) / CLASSES,
        "f1": sum(f1) / CLASSES,
    }


def _ratio(part, whole):
    return part / float(whole) if whole else 0.0


def distance(found, expected):
    """How far lists of numbers lie apart, as the largest share of an expected list's length; nan is far."""
    if [len(values) for values in found] != [len(values) for values in expected]:
        return float("inf")
    shares = [0.0]
    for ours, theirs in zip(found, expected):
        apart = sum((a - b) * (a - b) for a, b in zip(ours, theirs)) ** 0.5
        norm = sum(b * b for b in theirs) ** 0.5
        shares.append(apart / norm if norm else apart)
    return max(share if share == share else float("inf") for share in shares)


def deviation(found, expected):
    """The largest difference between numbers of two lists, as a share of the expected ones' typical size.

    That is their root mean square, or 1 if all are 0. nan, and lists of different lengths, are infinitely far.
    """
    if len(found) != len(expected) or not expected:
        return float("inf")
    apart = [abs(a - b) for a, b in zip(found, expected)]
    if any(value != value for value in apart):
        return float("inf")
    size = (sum(b * b for b in expected) / len(expected)) ** 0.5
    return max(apart) / (size or 1.0)


def matrices():
    """Two matrices of small whole numbers and their product: exact in every number format."""
    size = 32
    left = [[(3 * i + 5 * j) % 7 - 3 for j in range(size)] for i in range(size)]
    right = [[(2 * i + 7 * j) % 5 - 2 for j in range(size)] for i in range(size)]
    columns = list(zip(*right))
    return left, right, [float(sum(a * b for a, b in zip(row, column))) for row in left for column in columns]
