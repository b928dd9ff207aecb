"""The project's configuration, for the commands: what is wrong with it is wrong usage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from gpudoctor import config
from gpudoctor.config import Config, ConfigError


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
