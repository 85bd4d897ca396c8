"""How the pure rooms make classes of values. Apart, because it must not be compiled itself."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a class of values that come by the thousand: nothing may change one.

    The type checker sees to that; at run time a frozen dataclass costs five times as much to make.
    """
    return dataclass(slots=True)(cls)
