"""Policies of groups as hypothesis draws them: every parameter, any permitted value."""

from typing import Any

from hypothesis import strategies as st

from fleet.formats.policy import PARAMETERS, Kind, Parameter


def values_of(parameter: Parameter) -> st.SearchStrategy[Any]:
    """Any permitted value of one parameter, large numbers left out."""
    if parameter.kind is Kind.SWITCH:
        return st.booleans()
    if parameter.kind is Kind.CHOICE:
        return st.sampled_from(parameter.choices)
    return st.one_of(*(st.integers(low, min(high, 65535)) for low, high in parameter.ranges))


@st.composite
def policies(draw: Any, mode: str) -> dict[str, Any]:
    """A whole policy that a group of this mode may have."""
    drawn = {name: draw(values_of(parameter)) for name, parameter in PARAMETERS.items()}
    return drawn | ({"re_register_on": False} if mode == "fallback" else {})
