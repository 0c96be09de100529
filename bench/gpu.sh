#!/bin/sh
# Measure glocal on a GPU in at most 8 minutes: correctness against the processor, speed, memory, explain, training.
#   sh bench/gpu.sh            on a GPU; writes bench/gpu.json after every section
#   sh bench/gpu.sh --tiny     small sizes, on a processor too, to see that it runs
# PYTHON=… names the interpreter, which needs glocal; pytorch-grad-cam, captum and transformers are measured if there.
set -eu
cd "$(dirname "$0")/.."
export PYTHONPATH="src:.${PYTHONPATH:+:$PYTHONPATH}"
exec timeout -s INT 480 "${PYTHON:-python3}" -m bench.gpu "$@"
