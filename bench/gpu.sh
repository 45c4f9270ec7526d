#!/usr/bin/env bash
# The first thing to run on a GPU machine: builds the CUDA side without Node, runs its tests, its bench
# and the PyTorch peer on Qwen2.5-1.5B's shape with random weights, and without a peer an adapter on it
# and Qwen3-0.6B's shape; prints one table, and writes the rows to bench/results/gpu.jsonl. Needs nvcc,
# cmake, a C++ compiler, libcublasLt (the toolkit's or pip's nvidia-cublas) and, for the peer, Python
# with torch and transformers. Under 8 minutes on an H200.
#
#   bench/gpu.sh [--model 1.5b|0.5b] [--no-peer] [--sanitize]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

model=1.5b
peer=1
sanitize=0
while (($# > 0)); do
  case $1 in
    --model) model=$2; shift ;;
    --no-peer) peer=0 ;;
    --sanitize) sanitize=1 ;;
    *) echo "gpu.sh: expected --model 1.5b|0.5b, --no-peer or --sanitize, received $1" >&2; exit 2 ;;
  esac
  shift
done

build=${BUILD_DIR:-native/engine/build/cuda-gpu}
results=${OUT:-bench/results}
python=${PYTHON:-python3}
mkdir -p "$build" "$results"

step() { printf '\n=== %s (%s s)\n' "$1" "$SECONDS"; }

step 'machine'
nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,compute_cap --format=csv
nvcc --version | tail -n 2

# Where pip put cuBLAS, if the loader does not find the toolkit's.
if [[ -z ${MASKSEARCH_CUBLASLT:-} ]] && ! ldconfig -p | grep -q 'libcublasLt\.so\.1[23]'; then
  MASKSEARCH_CUBLASLT=$("$python" - <<'PYTHON'
import glob, sysconfig
found = glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/lib/libcublasLt.so.1[23]")
print(found[0] if found else "")
PYTHON
  )
  export MASKSEARCH_CUBLASLT
  echo "cuBLASLt: ${MASKSEARCH_CUBLASLT:-not found}"
fi

step 'build'
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '.')
architecture=$capability
if [[ $capability == 90 ]]; then architecture=90a; fi
cmake -S native/engine/cuda -B "$build" -DMASKSEARCH_CUDA_EMULATOR=OFF \
  -DMASKSEARCH_CUDA_ARCHITECTURES="$architecture" >"$build/configure.log"
if ! cmake --build "$build" -j "$(nproc)" >"$build/build.log" 2>&1; then
  grep -E 'error|FAILED' "$build/build.log" | head -n 40
  echo "the build failed; $build/build.log has all of it" >&2
  exit 1
fi

step 'tests'
tests=0
timeout 150 "$build/device/cuda_test" | tail -n 60 || tests=$?
if ((sanitize)); then
  step 'compute-sanitizer'
  timeout 150 compute-sanitizer --error-exitcode 1 "$build/device/cuda_test" attention | tail -n 20 || tests=1
fi

step 'bench'
rows=$(mktemp)
timeout 170 "$build/device/cuda_bench" --model "$model" --cache "$build/products.txt" | tee "$rows"

if ((peer)); then
  step 'peer'
  timeout 150 "$python" bench/peers/gpu_transformers.py --model "$model" | tee -a "$rows" ||
    echo 'the peer failed or ran out of time; its rows above are whole'
fi

step 'table'
"$python" bench/peers/gpu_table.py --rows "$rows" --model "$model" --out "$results/gpu.jsonl"
rm -f "$rows"
printf '\n%s in %s s; tests %s\n' "$results/gpu.jsonl" "$SECONDS" "$( ((tests == 0)) && echo passed || echo FAILED)"
exit "$tests"
