"""A fault code in words: the part, and how it fails."""

import pytest

from contract.fault_texts import fault_text


@pytest.mark.parametrize(
    ("spn", "fmi", "text"),
    [
        (110, 0, "engine coolant temperature: far too high"),
        (100, 1, "engine oil pressure: far too low"),
        (651, 5, "injector of cylinder 1: current too low or an open circuit"),
        (1569, 31, "engine torque is reduced: present"),
        (520_192, 3, "SPN 520192: voltage too high or shorted to a supply"),
        (100, 25, "engine oil pressure: FMI 25"),
    ],
)
def test_a_code_is_told_in_words(spn: int, fmi: int, text: str) -> None:
    """An unlisted part and a reserved failure mode keep their numbers."""
    assert fault_text(spn, fmi) == text


def test_severities_are_told_apart() -> None:
    """The standard's three grades above and below normal have six different texts."""
    assert len({fault_text(110, fmi) for fmi in (0, 1, 15, 16, 17, 18)}) == 6
