"""Remedies become fixes: the exact commands for this machine, where they run, their risk, how to verify.

Everything that depends on the place is decided here and nowhere else: no driver is installed from inside a container
or WSL, no driver is named that dropped the GPU, a Python that its distribution manages gets a virtual environment
first, and a conda environment is changed with conda. A value enters a command only if it parses as what it claims.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpudoctor import remedies as r
from gpudoctor.facts import Facts
from gpudoctor.findings import Fix
from gpudoctor.matrix import Matrix
from gpudoctor.prescribe import container, driver, environment, packages
from gpudoctor.prescribe.place import Place

_PRESCRIPTIONS: dict[type[r.Remedy], Callable[[Any, Place], Fix]] = {
    r.InstallDriver: driver.install_driver,
    r.ReloadDriver: driver.reload_driver,
    r.LoadModule: driver.load_module,
    r.ReplaceNouveau: driver.replace_nouveau,
    r.CreateDeviceNodes: driver.create_nodes,
    r.GiveContainerGpu: container.give_container_gpu,
    r.SetVariable: environment.set_variable,
    r.InstallCompiler: environment.install_compiler,
    r.UseWsl: environment.use_wsl,
    r.Run: environment.run,
    r.InstallBuild: packages.install_build,
    r.InstallPackages: packages.install_packages,
    r.UninstallPackages: packages.uninstall_packages,
}


def prescribe(remedy: r.Remedy, facts: Facts, matrix: Matrix) -> Fix:
    """The fix for this machine. A command that cannot be complete is left out, and the note says what to do."""
    return _PRESCRIPTIONS[type(remedy)](remedy, Place(facts, matrix))
