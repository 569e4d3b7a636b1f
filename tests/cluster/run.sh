#!/bin/bash
# A small sweep through a real Slurm on this machine, with a job cancelled and another killed on the way, gives the same
# bytes as without Slurm. Installs what is missing (as root, by apt), stops all that it started. Some two minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
make --no-print-directory install
exec tests/cluster/with_slurm.sh .venv/bin/python tests/cluster/check.py
