"""The installed Keras does not pair with the installed TensorFlow.

## What it means
TensorFlow 2.6 to 2.15 need the package keras of exactly their minor version; from 2.16 on, keras is Keras 3, and
programs for Keras 2 need tf-keras. TensorFlow up to 2.5 brings its own, and the package keras beside it must be of
its time. Otherwise imports fail: "No module named 'keras.src'", "cannot import name … from 'keras'", "Your currently
installed version of Keras is Keras 3".

## Why it happens
pip upgraded one of the two for another package; conda has no Keras where the build expects one; a program was written
for the other generation.

## How to fix
Install the Keras that belongs to this TensorFlow; for Keras 2 code on TensorFlow 2.16 and newer, tf-keras of the same
minor and TF_USE_LEGACY_KERAS=1.

## How it is detected
By TensorFlow's own requirement against the installed package, and by what programs say.

## Sources
- https://keras.io/getting_started/
- https://github.com/tensorflow/tensorflow/releases/tag/v2.16.1
"""

from __future__ import annotations

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Imported, Message, Packages
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.remedies import InstallPackages, Remedy
from gpudoctor.rules._texts import first_match, search

RULE = Rule(frameworks=("tensorflow",), without_gpu="none")

_FIRST_WITH_PACKAGE = Version("2.6")
_FIRST_WITH_KERAS_3 = Version("2.16")


@RULE.detector
def requirement_against_package(build: Build, packages: Packages, imported: Imported | None, matrix: Matrix) -> Verdict:
    """The Keras that the release requires against the one installed."""
    row = matrix.tensorflow(build.version)
    if isinstance(row, Unlisted):
        return NotJudged(row.sentence())
    wanted = _wanted(row.release)
    keras = packages.version("keras")
    if wanted is None:
        return NotApplicable(f"TensorFlow {row.release} brings its own Keras")
    if keras is None:
        return NotApplicable("the package keras is not listed")
    try:
        fits = SpecifierSet(wanted).contains(Version(keras), prereleases=True)
    except InvalidVersion:
        return NotJudged(f"keras {keras}: not a version")
    if fits:
        return Passed(f"keras {keras} pairs with TensorFlow {row.release}")
    works = imported is not None and imported.ok
    return Found(
        title=f"TensorFlow {build.version} needs keras {wanted}; {keras} is installed.",
        evidence=(cite("keras", keras, packages), cite("tensorflow", build.version, build)),
        remedies=(InstallPackages(requirements=(f"keras{wanted}",), title="Install the Keras of this TensorFlow"),),
        severity=Severity.WARNING if works else Severity.ERROR,
        confidence=Confidence.LIKELY,
    )


def _wanted(release: str) -> str | None:
    """The Keras of a release: the same minor from 2.6 to 2.15, Keras 3 after, none before."""
    version = Version(release)
    if version < _FIRST_WITH_PACKAGE:
        return None
    if version >= _FIRST_WITH_KERAS_3:
        return ">=3"
    return f">={version.major}.{version.minor},<{version.major}.{version.minor + 1}"


_KERAS_3 = (
    r"installed version of Keras is Keras 3, but this is not yet supported",
    r"No module named '?tf_keras'?",
    r"Keras cannot be imported\. Check that it is installed",
    r"tf\.keras.{0,60}requires? (?:the )?`?tf[-_]keras`?",
    r"`keras\.optimizers\.legacy` is not supported in Keras 3",
    r"Keras 3 only supports V3 `\.keras` files",
)
_PAIR = (
    (
        r"No module named '?keras\.(?:src|api|_tf_keras|legacy|engine|layers\.\w{1,30}|utils\.\w{1,30}"
        r"|saving\.\w{1,30})\S{0,60}'?"
    ),
    r"No module named '?tensorflow\.(?:python\.)?keras\S{0,60}'?",
    r"No module named '?keras'?(?![\w.])",
    r"cannot import name '\w{1,60}' from '(?:tensorflow\.(?:python\.)?)?keras[\w.]{0,60}'",
    # under the name that a program imported it by, or that of the module behind it
    r"module 'tensorflow(?:\._api\.v[12])?\.compat\.v2\.__internal__' has no attribute '\w{1,60}'",
    r"cannot import name '\w{1,60}' from 'tensorflow\.(?:python|compat)[\w.]{0,60}'",
    r"module 'tensorflow(?:\._api\.v[12])?\.compat\.v2' has no attribute '__internal__'",
    (
        r"module '(?:tensorflow\.python\.)?keras[\w.]{0,40}' has no attribute '(?:__version__|get_default_graph"
        r"|is_tensor|Model|layers|activations|optimizers)'"
    ),
    r"module 'tensorflow' has no attribute 'get_default_graph'",
    r"Keras requires TensorFlow 2\.2 or higher",
    r"could not load tf_utils|cannot import name 'tf_utils'",
    (
        r"tensorflow(?:-\w{2,8})? \d[\w.+]{2,30} requires keras[<>=!~][^,]{1,30}(?:,[<>=!~]{1,2}[\d.\w]{1,12})?, but "
        r"you have keras [\d.\w]{1,12} which is incompatible"
    ),
    r"AlreadyExistsError: Another metric with the same name already exists",
    r"keras\.engine\.\w{1,30} .{0,60}has no attribute",
)


@RULE.detector
def a_program_says_so(message: Message, build: Build | None, packages: Packages | None) -> Verdict:
    """An import between Keras and TensorFlow fails, or a program refuses the other generation."""
    generation = first_match(_KERAS_3, message.text)
    text = generation or first_match(_PAIR, message.text)
    if text is None or search(r"is not a package", message.text):
        return None
    keras = packages.version("keras") if packages else None
    if packages and packages.complete and keras is None and search(r"Keras cannot be imported", message.text):
        return _without_keras(text, message, build)
    return Found(
        title="The program or TensorFlow needs Keras 2, and Keras 3 is installed."
        if generation
        else "Keras and TensorFlow do not pair.",
        detail=text,
        evidence=(
            cite("message", text, message),
            *((cite("keras", keras, packages),) if packages and keras else ()),
            *((cite("tensorflow", build.version, build),) if build else ()),
        ),
        remedies=_remedies(build, bool(generation)),
        confidence=Confidence.CERTAIN if generation else Confidence.LIKELY,
    )


def _without_keras(text: str, message: Message, build: Build | None) -> Found:
    """TensorFlow says the same of a Keras that is not there at all."""
    return Found(
        title=f"TensorFlow{' ' + build.version if build else ''} needs Keras, which is not installed.",
        detail=text,
        evidence=(cite("message", text, message), *((cite("tensorflow", build.version, build),) if build else ())),
        remedies=_remedies(build, generation=False),
    )


def _remedies(build: Build | None, generation: bool) -> tuple[Remedy, ...]:
    try:
        version = Version(build.version) if build else None
    except InvalidVersion:
        version = None
    if version is None:
        return (InstallPackages(requirements=("tf-keras",)),) if generation else ()
    if generation and version >= _FIRST_WITH_KERAS_3:
        wanted = f"tf-keras>={version.major}.{version.minor},<{version.major}.{version.minor + 1}"
        return (InstallPackages(requirements=(wanted,), title="Install Keras 2 beside this TensorFlow"),)
    keras = _wanted(f"{version.major}.{version.minor}")
    return (
        (InstallPackages(requirements=(f"keras{keras}",), title="Install the Keras of this TensorFlow"),)
        if keras
        else ()
    )
