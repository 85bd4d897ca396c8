"""Fetches the pinned front-end files of package.json into static/vendor (`make vendor`).

Needs npm and the network; the product does not. Standard library only. The icon sprite holds only
the icons package.json names, so a page costs one small file for all of them.
"""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
# The maps are not vendored; a dangling reference to one breaks hashed static file names.
SOURCE_MAP = re.compile(rb"\n?/\*# sourceMappingURL=[^*]*\*/\s*$")


def fetch(name: str, version: str, into: Path) -> Path:
    """Unpacks one npm package; returns its folder. Runs none of its scripts."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("make vendor needs npm on the PATH (the product itself does not).")
    packed = subprocess.run(
        [npm, "pack", "--silent", f"{name}@{version}"],
        cwd=into,
        check=True,
        capture_output=True,
        text=True,
    )
    folder = into / name.replace("/", "_")
    with tarfile.open(into / packed.stdout.split()[-1]) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def sprite(icons: Path, names: list[str]) -> str:
    """One SVG with a symbol per icon. Its drawing attributes come from our style sheet."""
    symbols = []
    for name in sorted(names):
        drawing = (icons / "icons" / "outline" / f"{name}.svg").read_text()
        body = drawing[drawing.index(">", drawing.index("<svg")) + 1 : drawing.rindex("</svg>")]
        body = re.sub(r'<path stroke="none" d="M0 0h24v24H0z" fill="none" ?/>', "", body)
        paths = "".join(line.strip() for line in body.splitlines())
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{paths}</symbol>')
    head = "<!-- Tabler Icons, MIT licence: see LICENSE beside this file -->"
    return f'{head}\n<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def main() -> None:
    """Copies what package.json's `vendor` names, then builds the sprite."""
    manifest = json.loads((ROOT / "package.json").read_text())
    with tempfile.TemporaryDirectory() as temporary:
        for name, version in manifest["dependencies"].items():
            package = fetch(name, version, Path(temporary))
            for source, target in manifest["vendor"][name].items():
                (VENDOR / target).parent.mkdir(parents=True, exist_ok=True)
                (VENDOR / target).write_bytes(SOURCE_MAP.sub(b"", (package / source).read_bytes()))
            if name == "@tabler/icons":
                (VENDOR / "icons" / "sprite.svg").write_text(sprite(package, manifest["icons"]))


if __name__ == "__main__":
    main()
