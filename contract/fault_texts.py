"""What a J1939 fault code says in words: the SPN names the part, the FMI says how it fails.

The failure modes are all those of SAE J1939-73; of the thousands of parameters those stand here that Milepost reads
itself or that trucks report often. The words are our own: the standard's lists may not be copied.
"""

_PARTS = {
    84: "vehicle speed", 91: "accelerator pedal", 94: "fuel delivery pressure", 96: "fuel level", 97: "water in fuel",
    98: "engine oil level", 100: "engine oil pressure", 102: "boost pressure", 105: "intake air temperature",
    107: "air filter", 110: "engine coolant temperature", 111: "engine coolant level", 157: "injection rail pressure",
    158: "voltage at the ignition key", 161: "gearbox input shaft speed", 167: "charging voltage",
    168: "battery voltage", 171: "outside air temperature", 174: "fuel temperature", 175: "engine oil temperature",
    177: "gearbox oil temperature", 183: "fuel rate", 190: "engine speed", 191: "gearbox output shaft speed",
    241: "tyre pressure", 245: "distance travelled", 247: "engine hours", 250: "fuel used",
    412: "exhaust recirculation temperature", 521: "brake pedal", 609: "controller 2", 627: "power supply",
    629: "controller 1", 639: "J1939 network", 641: "turbocharger actuator", 651: "injector of cylinder 1",
    652: "injector of cylinder 2", 653: "injector of cylinder 3", 654: "injector of cylinder 4",
    655: "injector of cylinder 5", 656: "injector of cylinder 6", 980: "power take-off switch",
    1127: "turbocharger boost pressure", 1209: "exhaust pressure", 1569: "engine torque is reduced",
    1761: "exhaust fluid level", 2791: "exhaust recirculation valve", 3031: "exhaust fluid temperature",
    3216: "nitrogen oxides before the catalyst", 3226: "nitrogen oxides after the catalyst",
    3251: "particulate filter, pressure across", 3361: "exhaust fluid dosing", 3364: "exhaust fluid quality",
    3719: "particulate filter, soot", 4364: "catalyst efficiency", 5246: "exhaust fluid, engine is being limited",
}  # fmt: skip

_FAILURES = {
    0: "far too high", 1: "far too low", 2: "erratic or wrong data", 3: "voltage too high or shorted to a supply",
    4: "voltage too low or shorted to ground", 5: "current too low or an open circuit",
    6: "current too high or a grounded circuit", 7: "mechanical part does not respond or is out of adjustment",
    8: "wrong frequency or pulse width", 9: "updated at a wrong rate", 10: "changes too fast",
    11: "cause not known", 12: "device or component is bad", 13: "out of calibration",
    14: "see the maker's instructions", 15: "slightly too high", 16: "too high", 17: "slightly too low", 18: "too low",
    19: "wrong data from the network", 20: "drifted high", 21: "drifted low", 31: "present",
}  # fmt: skip


def fault_text(spn: int, fmi: int) -> str:
    """A fault in words, for people.

    Args:
        spn: the suspect parameter number, 0 … 524 287.
        fmi: the failure mode identifier, 0 … 31.

    Returns:
        `engine coolant temperature: too high`; of a part that is not listed here `SPN 1234: too high`, of a reserved
        failure mode `engine oil pressure: FMI 25`.
    """
    return f"{_PARTS.get(spn, f'SPN {spn}')}: {_FAILURES.get(fmi, f'FMI {fmi}')}"
