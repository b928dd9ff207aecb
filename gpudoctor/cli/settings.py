"""The project's configuration, for the commands: what is wrong with it is wrong usage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from gpudoctor import config
from gpudoctor.cli.options import FailOn, Framework
from gpudoctor.config import Config, ConfigError
from gpudoctor.facts import FrameworkName


def configured() -> Config:
    """The configuration that holds in the working directory. Raises typer.BadParameter."""
    try:
        return config.load(Path.cwd(), _home())
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # no HOME and no entry in the user database, as in some containers
        return None


def threshold(option: FailOn | None, settings: Config) -> FailOn:
    """From which severity the exit code is 1: the option's word, else the configuration's, else an error's."""
    return option or FailOn(settings.fail_on or "error")


def required(option: Iterable[Framework] | None, settings: Config) -> tuple[FrameworkName, ...]:
    """The frameworks that must work here: the option's, else the configuration's."""
    return tuple(dict.fromkeys([one.value for one in option or ()] or settings.framework))


def silenced(option: Iterable[str], settings: Config) -> Mapping[str, str]:
    """The rules to silence, each with where that was said. Raises typer.BadParameter for an unknown name."""
    option = tuple(option)
    if not option and not settings.ignore:
        return {}
    from gpudoctor import plugins, rules

    try:
        return config.silenced(option, settings, (*rules.names(), *plugins.rule_names()))
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
