"""What pyproject.toml cannot say: the wheel carries a bill of materials (CycloneDX, in `.dist-info/sboms/`, PEP 770).

It lists the pins of requirements/standalone.txt, with their hashes: what `make demo` installs beside Milepost. The same
tree gives the same bytes.
"""

import json
import re
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel

ROOT = Path(__file__).resolve().parent
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill_of_materials(name, version):
    """A CycloneDX 1.6 document of the package and what is pinned for it."""
    components = []
    for line in (ROOT / "requirements" / "standalone.txt").read_text("utf-8").splitlines():
        if pin := _PIN.match(line):
            purl = f"pkg:pypi/{pin[1].lower().replace('_', '-')}@{pin[2]}"
            component = {"type": "library", "bom-ref": purl, "name": pin[1], "version": pin[2], "purl": purl}
            components.append({**component, "hashes": []})
        elif components:
            found = [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(line)]
            components[-1]["hashes"].extend(found)
    root = f"pkg:pypi/{name}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": root, "name": name, "version": version, "purl": root}
        },
        "components": components,
        "dependencies": [{"ref": root, "dependsOn": [one["bom-ref"] for one in components]}],
    }


class WheelWithBill(bdist_wheel):
    """Writes it before the wheel's RECORD is made."""

    def egg2dist(self, egginfo_path, distinfo_path):
        super().egg2dist(egginfo_path, distinfo_path)
        folder = Path(distinfo_path) / "sboms"
        folder.mkdir(parents=True, exist_ok=True)
        bill = bill_of_materials(self.distribution.get_name(), self.distribution.get_version())
        (folder / "milepost.cdx.json").write_text(json.dumps(bill, indent=1) + "\n", "utf-8")


setup(cmdclass={"bdist_wheel": WheelWithBill})
