"""Have an archive judged by an independent validator, off the network: python book/build/validate.py ARCHIVE.zip REPORT

The one address that the validator asks for, RO-Crate's JSON-LD context, is put into its cache as ro-crate-py ships it.
"""

import json
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from requests_cache import CachedRequest, CachedResponse, CachedSession
from rocrate_validator.models import ValidationSettings
from rocrate_validator.services import validate
from rocrate_validator.utils.http import HttpRequester

PROFILE = "ro-crate-1.3"  # what archive.py writes


def fill(cache):
    """Put RO-Crate's context into a cache of HTTP, a path without suffix."""
    content = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
    request = CachedRequest(method="GET", url=json.loads(content)["@id"])
    kind = {"Content-Type": "application/ld+json"}
    response = CachedResponse(url=request.url, request=request, content=content, headers=kind, status_code=200)
    with CachedSession(cache, backend="sqlite") as session:
        session.cache.save_response(response)


def judge(path):
    """What the validator finds in an archive by the requirements of `PROFILE`: its `ValidationResult`."""
    with TemporaryDirectory() as folder:
        cache = str(Path(folder, "http"))
        fill(cache)
        HttpRequester.reset()  # one for a process, with the first cache that it was given
        settings = dict(rocrate_uri=str(path), profile_identifier=PROFILE, requirement_severity="REQUIRED")
        return validate(ValidationSettings(**settings, offline=True, cache_path=cache))


def report(path):
    """The report on an archive: (whether it is valid, str of a few lines that name every fault)."""
    found = judge(path)
    faults = [f"{issue.check.identifier}  {issue.message}" for issue in found.get_issues()]
    lines = [
        f"archive    {Path(path).name}",
        f"validator  roc-validator {version('roc-validator')}",
        f"profile    {PROFILE}, all that it requires",
        f"checks     {len(found.executed_checks)} run, {len(found.failed_checks)} failed",
        f"verdict    {'valid' if found.passed() else 'not valid'}",
    ]
    return found.passed(), "\n".join([*lines, *faults, ""])


if __name__ == "__main__":
    valid, text = report(sys.argv[1])
    Path(sys.argv[2]).write_text(text, encoding="utf-8")
    sys.exit(0 if valid else text)
