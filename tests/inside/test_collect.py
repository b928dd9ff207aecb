"""What inside/collect.py answers, in every interpreter of this machine and in environments made of text."""

from __future__ import annotations

import ast
import builtins
import glob
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.children import BOOTSTRAP, MARK, Child, Ending, Limits
from tests.lab.drivers.build import compiler
from tests.lab.drivers.needs import need_compiler
from tests.made_environment import Made, install, install_cuda_torch, make, put, tensorflow_files, torch_files

SOURCE = Path(__file__).parents[2] / "gpudoctor" / "inside" / "collect.py"
PROGRAM = SOURCE.read_text("ascii")


def ask(python: str, cwd: Path, **environ: str) -> tuple[list[dict[str, Any]], Ending]:
    """The messages of an interpreter that runs the script in a folder, and how it ended."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables |= {"PYTHONDONTWRITEBYTECODE": "1", **environ}
    argv = [python, "-c", BOOTSTRAP]
    with Child(argv, program=PROGRAM, environ=variables, limits=Limits.within(60), cwd=str(cwd)) as child:
        return list(child.messages()), child.ending()


def answer(made: Made, cwd: Path, **environ: str) -> dict[str, Any]:
    """The one answer of an environment."""
    messages, ending = ask(made.python, cwd, **environ)
    assert (len(messages), ending.code) == (1, 0), ending
    return messages[0]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """An empty environment."""
    return make(tmp_path / "environment")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An empty working directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def names(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Names and versions of packages."""
    return [(row["name"], row["version"]) for row in rows]


# ------------------------------------------------------------------------------------------------------ the source


def test_the_source_is_ascii_and_parses_as_python_3_6() -> None:
    ast.parse(PROGRAM, feature_version=(3, 6))


def test_the_mark_is_that_of_the_protocol() -> None:
    assert module().MARK == MARK


def test_it_imports_the_standard_library_only_and_nothing_before_the_path_is_clean() -> None:
    tree = ast.parse(PROGRAM)
    imported = [
        (node.lineno, alias.name) for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    ]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    lift = next(n.lineno for n in tree.body if isinstance(n, ast.If) and "_lift()" in ast.unparse(n))
    assert {name for line, name in imported if line < lift} == {"sys"}
    assert {name for _, name in imported} <= set(sys.stdlib_module_names)


def module() -> ModuleType:
    """The script as a module of ours, for its pure parts."""
    spec = importlib.util.spec_from_file_location("collect_under_test", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


# ------------------------------------------------------------------------------------------------- every interpreter


def interpreters() -> dict[str, str]:
    """Every Python of this machine by version: on PATH, and those that pyenv keeps."""
    found: dict[str, str] = {}
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    candidates = [*sorted(glob.glob(f"{pyenv}/versions/*/bin/python")), sys.executable]
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidates += sorted(glob.glob(f"{folder}/python[23]")) + sorted(glob.glob(f"{folder}/python3.[0-9]*"))
    for path in candidates:
        if os.access(path, os.X_OK) and not path.endswith("-config"):
            version = said_by(path, "import sys;print('%d.%d.%d'%sys.version_info[:3])")
            if version:
                found.setdefault(version, path)
    return found


def said_by(python: str, program: str) -> str | None:
    """What a program prints in that interpreter; None where it is none (a shim without its Python)."""
    try:
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


INTERPRETERS = interpreters()
NEW = {version: path for version, path in INTERPRETERS.items() if tuple(map(int, version.split(".")))[:2] >= (3, 6)}
OLD = {version: path for version, path in INTERPRETERS.items() if version not in NEW}


@pytest.mark.parametrize("version", sorted(NEW))
def test_every_interpreter_answers_whole_and_says_of_itself_what_it_is(version: str, here: Path) -> None:
    messages, ending = ask(NEW[version], here)
    assert (len(messages), ending.code, ending.tail) == (1, 0, ())
    said = messages[0]
    assert said["broken"] == {}
    truth = json.loads(
        said_by(
            NEW[version],
            "import sys,json,platform,sysconfig,site;print(json.dumps([sys.prefix,sys.base_prefix,platform.machine(),"
            "platform.python_implementation(),sysconfig.get_platform(),platform.python_version(),sys.executable]))",
        )
        or "[]"
    )
    own = said["interpreter"]
    assert [
        own["prefix"],
        own["base_prefix"],
        own["machine"],
        said["markers"]["platform_python_implementation"],
        own["platform"],
        said["markers"]["python_full_version"],
        own["executable"],
    ] == truth
    assert own["path"][0] == ""
    assert own["bits"] == (64 if sys.maxsize > 2**32 else 32)


@pytest.mark.parametrize("version", sorted(NEW))
def test_every_interpreter_sees_the_same_packages(version: str, here: Path, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    install_cuda_torch(site)
    messages, _ = ask(NEW[version], here, PYTHONPATH=str(site))
    rows = [row for row in messages[0]["packages"] if row["location"] == str(site)]
    assert names(rows) == [("torch", "2.7.1+cu126")]
    text = next(text for text in messages[0]["texts"]["torch"] if text["location"] == str(site))
    assert text["says"]["cuda"] == "12.6"
    assert text["targets"] == ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]


@pytest.mark.parametrize("version", sorted(OLD) or [pytest.param("none", marks=pytest.mark.skip("no older Python"))])
def test_an_older_python_says_its_version_and_ends_well(version: str, here: Path) -> None:
    messages, ending = ask(OLD[version], here)
    assert (messages, ending.code, ending.tail) == ([{"too_old": version, "executable": ""}], 0, ())


# ------------------------------------------------------------------------------- what stands in the way must not hurt

HOSTILE = "raise SystemExit('a local file was imported')\n"
NEEDED = ("json.py", "re.py", "ast.py", "mmap.py", "sysconfig.py", "site.py", "torch.py", "os.py", "contextlib.py")


def test_local_files_in_the_working_directory_are_told_and_not_imported(made: Made, here: Path) -> None:
    install_cuda_torch(made.site)
    clean = answer(made, here)
    put(here, dict.fromkeys(NEEDED, HOSTILE))
    said = answer(made, here)
    assert said["shadows"] == [str(here / "torch.py")]
    assert {str(here / name) for name in ("json.py", "ast.py", "mmap.py")} <= set(said["standard_shadows"])
    assert str(here / "os.py") not in said["standard_shadows"], "imported at every start: cannot be hidden"
    assert {**said, "shadows": [], "standard_shadows": []} == clean


def test_local_files_on_pythonpath_are_told_and_not_imported(made: Made, here: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    put(local, dict.fromkeys(("json.py", "ast.py", "mmap.py", "torch.py"), HOSTILE))
    said = answer(made, here, PYTHONPATH=str(local))
    assert said["broken"] == {}
    assert said["shadows"] == [str(local / "torch.py")]
    assert said["standard_shadows"] == [str(local / name) for name in ("ast.py", "json.py", "mmap.py")]
    assert said["interpreter"]["path"][:2] == ["", str(local)]


def test_a_file_that_no_framework_imports_is_no_shadow(made: Made, here: Path) -> None:
    put(here, {"test.py": HOSTILE, "train.py": HOSTILE, "data/x.txt": ""})
    said = answer(made, here)
    assert (said["shadows"], said["standard_shadows"]) == ([], [])


CHATTER = {
    "prints lines": "print('hello from the site hook')",
    "prints without a final newline": "import sys; sys.stdout.write('no newline'); sys.stdout.flush()",
    "leaves text in the buffer": "import sys; sys.stdout.write('buffered')",
    "prints what looks like the mark": "print('@gpudoctor not json'); print('{\"broken\": 1}')",
    "replaces standard output": "import sys, io; sys.stdout = io.StringIO()",
    "closes standard output": "import sys; sys.stdout.close()",
    "loses standard output": "import sys; sys.stdout = None",
    "sleeps at exit": "import atexit, time; atexit.register(time.sleep, 600)",
    "starts a thread": "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
    "brings its own json": "import sys; sys.modules['json'] = m = type(sys)('json'); m.__file__ = '/x.py'",
    "fails": "raise RuntimeError('from the site hook')",
    "warns": "import warnings; warnings.warn('from the site hook')",
}


@pytest.mark.parametrize("what", sorted(CHATTER))
@pytest.mark.parametrize("hook", ["sitecustomize", "a .pth file"])
def test_a_site_hook_changes_nothing(what: str, hook: str, made: Made, here: Path) -> None:
    install_cuda_torch(made.site)
    clean = answer(made, here)
    if hook == "sitecustomize":
        put(made.site, {"sitecustomize.py": CHATTER[what]})
    else:
        put(made.site, {"hook.py": CHATTER[what], "hook.pth": "import hook\n"})
    said = answer(made, here)
    assert said == clean


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONSAFEPATH": "1"},
        {"PYTHONWARNINGS": "error"},
        {"PYTHONVERBOSE": "1"},
        {"PYTHONDEVMODE": "1"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONUTF8": "0", "LC_ALL": "C"},
        {"PYTHONNOUSERSITE": "1"},
        {"PYTHONOPTIMIZE": "2"},
    ],
    ids=str,
)
def test_variables_of_the_interpreter_do_not_stop_it(variables: dict[str, str], made: Made, here: Path) -> None:
    install_cuda_torch(made.site)
    said = answer(made, here, **variables)
    assert (said["broken"], names(said["packages"])) == ({}, [("torch", "2.7.1+cu126")])


def test_a_working_directory_that_was_removed_hides_nothing(made: Made, here: Path) -> None:
    install_cuda_torch(made.site)
    clean = answer(made, here)
    program = f'cd {here} && rmdir {here} && exec {made.python} -c "$0"'
    variables = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    argv = ["sh", "-c", program, BOOTSTRAP]
    with Child(argv, program=PROGRAM, environ=variables, limits=Limits.within(60)) as child:
        messages = list(child.messages())
    assert messages[0]["packages"] == clean["packages"]
    assert messages[0]["broken"] == {}


def test_names_that_are_no_utf8_arrive_as_text(made: Made, here: Path) -> None:
    folder = os.fsencode(here) + b"/caf\xe9"
    os.mkdir(folder)
    messages, _ = ask(made.python, here, PYTHONPATH=os.fsdecode(folder))
    assert messages[0]["broken"] == {}
    assert str(here / "caf�") in messages[0]["interpreter"]["path"]


def test_it_leaves_no_file(made: Made, here: Path, tmp_path: Path) -> None:
    install_cuda_torch(made.site)
    before = sorted(tmp_path.rglob("*"))
    answer(made, here, HOME=str(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


# ------------------------------------------------------------------------------------------------------ the packages


def test_a_package_is_told_from_its_own_files(made: Made, here: Path) -> None:
    install_cuda_torch(made.site)
    assert answer(made, here)["packages"] == [
        {
            "name": "torch",
            "version": "2.7.1+cu126",
            "location": str(made.site),
            "info": "torch-2.7.1+cu126.dist-info",
            "installer": "pip",
            "requires": [
                'nvidia-cudnn-cu12==9.5.1.17; platform_system == "Linux"',
                'nvidia-cublas-cu12==12.6.4.1; platform_system == "Linux"',
                'nvidia-nccl-cu12==2.26.2; platform_system == "Linux"',
                'triton==3.3.1; platform_system == "Linux"',
            ],
            "tags": ["cp311-cp311-manylinux_2_28_x86_64"],
            "metadata": True,
            "requires_python": ">=3.9.0",
            "editable": False,
            "from_vcs": False,
            "source_path": None,
            "missing_files": 0,
            "damaged": [],
            "owns": ["torch"],
            "error": None,
        }
    ]


def test_all_packages_are_counted_and_those_of_gpu_computing_told(made: Made, here: Path) -> None:
    told = ("jax-cuda12-plugin", "nvidia-cublas", "nvidia-cudnn-cu13", "cupy-cuda12x", "tf-nightly", "onnxruntime-gpu")
    for name in (*told, "requests", "pandas", "my-torch", "torchmetrics"):
        made.install(name, "1.0")
    said = answer(made, here)
    assert said["total"] == 10
    assert {row["name"] for row in said["packages"]} == set(told)


def test_a_description_is_no_metadata(made: Made, here: Path) -> None:
    made.install("torch", "2.7.1", description="Requires-Dist: nvidia-cudnn-cu12==1\nVersion: 9\n")
    row = answer(made, here)["packages"][0]
    assert (row["version"], row["requires"]) == ("2.7.1", [])


def test_copies_come_in_the_order_of_sys_path(made: Made, here: Path, tmp_path: Path) -> None:
    with (made.root / "pyvenv.cfg").open("w") as file:
        file.write(f"home = {Path(os.path.realpath(sys.executable)).parent}\ninclude-system-site-packages = true\n")
    user = tmp_path / "user"
    minor = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    user_site = user / "lib" / minor / "site-packages"
    front = tmp_path / "front"
    install(user_site, "torch", "2.1.0", files=torch_files("2.1.0", None))
    made.install("torch", "2.7.1", files=torch_files("2.7.1", None))
    install(front, "torch", "2.5.0", files=torch_files("2.5.0", None))
    said = answer(made, here, PYTHONPATH=str(front), PYTHONUSERBASE=str(user))
    found = [(row["version"], row["location"]) for row in said["packages"] if row["name"] == "torch"]
    assert found[:3] == [("2.5.0", str(front)), ("2.7.1", str(made.site)), ("2.1.0", str(user_site))]
    assert said["interpreter"]["user_site"] == str(user_site)


def test_a_folder_reached_twice_is_one_copy(made: Made, here: Path, tmp_path: Path) -> None:
    install_cuda_torch(made.site)
    (tmp_path / "lib64").symlink_to(made.site)
    said = answer(made, here, PYTHONPATH=os.pathsep.join([str(tmp_path / "lib64"), str(made.site)]))
    assert names(said["packages"]) == [("torch", "2.7.1+cu126")]


def test_files_that_are_gone_are_counted(made: Made, here: Path) -> None:
    files = {"nvidia/cudnn/lib/libcudnn.so.9": "", "nvidia/cudnn/lib/libcudnn_ops.so.9": "", "nvidia/x.h": ""}
    made.install("nvidia-cudnn-cu12", "9.5.1.17", files=files)
    (made.site / "nvidia/cudnn/lib/libcudnn.so.9").unlink()
    (made.site / "nvidia/x.h").unlink()
    said = answer(made, here)
    assert [row["missing_files"] for row in said["packages"]] == [1]
    place = str(made.site / "nvidia/cudnn")
    assert said["cudnn"] == [{"path": place, "version": "9.5.1.17", "brought_by": "nvidia-cudnn-cu12"}]


def test_code_that_is_gone_and_libraries_that_end_too_early_are_named_but_for_tests(made: Made, here: Path) -> None:
    names = ["torch/_C.so", "torch/lib/libc10.so", "torch/nn.py", "torch/tests/test_nn.py", "torch/patched.so"]
    info = made.install("torch", "2.7.1", files=dict.fromkeys(names, "0123456789"))
    (info / "RECORD").write_text("".join(f"{name},sha256=x,10\n" for name in names))
    (made.site / "torch/lib/libc10.so").write_text("01234")
    (made.site / "torch/patched.so").write_text("0123456789abc")
    (made.site / "torch/nn.py").unlink()
    (made.site / "torch/tests/test_nn.py").unlink()
    (row,) = answer(made, here)["packages"]
    assert (row["damaged"], row["missing_files"]) == (["torch/lib/libc10.so", "torch/nn.py"], 2)


def test_cudnn_inside_an_old_torch_wheel_is_told(made: Made, here: Path) -> None:
    made.install("torch", "2.0.1", files={**torch_files("2.0.1+cu118", "11.8"), "torch/lib/libcudnn.so.8": ""})
    expected = {"path": str(made.site / "torch/lib/libcudnn.so.8"), "version": "8", "brought_by": "torch"}
    assert answer(made, here)["cudnn"] == [expected]


def test_an_editable_installation_is_no_shadow(made: Made, here: Path, tmp_path: Path) -> None:
    source = tmp_path / "pytorch"
    put(source, torch_files("2.9.0a0+git1234567", None))
    url = json.dumps({"url": f"file://{source}", "dir_info": {"editable": True}})
    made.install("torch", "2.9.0a0+git1234567", direct_url=url)
    put(made.site, {"__editable__.torch.pth": f"{source}\n"})
    said = answer(made, source)
    row = said["packages"][0]
    assert (row["editable"], row["from_vcs"], row["source_path"]) == (True, True, str(source))
    assert said["shadows"] == []
    assert [text["location"] for text in said["texts"]["torch"]] == [str(source)]


def test_old_metadata_formats_are_read(made: Made, here: Path, tmp_path: Path) -> None:
    put(made.site, {"numpy-1.24.2-py3.11.egg-info": "Metadata-Version: 1.1\nName: numpy\nVersion: 1.24.2\n"})
    put(made.site, {"torch-1.2.0-py3.11.egg-info/PKG-INFO": "Name: torch\nVersion: 1.2.0\n", "torch/__init__.py": ""})
    egg = tmp_path / "jax-0.2.0-py3.11.egg"
    put(egg, {"EGG-INFO/PKG-INFO": "Name: jax\nVersion: 0.2.0\n", "jax/__init__.py": ""})
    put(made.site, {"easy-install.pth": f"{egg}\n"})
    said = answer(made, here)
    assert names(said["packages"]) == [("numpy", "1.24.2"), ("torch", "1.2.0"), ("jax", "0.2.0")]
    assert said["orphans"] == []


def test_half_removed_packages_are_told(made: Made, here: Path) -> None:
    put(made.site, torch_files("2.7.1", None))
    put(made.site, {"numpy/core/leftover.so": "", "~orch/lib/x.so": "", "~umpy-2.0.dist-info/METADATA": ""})
    put(made.site, {"~": "", "~elf/x": ""})
    made.install("keras", "3.0", files={"keras/__init__.py": ""})
    said = answer(made, here)
    assert [(row["name"], row["module"], row["kind"]) for row in said["orphans"]] == [
        ("numpy", "numpy", "namespace"),
        ("torch", "torch", "package"),
        ("~orch", "~orch", "left over by pip"),
        ("~umpy-2.0.dist-info", "~umpy-2.0.dist-info", "left over by pip"),
    ]
    assert names(said["packages"]) == [("keras", "3.0")]
    assert (said["total"], said["shadows"]) == (1, [])


def test_damaged_metadata_is_one_packages_own_affair(made: Made, here: Path) -> None:
    put(made.site, {"torch-2.7.1.dist-info/RECORD": b"\xff\xfe\0,,\n\n", "jax-1.dist-info/METADATA": b"\0\xff" * 99})
    (made.site / "numpy-2.0.dist-info").mkdir()
    (made.site / "keras-3.0.dist-info" / "METADATA").mkdir(parents=True)
    put(made.site, {"triton-3.0.dist-info/direct_url.json": "[1", "triton-3.0.dist-info/METADATA": "Version: 3.0\n"})
    said = answer(made, here)
    assert said["broken"] == {}
    expected = [("jax", "1"), ("keras", "3.0"), ("numpy", "2.0"), ("torch", "2.7.1"), ("triton", "3.0")]
    assert names(said["packages"]) == expected
    assert [row["error"] for row in said["packages"]] == [None, "Is a directory", None, None, None]


# ----------------------------------------------------------------------------------------------------------- shadows


def test_a_folder_of_that_name_hides_the_package_only_if_it_is_a_package(made: Made, here: Path) -> None:
    install_cuda_torch(made.site)
    put(here, {"torch/notes.txt": "", "numpy/__init__.py": ""})
    assert answer(made, here)["shadows"] == [str(here / "numpy")]


def test_a_folder_of_that_name_is_imported_where_nothing_else_is(made: Made, here: Path) -> None:
    put(here, {"tensorflow/notes.txt": ""})
    assert answer(made, here)["shadows"] == [str(here / "tensorflow")]


def test_a_source_tree_hides_the_installed_package(made: Made, here: Path) -> None:
    install_cuda_torch(made.site)
    put(here, torch_files("2.9.0a0+git1", None))
    assert answer(made, here)["shadows"] == [str(here / "torch")]


def test_metadata_in_the_working_directory_is_no_installation(made: Made, here: Path) -> None:
    put(here, {"torch.egg-info/PKG-INFO": "Name: torch\nVersion: 2.9.0a0\n", "torch/__init__.py": ""})
    said = answer(made, here)
    assert (said["packages"], said["total"], said["shadows"]) == ([], 0, [str(here / "torch")])


def test_a_build_on_pythonpath_that_hides_nothing_is_no_shadow(made: Made, here: Path, tmp_path: Path) -> None:
    put(tmp_path / "pytorch", torch_files("2.9.0a0+git1", None))
    assert answer(made, here, PYTHONPATH=str(tmp_path / "pytorch"))["shadows"] == []


def test_a_package_installed_into_a_folder_of_its_own_is_no_shadow(made: Made, here: Path, tmp_path: Path) -> None:
    install_cuda_torch(made.site)
    install_cuda_torch(tmp_path / "target", "2.6.0")
    assert answer(made, here, PYTHONPATH=str(tmp_path / "target"))["shadows"] == []


def test_the_working_directory_is_no_shadow_where_it_is_the_installation(made: Made) -> None:
    install_cuda_torch(made.site)
    said = answer(made, made.site)
    assert (said["shadows"], names(said["packages"])) == ([], [("torch", "2.7.1+cu126")])


# ------------------------------------------------------------------------------------------------ texts of the builds


def test_tensorflow_says_its_build(made: Made, here: Path) -> None:
    text = (
        "build_info = collections.OrderedDict([('cpu_compiler', '/usr/lib/llvm-18/bin/clang'), "
        "('cuda_compute_capabilities', ['sm_60', 'sm_70', 'sm_80', 'sm_89', 'compute_90']), "
        "('cuda_version', '12.5.1'), ('cudnn_version', '9'), ('is_cuda_build', True), "
        "('is_rocm_build', False), ('is_tensorrt_build', False)])"
    )
    made.install("tensorflow", "2.20.0", files=tensorflow_files(text))
    said = answer(made, here)
    assert said["packages"][0]["owns"] == ["tensorflow"]
    assert said["texts"]["tensorflow"] == [
        {
            "location": str(made.site),
            "kind": "package",
            "error": None,
            "says": {
                "cpu_compiler": "/usr/lib/llvm-18/bin/clang",
                "cuda_version": "12.5.1",
                "cudnn_version": "9",
                "is_cuda_build": True,
                "is_rocm_build": False,
                "is_tensorrt_build": False,
            },
            "targets": ["sm_60", "sm_70", "sm_80", "sm_89", "compute_90"],
        }
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("is_cuda_build = True\ncuda_version_number = '10.0'", {"is_cuda_build": True, "cuda_version_number": "10.0"}),
        ("build_info = {'is_cuda_build': False}", {"is_cuda_build": False}),
        ("build_info = make()", {}),
        ("build_info = collections.OrderedDict([('a', [1, 2]), (3, 'b')])", {"3": "b"}),
        ("build_info = (((", {}),
        ("", {}),
        ("build_info = " + "(" * 5000 + ")" * 5000, {}),
    ],
)
def test_other_forms_of_build_info_say_what_they_say(text: str, says: object, made: Made, here: Path) -> None:
    made.install("tensorflow", "2.0.0", files=tensorflow_files(text))
    said = answer(made, here)
    assert said["broken"] == {}
    assert [row["says"] for row in said["texts"]["tensorflow"]] == [says]


def test_a_version_file_is_read_and_not_run(made: Made, here: Path) -> None:
    lines = ("__version__ = '2.7.1'", "cuda = open('/etc/passwd').read()", "hip = 'x' 'y'", "debug = True")
    put(made.site, {"torch/__init__.py": "", "torch/version.py": "\n".join(lines)})
    assert answer(made, here)["texts"]["torch"][0]["says"] == {"__version__": "2.7.1", "hip": "xy", "debug": True}


collected = module()
flag = st.from_regex(r"(?:sm|compute)_[0-9]{2,3}[af]?", fullmatch=True)


@settings(deadline=None, max_examples=60)
@given(
    flags=st.lists(flag, min_size=2, max_size=20),
    separator=st.sampled_from([" ", ";"]),
    before=st.binary(max_size=300),
    after=st.binary(max_size=300),
)
def test_the_architecture_list_is_found_among_any_bytes(
    flags: list[str], separator: str, before: bytes, after: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    library = tmp_path_factory.mktemp("library") / "libtorch_python.so"
    library.write_bytes(before + b"\0" + separator.join(flags).encode() + b"\0" + after)
    assert collected.architecture_flags(str(library)) == flags


@pytest.mark.parametrize(
    ("data", "flags"),
    [
        (b"", []),
        (b"\0" * 5000, []),
        (b"\0sm_87\0", ["sm_87"]),
        (b"\0sm_80\0sm_90\0", []),
        (b"\0sm_80\0text\0sm_80 sm_90\0", ["sm_80", "sm_90"]),
        (b"\0sm_80 sm_90", []),
        (b"\0arch sm_80 sm_90 unsupported\0", []),
        (b"\0supported: sm_80 sm_90\0", []),
        (b"std::string ipc_hsm_70 sm_75 sm_80\0", ["sm_70", "sm_75", "sm_80"]),
        (b"std::string ipc_hsm_70\0", []),
        (b"\0gfx90a;gfx942:xnack-;gfx1100\0", ["gfx90a", "gfx942:xnack-", "gfx1100"]),
        (b"\0" + b"sm_80 " * 100_000, []),
        (b"\0sm_" * 100_000, []),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_only_a_whole_unmistakable_text_is_an_architecture_list(data: bytes, flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(data)
    assert collected.architecture_flags(str(tmp_path / "lib.so")) == flags


_NEAR_MISS = "sm_10 sm_20 sm_30 sm_40"  # as long as a list may be, and no list of this library: it is in its code


@pytest.mark.parametrize("flags", ["sm_80", "sm_80 sm_90 compute_90"])
def test_the_architecture_list_of_a_real_library_is_read_from_its_constants(flags: str, tmp_path: Path) -> None:
    need_compiler()
    source, library = tmp_path / "library.c", tmp_path / "libtorch_python.so"
    source.write_text(
        f'const char *architectures(void) {{ return "{flags}"; }}\n'
        f'__attribute__((section(".text"))) const char code[] = "\\0{_NEAR_MISS}";\n'
    )
    subprocess.run([*compiler(), "-shared", "-fPIC", "-w", "-o", library, source], check=True)
    assert _NEAR_MISS.encode() in library.read_bytes()
    assert collected.architecture_flags(str(library)) == flags.split()


@pytest.mark.parametrize("cut", [1, 7, 64, 200])
def test_a_library_that_was_cut_off_is_read_as_any_other_file(cut: int, tmp_path: Path) -> None:
    header = b"\x7fELF\x02\x01" + b"\xff" * cut
    (tmp_path / "lib.so").write_bytes(header + b"\0sm_80 sm_90\0")
    assert collected.architecture_flags(str(tmp_path / "lib.so")) == ["sm_80", "sm_90"]


# ------------------------------------------------------------------------------------------------------------- conda


def test_conda_packages_are_told_by_the_names_in_conda_meta(here: Path, tmp_path: Path) -> None:
    made = make(tmp_path / "environment")
    (made.root / "pyvenv.cfg").unlink()
    meta = {
        "pytorch-2.5.1-py3.11_cuda12.4_cudnn9.1.0_0.json": '{"build": "x", "channel": "https://conda.anaconda.org/pytorch/linux-64"}',
        "cuda-version-12.4-h3060b56_3.json": '{"channel": "https://user:secret@host/t/tk-secret/conda-forge/noarch"}',
        "cudnn-9.1.0.70-h1.json": "not json",
        "ca-certificates-2025.1-h0.json": "{}",
        "history": "",
    }
    put(made.root / "conda-meta", meta)
    said = run_with_prefix(made)
    assert said["conda"] == [
        {"name": "cuda-version", "version": "12.4", "build": "h3060b56_3", "channel": "conda-forge"},
        {"name": "cudnn", "version": "9.1.0.70", "build": "h1", "channel": None},
        {"name": "pytorch", "version": "2.5.1", "build": "py3.11_cuda12.4_cudnn9.1.0_0", "channel": "pytorch"},
    ]


def run_with_prefix(made: Made) -> dict[str, Any]:
    """The answer with sys.prefix moved: a conda environment has an interpreter of its own, which is not at hand."""
    before = sys.prefix
    sys.prefix = str(made.root)
    try:
        result: dict[str, Any] = collected.answer()
    finally:
        sys.prefix = before
    return result


# --------------------------------------------------------------------------------------------- cost and permissions


def test_a_thousand_packages_cost_one_listing_and_no_reading(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(1000):
        (made.site / f"package{index}-1.0.dist-info").mkdir()
    install_cuda_torch(made.site)
    opened, listed = counted(monkeypatch)
    monkeypatch.setattr(collected, "FULL_PATH", ["", str(made.site)])
    said = collected.answer()
    assert said["total"] == 1001
    assert len([path for path in opened if path.startswith(str(made.site))]) < 15
    assert listed.count(str(made.site)) == 1
    assert len(listed) < 15


def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """The paths that the script opens and lists from now on."""
    opened: list[str] = []
    listed: list[str] = []
    real_list, real_open = os.listdir, builtins.open

    def counting_list(path: str) -> list[str]:
        listed.append(path)
        return real_list(path)

    def counting_open(path: str, *more: Any) -> Any:
        opened.append(path)
        return real_open(path, *more)

    monkeypatch.setattr(collected.os, "listdir", counting_list)
    monkeypatch.setattr(collected, "open", counting_open, raising=False)
    return opened, listed


def refusing(part: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """A verb that is not permitted below a folder of that name."""

    def verb(path: str, *more: Any) -> Any:
        if part in str(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *more)

    return verb


def test_a_folder_that_may_not_be_listed_is_told(made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_cuda_torch(made.site)
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.setattr(collected, "FULL_PATH", ["", str(closed), str(made.site)])
    monkeypatch.setattr(collected.os, "listdir", refusing("closed", os.listdir))
    said = collected.answer()
    assert said["unreadable"] == [[str(closed), "Permission denied"]]
    assert names(said["packages"]) == [("torch", "2.7.1+cu126")]


def test_a_version_file_that_may_not_be_read_is_told(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    install_cuda_torch(made.site)
    monkeypatch.setattr(collected, "FULL_PATH", ["", str(made.site)])
    monkeypatch.setattr(collected, "open", refusing("version.py", open), raising=False)
    said = collected.answer()
    assert [text["error"] for text in said["texts"]["torch"]] == [
        f"Permission denied: {made.site / 'torch' / 'version.py'}"
    ]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_closed_site_folder_is_told_by_a_real_child(made: Made, here: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    said = answer(made, here, PYTHONPATH=str(closed))
    assert [path for path, _ in said["unreadable"]] == [str(closed)]


def test_a_part_that_breaks_is_told_and_takes_only_what_rests_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(collected, "packages", broken)
    said: Mapping[str, Any] = collected.answer()
    told = "ValueError: no such thing"
    assert said["broken"] == dict.fromkeys(("packages", "orphans", "shadows", "cudnn"), told)
    assert [said[name] for name in ("packages", "orphans", "shadows", "cudnn")] == [None] * 4
    assert said["interpreter"]["version"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert said["texts"] is not None


def test_a_python_that_its_distribution_manages_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(tmp_path, {"EXTERNALLY-MANAGED": "[externally-managed]\n"})
    monkeypatch.setattr(collected.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert collected.interpreter()["externally_managed"] is True
    (tmp_path / "EXTERNALLY-MANAGED").unlink()
    assert collected.interpreter()["externally_managed"] is False
