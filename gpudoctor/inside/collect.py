"""Facts of a Python environment, gathered by that environment's own interpreter without importing what is in it.

This file is fed to ANOTHER interpreter on standard input (gpudoctor.children.BOOTSTRAP): standard library only,
ASCII, Python 3.6 syntax. It parses in Python 2.7 too, where it says that it does not go on. It answers one JSON object
on one line of standard output behind the mark of gpudoctor.children, and writes no file.

A local ``json.py`` or ``re.py`` must not reach this program, so the first act lifts every entry that is not the
standard library's out of ``sys.path``; what is then judged is the path as a framework would see it.
"""

import sys

MARK = "@gpudoctor "
FULL_PATH = list(sys.path)


def _standard_library():
    """The folder of the standard library, known from a module that every start imports; '' when it cannot tell."""
    place = getattr(sys.modules.get("os"), "__file__", None) or ""
    return place.replace("\\", "/").rpartition("/")[0]


def _is_standard(entry, library):
    """Whether a sys.path entry belongs to the standard library. Text only: no module may be imported yet."""
    entry = entry.replace("\\", "/").rstrip("/")
    name = entry.rpartition("/")[2].lower()
    return bool(entry) and (
        entry == library
        or name == "python%d%d.zip" % sys.version_info[:2]
        or (name in ("lib-dynload", "dlls") and not entry.startswith("."))
    )


def _is_standard_file(place, library, name):
    own = (library + "/" + name + ".", library + "/" + name + "/", library + "/__pycache__/")
    return place.startswith(own) or "/lib-dynload/" in place or "/DLLs/" in place


def _lift():
    """Leave only the standard library on sys.path, and forget modules of ours that a site hook took from elsewhere."""
    library = _standard_library()
    kept = [entry for entry in sys.path if _is_standard(entry, library)]
    if any(entry.replace("\\", "/").rstrip("/") == library for entry in kept):
        sys.path[:] = kept
    else:  # an unusual layout (zipped, frozen): at least the working directory goes
        sys.path[:] = [entry for entry in sys.path if entry not in ("", ".")]
    for name in ("ast", "json", "mmap", "re", "site", "sysconfig"):
        place = getattr(sys.modules.get(name), "__file__", None)
        if place and library and not _is_standard_file(place.replace("\\", "/"), library, name):
            del sys.modules[name]


if __name__ == "__main__":
    if sys.version_info < (3, 6):
        sys.stdout.write('\n%s{"too_old": "%d.%d.%d", "executable": ""}\n' % ((MARK,) + tuple(sys.version_info[:3])))
        sys.stdout.flush()
        sys.exit(0)
    STARTED_WITH = set(sys.modules)
    _lift()
else:
    STARTED_WITH = set()

import ast  # noqa: E402 - imports come after sys.path is clean
import json  # noqa: E402
import mmap  # noqa: E402
import os  # noqa: E402
import re  # noqa: E402
import sysconfig  # noqa: E402

# ------------------------------------------------------------------------------------------------ what concerns us

_TENSORFLOW = (
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-gpu",
    "tensorflow-intel",
    "tensorflow-macos",
    "tensorflow-rocm",
    "tensorflow-cpu-aws",
    "tensorflow-aarch64",
    "intel-tensorflow",
    "intel-tensorflow-avx512",
    "tf-nightly",
    "tf-nightly-cpu",
    "tf-nightly-gpu",
    "tf-nightly-intel",
    "tf-nightly-macos",
    "tf-nightly-rocm",
    "tf-nightly-cpu-aws",
)

# Import name -> the distributions that bring it.
MODULES = {
    "torch": ("torch",),
    "tensorflow": _TENSORFLOW,
    "jax": ("jax", "jax-nightly"),
    "jaxlib": ("jaxlib", "jaxlib-nightly"),
    "keras": ("keras", "keras-nightly"),
    "tf_keras": ("tf-keras", "tf-keras-nightly"),
    "numpy": ("numpy",),
    "torchvision": ("torchvision",),
    "torchaudio": ("torchaudio",),
    "triton": ("triton", "pytorch-triton", "pytorch-triton-rocm", "pytorch-triton-xpu", "triton-windows"),
    "xformers": ("xformers",),
    "flash_attn": ("flash-attn",),
    "bitsandbytes": ("bitsandbytes",),
    "vllm": ("vllm",),
    "deepspeed": ("deepspeed",),
    "apex": ("apex",),
}

_TRACKED = re.compile(
    r"(?:torch(?:vision|audio|text|data|ao|rec|-directml|-xla|-tensorrt)?|pytorch-triton(?:-.*)?|triton(?:-.*)?"
    r"|(?:intel-)?tensorflow(?:-.*)?|tf-(?:nightly|keras)(?:-.*)?|keras(?:-nightly)?|jax(?:lib)?(?:-.*)?|libtpu.*"
    r"|numpy|scipy|numba|protobuf|ml-dtypes|nvidia-.*|cuda-.*|pynvml|cupy(?:-.*)?|pycuda|onnxruntime(?:-.*)?|tensorrt.*"
    r"|xformers|flash-attn(?:-.*)?|flashinfer(?:-.*)?|bitsandbytes|vllm(?:-.*)?|deepspeed|apex|transformer-engine(?:-.*)?"
    r"|intel-extension-for-(?:pytorch|tensorflow)|fbgemm-gpu(?:-.*)?|(?:cudf|cuml|rmm)-cu\d+)$"
)

# Whose RECORD is held against the disk: those whose half-installed state looks like a broken GPU.
_COUNTED = re.compile(
    r"(?:torch|tensorflow.*|tf-nightly.*|jax(?:lib)?|jax-cuda.*|keras|numpy|scipy|ml-dtypes|protobuf|triton|nvidia-.*)$"
)

# Conda packages of interest; conda's names are not the index's.
_CONDA = re.compile(
    r"(?:pytorch.*|libtorch|torchvision|torchaudio|tensorflow.*|libtensorflow.*|jax|jaxlib|keras|numpy|triton"
    r"|cudatoolkit|cuda-(?:version|cudart|runtime|toolkit|nvcc|libraries)|cudnn|libcudnn|nccl|libcublas|cupy.*|python|mamba|conda)$"
)

_READ_LIMIT = 1 << 20
_RECORD_LIMIT = 16 << 20
_MOST_LINES = 200000


def normalised(name):
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


# ------------------------------------------------------------------------------------------------------- small verbs


def read(path, limit=_READ_LIMIT):
    """The first ``limit`` bytes of a file as text, None if it is absent. Raises OSError when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def names_in(path):
    """The names in a folder, none if it is absent. Raises OSError when it cannot be listed."""
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []


def words(error):
    """An exception in one line."""
    return getattr(error, "strerror", None) or "%s: %s" % (type(error).__name__, error)


class Folder(object):
    """One sys.path entry, listed once. ``entry`` is its text in sys.path, '' the working directory."""

    def __init__(self, entry):
        self.entry = entry
        self.path = os.path.abspath(entry)
        self.error = None
        self._checked = {}
        try:
            self.names = set(names_in(self.path))
        except OSError as error:
            self.names = set()
            self.error = words(error)

    @property
    def is_site(self):
        """Whether installers put packages here."""
        base = os.path.basename(self.path).lower()
        return base in ("site-packages", "dist-packages") or base.endswith(".egg")

    def at(self, *parts):
        """A path below the folder."""
        return os.path.join(self.path, *parts)

    def provides(self, module):
        """How ``import module`` would find it here: package, module, namespace or None (importlib's own order)."""
        if module not in self._checked:
            self._checked[module] = self._provides(module)
        return self._checked[module]

    def _provides(self, module):
        is_folder = module in self.names and os.path.isdir(self.at(module))
        if is_folder:
            inside = ("__init__.py", "__init__.pyc", "__init__.so", "__init__.pyd")
            if any(os.path.exists(self.at(module, name)) for name in inside):
                return "package"
            if not os.access(self.at(module), os.X_OK):
                return "package"  # whose files nobody may see here; reading one says so
        if self.file_of(module):
            return "module"
        return "namespace" if is_folder else None

    def file_of(self, module):
        """The single-file module of that name here, None without one."""
        suffixes = [".py", ".pyc", ".pyd", ".so"] + [suffix for suffix in _EXTENSIONS if suffix]
        return next((module + suffix for suffix in suffixes if module + suffix in self.names), None)


_EXTENSIONS = [sysconfig.get_config_var("EXT_SUFFIX")]


def folders():
    """The folders of sys.path in order, each real folder once; the standard library's own are left out.

    The working directory counts as such only where no other entry names the same folder.
    """
    library = _standard_library()
    entries = [entry for entry in FULL_PATH if isinstance(entry, str) and not _is_standard(entry, library)]
    named = {_real(entry): entry for entry in reversed(entries) if entry}
    seen = set()
    found = []
    for entry in entries:
        real = _real(entry)
        if real and real not in seen and os.path.isdir(real):
            seen.add(real)
            found.append(Folder(named.get(real, entry)))
    return found


def _real(entry):
    """The folder that an entry means, links resolved; None for a working directory that was removed."""
    try:
        return os.path.realpath(entry)
    except OSError:
        return None


# -------------------------------------------------------------------------------------------------- the interpreter


def interpreter():
    """What this interpreter is and what it lives in."""
    base = getattr(sys, "base_prefix", sys.prefix)
    config = _pairs(read(os.path.join(sys.prefix, "pyvenv.cfg")) or "")
    standard = sysconfig.get_path("stdlib") or ""
    in_conda = os.path.isdir(os.path.join(sys.prefix, "conda-meta"))
    is_virtual = base != sys.prefix or bool(config)
    return {
        "executable": sys.executable or "",
        "version": "%d.%d.%d" % sys.version_info[:3] + _level(sys.version_info),
        "implementation": sys.implementation.name,
        "prefix": sys.prefix,
        "base_prefix": base,
        "environment": "venv" if is_virtual else "conda" if in_conda else "system",
        "pyvenv": config,
        "conda_meta": in_conda,
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "externally_managed": not is_virtual and os.path.isfile(os.path.join(standard, "EXTERNALLY-MANAGED")),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "machine": _machine(),
        "platform": sysconfig.get_platform(),
        "libc": _libc(),
        "user_site": _user_site(),
        "path": FULL_PATH,
    }


def _level(info):
    return {"alpha": "a", "beta": "b", "candidate": "rc"}.get(info[3], "") + (
        str(info[4]) if info[3] != "final" else ""
    )


def _pairs(text):
    """``key = value`` lines of pyvenv.cfg, keys in lower case."""
    found = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip().lower()] = value.strip()
    return found


def _machine():
    if hasattr(os, "uname"):
        return os.uname()[4]
    return os.environ.get("PROCESSOR_ARCHITEW6432") or os.environ.get("PROCESSOR_ARCHITECTURE", "")


def _libc():
    """``glibc 2.36`` as the C library itself says; ``musl`` by the name of the build; None elsewhere."""
    if hasattr(os, "confstr") and "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", {}):
        try:
            said = os.confstr("CS_GNU_LIBC_VERSION")
        except (OSError, ValueError):
            said = None
        if said:
            return said
    return "musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else None


def _user_site():
    """The per-user folder when this interpreter takes packages from it, else None."""
    import site

    return site.getusersitepackages() if site.ENABLE_USER_SITE else None


def markers():
    """The values of the environment markers of dependency specifiers, as this interpreter has them."""
    info = sys.implementation.version
    system, release, version = _system()
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": "%d.%d.%d" % info[:3] + _level(info),
        "os_name": os.name,
        "platform_machine": _machine(),
        "platform_python_implementation": {"cpython": "CPython", "pypy": "PyPy"}.get(
            sys.implementation.name, sys.implementation.name
        ),
        "platform_release": release,
        "platform_system": system,
        "platform_version": version,
        "python_full_version": "%d.%d.%d" % sys.version_info[:3] + _level(sys.version_info),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    }


def _system():
    if hasattr(os, "uname"):
        names = os.uname()
        return names[0], names[2], names[3]
    return {"win32": "Windows"}.get(sys.platform, sys.platform), "", ""


# ------------------------------------------------------------------------------------------------------ distributions


def packages(all_folders):
    """All copies of the distributions that concern GPU computing, and how many distributions there are at all."""
    found = []
    total = 0
    for folder in all_folders:
        if folder.entry == "":
            continue  # what lies in the working directory is a shadow, not an installation
        names = sorted(name for name in folder.names if _is_metadata(name))
        total += len(names)
        for name in names:
            key = _distribution_of(name)
            if _TRACKED.match(key):
                found.append(_distribution(folder, name, key))
        if folder.path.lower().endswith(".egg") and "EGG-INFO" in folder.names:
            total += 1
            key = normalised(os.path.basename(folder.path).split("-")[0])
            if _TRACKED.match(key):
                found.append(_distribution(folder, "EGG-INFO", key))
    return found, total


def _is_metadata(name):
    return name.endswith((".dist-info", ".egg-info")) and not name.startswith("~")


def _distribution_of(name):
    """The distribution's name in ``torch-2.7.1+cu126.dist-info`` or ``numpy-1.24.2-py3.11.egg-info``."""
    stem = name.rsplit(".", 1)[0]
    found = re.match(r"(.+?)-\d", stem)
    return normalised(found.group(1) if found else stem)


def _distribution(folder, name, key):
    """One copy of a distribution, from the files beside it."""
    inside = folder.at(name)
    is_wheel = name.endswith(".dist-info")
    is_folder = os.path.isdir(inside)
    row = {
        "name": key,
        "version": None,
        "location": folder.path,
        "info": name,
        "installer": None,
        "requires": [],
        "tags": [],
        "metadata": True,
        "requires_python": None,
        "editable": not is_wheel and not folder.is_site,
        "from_vcs": False,
        "source_path": None,
        "missing_files": None,
        "damaged": [],
        "owns": [],
        "error": None,
    }
    try:
        if is_wheel:
            text = read(os.path.join(inside, "METADATA"))
        else:
            text = read(os.path.join(inside, "PKG-INFO") if is_folder else inside)
        _add_metadata(row, text or "")
        if is_folder:
            row["installer"] = _first_line(read(os.path.join(inside, "INSTALLER")))
            _add_origin(row, read(os.path.join(inside, "direct_url.json")))
        if is_wheel:
            row["tags"] = re.findall(r"^Tag: *(\S+)", read(os.path.join(inside, "WHEEL")) or "", re.M)[:20]
            if _COUNTED.match(key):
                _add_record(row, folder, read(os.path.join(inside, "RECORD"), _RECORD_LIMIT))
    except OSError as error:
        row["error"] = words(error)
    if row["version"] is None:
        row["version"] = _version_in(name)
    return row


def _first_line(text):
    return text.strip().partition("\n")[0].strip()[:100] or None if text else None


def _version_in(name):
    found = re.match(r".+?-(\d[^-]*?)(?:-py[\d.]+)?\.(?:dist|egg)-info$", name)
    return found.group(1) if found else None


def _add_metadata(row, text):
    """Core metadata is a mail header; the description follows the first empty line."""
    header = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    for line in header.splitlines():
        key, colon, value = line.partition(":")
        value = value.strip()
        if not colon or not value or line[:1] in " \t":
            continue
        if key == "Version" and row["version"] is None:
            row["version"] = value
        elif key == "Requires-Python":
            row["requires_python"] = value
        elif key == "Requires-Dist" and _concerns(value):
            row["requires"].append(value)


def _concerns(requirement):
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    return bool(found and _TRACKED.match(normalised(found.group(0))))


def _add_origin(row, text):
    """direct_url.json (PEP 610): installed from a folder or a repository, not from an index."""
    if not text:
        return
    try:
        content = json.loads(text)
    except ValueError:
        return
    if not isinstance(content, dict):
        return
    folder = content.get("dir_info")
    if isinstance(folder, dict):
        row["editable"] = folder.get("editable") is True
        row["from_vcs"] = True
        url = content.get("url")
        if isinstance(url, str) and url.startswith("file://"):
            row["source_path"] = url[len("file://") :]
    elif "vcs_info" in content:
        row["from_vcs"] = True


_LIBRARY = re.compile(r"\.(?:pyd|dll|dylib|so(?:\.[0-9.]+)?)$")
_OF_TESTS = re.compile(r"(?:^|/)(?:tests?|testing|_tests)/")
_MOST_DAMAGED = 5
_OF_NO_CODE = (".h", ".pyc", ".hpp", ".cuh", ".pyi", ".txt")  # most lines of a large RECORD, known without a pattern
_CODE = re.compile(r"\.(?:py|pyd|dll|dylib|so(?:\.[0-9.]+)?)$")
_SIGNS = {
    "tensorflow": "tensorflow/python/platform/build_info.py",
    "torch": "torch/version.py",
    "jax": "jax/version.py",
}


def _add_record(row, folder, text):
    """Hold RECORD against the disk: files that hold code, each folder listed once, and the sizes of libraries."""
    if text is None:
        return
    listed = {}
    missing = 0
    for line in text.splitlines()[:_MOST_LINES]:
        path, _, size = (line.rsplit(",", 2) + ["", ""])[:3]
        if path.endswith(_OF_NO_CODE):
            continue
        path = path.strip('"').replace("\\", "/")
        if not _CODE.search(path):
            continue
        for module, sign in _SIGNS.items():
            if path == sign:
                row["owns"].append(module)
        parent, _, name = path.rpartition("/")
        if parent not in listed:
            listed[parent] = _names_for_record(folder, parent)
        names = listed[parent]
        is_gone = names is not None and os.path.normcase(name) not in names
        missing += is_gone
        is_short = names is not None and _LIBRARY.search(path) and _is_shorter(folder.at(*path.split("/")), size)
        if (is_gone or is_short) and not _OF_TESTS.search(path):
            row["damaged"].append(path)
    row["missing_files"] = missing
    del row["damaged"][_MOST_DAMAGED:]


def _is_shorter(path, size):
    """Whether a file ends before the size that RECORD gives; longer ones were patched, and tools do that."""
    try:
        return size.isdigit() and os.path.getsize(path) < int(size)
    except OSError:
        return False


def _names_for_record(folder, parent):
    """Names in a folder of a RECORD; empty when it is gone, None when it may not be looked at."""
    try:
        return {os.path.normcase(name) for name in names_in(folder.at(*parent.split("/")))}
    except OSError:
        return None


# -------------------------------------------------------------------------- folders without metadata, and shadows


def orphans(all_folders, rows):
    """Package folders that no metadata owns, and what pip left under a name that starts with ``~``."""
    owned = {(row["location"], row["name"]) for row in rows}
    edited = {row["name"] for row in rows if row["editable"]}
    found = []
    for folder in all_folders:
        if folder.entry == "" or not folder.is_site:
            continue
        for module, brought_by in sorted(MODULES.items()):
            has_owner = any((folder.path, name) in owned or name in edited for name in brought_by)
            kind = folder.provides(module)
            if kind in ("package", "namespace") and not has_owner:
                found.append(_orphan(folder, module, brought_by[0], kind))
        for name in sorted(folder.names):
            if name.startswith("~") and _left_over(name):
                found.append(_orphan(folder, name, name, "left over by pip"))
    return found


def _left_over(name):
    """Whether pip's renamed folder (``~orch``, ``~-mpy``) belongs to a module of interest."""
    rest = name.lstrip("~-").split("-")[0]
    return len(rest) > 1 and any(
        module.endswith(rest) and len(module) - len(rest) <= 2 for module in list(MODULES) + ["nvidia"]
    )


def _orphan(folder, module, name, kind):
    return {"name": name, "location": folder.path, "module": module, "kind": kind}


def shadows(all_folders, rows):
    """Local files and folders that ``import`` would take in place of an installed package."""
    homes = {(row["location"], row["name"]) for row in rows}
    sources = {row["source_path"].rstrip("/") for row in rows if row["source_path"]}
    found = []
    for module, brought_by in sorted(MODULES.items()):
        taker = _taker(all_folders, module)
        if taker is None or taker.is_site or any((taker.path, name) in homes for name in brought_by):
            continue
        if any(taker.path == source or taker.path.startswith(source + os.sep) for source in sources):
            continue  # an editable installation lives there
        is_file = taker.provides(module) == "module"
        if not is_file and _is_genuine(taker, module) and _providers(all_folders, module) == [taker]:
            continue  # a build used where it was compiled, hiding nothing
        found.append(taker.at(taker.file_of(module) if is_file else module))
    return found


def _is_genuine(folder, module):
    sign = _SIGNS.get(module)
    return folder.entry != "" and sign is not None and os.path.isfile(folder.at(*sign.split("/")))


def _providers(all_folders, module):
    return [folder for folder in all_folders if folder.provides(module) in ("package", "module")]


def _taker(all_folders, module):
    """The folder from which ``import module`` would come. A folder without __init__ yields to any package behind."""
    real = _providers(all_folders, module)
    loose = [folder for folder in all_folders if folder.provides(module) == "namespace"]
    return (real + loose + [None])[0]


# Modules that programs of all kinds are named like, and that no framework imports.
_HARMLESS = frozenset(("antigravity", "idlelib", "lib2to3", "test", "this", "turtle", "turtledemo", "tkinter", "site"))


def standard_shadows(all_folders):
    """Local files and folders in front of the standard library that hide a module of it."""
    standard = _standard_modules()
    library = _standard_library()
    found = []
    for entry in FULL_PATH:
        if not isinstance(entry, str) or _is_standard(entry, library):
            break
        for folder in all_folders:
            if os.path.realpath(folder.path) == _real(entry):
                found.extend(_hidden(folder, standard))
    return sorted(set(found))


def _hidden(folder, standard):
    candidates = {name.split(".")[0] for name in folder.names} & standard
    for module in candidates:
        kind = folder.provides(module)
        if kind == "package":
            yield folder.at(module)
        elif kind == "module":
            yield folder.at(folder.file_of(module))


def _standard_modules():
    """Modules of the standard library that a local file can hide: neither built in nor imported at every start."""
    names = set(getattr(sys, "stdlib_module_names", ()))
    if not names:
        listed = (name.split(".")[0] for name in names_in(_standard_library()))
        names = {name for name in listed if re.match(r"[a-z_]\w*$", name)}
    started = STARTED_WITH if "os" in STARTED_WITH else set(sys.modules)
    return names - set(sys.builtin_module_names) - started - _HARMLESS


# ---------------------------------------------------------------------------- what the packages say of themselves


def framework_texts(all_folders):
    """The build facts that lie as text beside each framework: by module, one row a folder that holds it."""
    readers = {"torch": _torch, "tensorflow": _tensorflow}
    found = {}
    for module, reader in readers.items():
        found[module] = []
        for folder in all_folders:
            if folder.entry == "" or folder.provides(module) not in ("package", "namespace"):
                continue
            row = {"location": folder.path, "kind": folder.provides(module), "error": None, "says": {}, "targets": []}
            try:
                row["says"], row["targets"] = reader(folder)
            except OSError as error:
                row["error"] = "%s: %s" % (words(error), getattr(error, "filename", None) or folder.path)
            found[module].append(row)
    return found


_ASSIGNMENT = re.compile(r"^([A-Za-z_]\w*)[ \t]*(?::[^=\n]+)?=[ \t]*(.+)$", re.M)


def _literals(text):
    """Top-level ``name = literal`` lines; anything else is passed over."""
    found = {}
    for name, value in _ASSIGNMENT.findall(text):
        try:
            found[name] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return found


def _torch(folder):
    says = _literals(read(folder.at("torch", "version.py")) or "")
    names = ("__version__", "cuda", "hip", "xpu", "git_version", "debug")
    library = folder.at("torch", "lib")
    path = next(
        (
            os.path.join(library, name)
            for name in ("libtorch_python.so", "libtorch_python.dylib", "torch_python.dll")
            if os.path.isfile(os.path.join(library, name))
        ),
        None,
    )
    kept = {name: says[name] for name in names if name in says and isinstance(says[name], (str, bool, type(None)))}
    return kept, architecture_flags(path) if path else []


_FLAG = r"(?:(?:sm|compute)_\d{2,3}[af]?|gfx[0-9a-f]{3,5}(?::[a-z0-9+:-]{1,40})?)"
_FLAGS = re.compile(("%s(?:[ ;]%s){0,63}$" % (_FLAG, _FLAG)).encode())
_SEPARATOR = re.compile(b"[ ;]")
_MARK = re.compile(b"[\\s!-/:-@\\[-`{-~]")
_FLAG_STRING_LIMIT = 2048
_LIBRARY_LIMIT = 2 << 30  # bytes; the largest seen has 32 MB
_MOST_OCCURRENCES = 200000
_MOST_SECTIONS = 16


def architecture_flags(path):
    """What torch.cuda.get_arch_list() would say: the list compiled into libtorch_python as one C string.

    torch/csrc/cuda/Module.cpp: ``static const char* flags = C10_STRINGIZE(CUDA_ARCH_FLAGS)``. Several lone names
    without a list leave it open which one is meant; then nothing is said.
    """
    if not 0 < os.path.getsize(path) <= _LIBRARY_LIMIT:
        return []
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            found = set()
            for begin, end in _constants(data):
                for sign in (b"sm_", b"compute_", b"gfx"):
                    found.update(_flag_strings(data, sign, begin, end))
        finally:
            data.close()
    lists = sorted((text.replace(b";", b" ").split() for text in found), key=len)
    if not lists or (len(lists) > 1 and len(lists[-1]) == len(lists[-2])):
        return []
    return [name.decode("ascii") for name in lists[-1]]


def _constants(data):
    """Where C strings lie: in the sections .rodata* of a library (elf(5), 64 bits), else anywhere in the file."""

    def number(at, size):
        return int.from_bytes(data[at : at + size], "little")

    whole = [(0, len(data))]
    if data[:6] != b"\x7fELF\x02\x01":
        return whole
    table, size, count, of_names = number(0x28, 8), number(0x3A, 2), number(0x3C, 2), number(0x3E, 2)
    headers = [table + index * size for index in range(count)]
    if not headers or size < 0x40 or of_names >= count:
        return whole
    names = number(headers[of_names] + 0x18, 8)
    found = []
    for header in headers:
        at, length = number(header + 0x18, 8), number(header + 0x20, 8)
        name = names + number(header, 4)
        if data[name : name + 7] == b".rodata" and at + length <= len(data):
            found.append((at, at + length))
    return found if 0 < len(found) <= _MOST_SECTIONS else whole


def _flag_strings(data, sign, begin, end):
    """Texts up to a NUL that are wholly architecture names.

    A list may follow a constant that no NUL ends (torch 2.8 and 2.9: ``ipc_hsm_70 sm_75 ...``); a lone name may not.
    What a space or a mark precedes is a part of a sentence.
    """
    at = begin
    for _ in range(_MOST_OCCURRENCES):
        at = data.find(sign, at, end)
        if at < 0:
            return
        stop = data.find(b"\0", at, at + _FLAG_STRING_LIMIT)
        text = data[at:stop] if stop > 0 else b""
        before = data[at - 1 : at]
        if _FLAGS.match(text) and (before == b"\0" or (_SEPARATOR.search(text) and not _MARK.match(before))):
            yield text
            at = stop
        else:
            at += len(sign)


def _tensorflow(folder):
    text = read(folder.at("tensorflow", "python", "platform", "build_info.py")) or ""
    says = {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return {}, []
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = _literal_node(node.value)
            if node.targets[0].id == "build_info" and isinstance(value, (dict, list, tuple)):
                says.update(value)
            elif isinstance(value, (str, bool)):
                says.setdefault(node.targets[0].id, value)
    targets = says.pop("cuda_compute_capabilities", [])
    targets = [str(item) for item in targets] if isinstance(targets, (list, tuple)) else []
    return {str(key): value for key, value in says.items() if isinstance(value, (str, bool))}, targets


def _literal_node(node):
    """The value of a literal, or of ``collections.OrderedDict(literal)``; None for anything else."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        node = node.args[0]
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def cudnn(all_folders, rows):
    """Copies of cuDNN that packages carry: in NVIDIA's wheels, and inside old torch wheels."""
    found = []
    for row in rows:
        place = os.path.join(row["location"], "nvidia", "cudnn")
        if row["name"].startswith("nvidia-cudnn-cu") and os.path.isdir(place):
            found.append({"path": place, "version": row["version"], "brought_by": row["name"]})
    for folder in all_folders:
        if folder.entry != "" and folder.provides("torch"):
            library = folder.at("torch", "lib")
            for name in sorted(names_in(library)):
                match = re.match(r"libcudnn[^.]*\.so\.(\d[\d.]*)$|cudnn64_(\d+)\.dll$", name)
                if match:
                    version = match.group(1) or match.group(2)
                    found.append({"path": os.path.join(library, name), "version": version, "brought_by": "torch"})
                    break
    return found


# -------------------------------------------------------------------------------------------------------------- conda


def conda():
    """Conda packages of interest, from the names of the files in conda-meta; the channel from the file itself."""
    place = os.path.join(sys.prefix, "conda-meta")
    found = []
    for name in sorted(names_in(place)):
        parts = name[: -len(".json")].rsplit("-", 2) if name.endswith(".json") else ()
        if len(parts) == 3 and _CONDA.match(parts[0]):
            match = re.search(r'"channel" *: *"([^"\\]{1,300})"', read(os.path.join(place, name), 1 << 16) or "")
            channel = match.group(1) if match else None
            found.append({"name": parts[0], "version": parts[1], "build": parts[2], "channel": _channel(channel)})
    return found


def _channel(address):
    """``conda-forge`` of ``https://conda.anaconda.org/conda-forge/linux-64``; credentials never leave."""
    if address is None:
        return None
    parts = [part for part in re.sub(r"^[a-z0-9+]+://[^/]*", "", address).split("/") if part and part != "t"]
    parts = [part for part in parts if not re.match(r"(?:linux|osx|win)-\w+$|noarch$", part)]
    return parts[-1] if parts else None


# -------------------------------------------------------------------------------------------------------- the answer


def answer():
    """Everything, each part by itself: what breaks one part is told in ``broken`` and leaves the others."""
    result = {"broken": {}}
    _part(result, "interpreter", interpreter)
    _part(result, "markers", markers)
    _part(result, "conda", conda)
    found = _part(result, "folders", folders)
    both = _part(result, "packages", lambda: packages(found), found is None)
    rows = both[0] if both else None
    result["packages"], result["total"] = both or (None, None)
    _part(result, "pip", lambda: any(one.provides("pip") for one in found), found is None)
    _part(result, "orphans", lambda: orphans(found, rows), rows is None)
    _part(result, "shadows", lambda: shadows(found, rows), rows is None)
    _part(result, "standard_shadows", lambda: standard_shadows(found), found is None)
    _part(result, "texts", lambda: framework_texts(found), found is None)
    _part(result, "cudnn", lambda: cudnn(found, rows), rows is None)
    result["unreadable"] = [[one.path, one.error] for one in found or () if one.error and one.entry != ""]
    del result["folders"]
    return result


def _part(result, name, function, lacks_its_base=False):
    try:
        result[name] = None if lacks_its_base else function()
    except Exception as error:  # one line in the answer; the parent makes it a Missing
        result[name] = None
        result["broken"][name] = words(error)
    if lacks_its_base:
        result["broken"][name] = "; ".join(sorted(set(result["broken"].values()))) or "nothing to go by"
    return result[name]


def clean(value):
    """The value with bytes that are no UTF-8 (lone surrogates in paths) replaced, so that any reader takes it."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [clean(item) for item in value]
    return value


def main():
    """Answer and leave at once: hooks that run at exit are not ours. File descriptor 1 is what the parent reads."""
    data = ("\n" + MARK + json.dumps(clean(answer())) + "\n").encode("ascii")
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):
        data = b"\n" + data  # a hook replaced or closed it
    while data:
        data = data[os.write(1, data) :]
    os._exit(0)


if __name__ == "__main__":
    main()
