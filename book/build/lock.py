"""Write the lock: python book/build/lock.py, by a Python that has pip and uv (`make lock`).

requirements.txt has every package that pyproject.toml leads to, pip included, at one version, with the checksum of each
of its files: for Python 3.11 and later, on Linux, macOS and Windows. Versions stay as they are where they still fit;
remove the file first to have the newest. For torch the CPU wheel that pip finds here is allowed besides the index's;
requirements-cpu.txt names it alone, for who wants no other. What the index's wheel needs on Linux, CUDA, is in
requirements-cuda.txt. That is a file of constraints: pip takes a package from it only if torch's wheel asks for it.
"""

import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT, LOCK = Path("pyproject.toml"), Path("requirements.txt")
CPU, CUDA = Path("requirements-cpu.txt"), Path("requirements-cuda.txt")
FLOOR = "3.11.5"  # find_python.sh has it too
HEADER = (
    "# The lock: every package at one version, with its files' checksums. Written by `make lock` from pyproject.toml."
)
CPU_HEADER = "# torch's CPU wheel, which `make install` takes where pip finds it. Written by `make lock`."
CUDA_HEADER = (
    "# Constraints: what torch's wheel with CUDA needs besides. Written by `make lock`; requirements.txt reads it."
)


def pins(text):
    """The requirements of a lock: dict of str, the text of each with its checksums by name and marker."""
    return {block.split(" \\")[0]: block for block in re.findall(r"^[\w.-]+==(?:.*\\\n)*.*", text, re.MULTILINE)}


def cpu_wheel(folder):
    """Download torch's CPU wheel: path. Exits if pip finds none, which has CUDA, for this system and Python."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    needs = (project["dependencies"], *project["optional-dependencies"].values())
    wanted = next(need for part in needs for need in part if need.startswith("torch=="))
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", folder]
    subprocess.run([*command, f"{wanted}+cpu"], check=True)
    return next(Path(folder).glob("torch-*.whl"))


def needs(wheel):
    """What a wheel needs without its extras: list of str."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    return [need for need in metadata.get_all("Requires-Dist") if "extra ==" not in need]


def resolve(folder, kept, torch=None, within=()):
    """What uv makes of pyproject.toml, all extras and pip, with the versions of `kept` preferred: `pins`.

    torch : list of str, what torch is taken to need; by default what the index says
    within : requirements whose versions are the only ones allowed
    """
    folder = Path(folder)
    instead = f'[[tool.uv.dependency-metadata]]\nname = "torch"\nrequires-dist = {torch}\n' if torch else ""
    (folder / PROJECT).write_text(f"{PROJECT.read_text()}\n{instead}")
    (folder / LOCK).write_text("\n".join(kept.values()))
    (folder / "within.txt").write_text("\n".join(within))
    command = [sys.executable, "-m", "uv", "pip", "compile", "-q", PROJECT, "-", "--all-extras", "-c", "within.txt"]
    command += [
        "--universal",
        "--python-version",
        FLOOR,
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
        "-o",
        LOCK,
    ]
    subprocess.run(command, cwd=folder, input="pip\n", text=True, check=True)
    return pins((folder / LOCK).read_text())


def main():
    """Write the three files, or none if something fails."""
    kept = {name: pin for file in (LOCK, CUDA) if file.exists() for name, pin in pins(file.read_text()).items()}
    with TemporaryDirectory() as folder:
        wheel = cpu_wheel(folder)
        lock = resolve(folder, kept, torch=needs(wheel))
        cuda = resolve(folder, kept | lock, within=lock)
        own = sha256(wheel.read_bytes()).hexdigest()
    names = {pin.partition("==")[0] for pin in lock}
    at = next(pin for pin in lock if pin.startswith("torch=="))
    lock[at] += f" \\\n    --hash=sha256:{own}"
    here = f"sys_platform == 'linux' and python_version == '{sys.version_info[0]}.{sys.version_info[1]}'"
    CPU.write_text(f"{CPU_HEADER}\n{at}+cpu ; {here} \\\n    --hash=sha256:{own}\n")
    LOCK.write_text("\n".join([HEADER, f"-c {CUDA}", *lock.values(), ""]))
    CUDA.write_text("\n".join([CUDA_HEADER, *(cuda[pin] for pin in cuda if pin.partition("==")[0] not in names), ""]))


if __name__ == "__main__":
    main()
