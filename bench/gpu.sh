#!/usr/bin/env bash
# The first thing to run on a GPU machine: builds the CUDA side without Node, runs its tests, its bench
# and the PyTorch peer on Qwen2.5-1.5B's shape with random weights, and without a peer an adapter on it
# and Qwen3-0.6B's shape; prints one table, and writes the rows to gpu.jsonl in $OUT, else in
# bench/results. Needs nvcc, cmake, a C++ compiler, libcublasLt (the toolkit's or pip's nvidia-cublas)
# and, for the table and the peer, Python, the latter with torch and transformers. A part that fails or
# takes too long leaves the others and the table; all of it ends within 8 minutes ($GPU_SECONDS).
#
#   bench/gpu.sh [--model 1.5b|0.5b] [--no-peer] [--sanitize]
#
# --sanitize runs the tests under compute-sanitizer's memcheck, and those of kernels under racecheck and
# synccheck, instead of the bench. $COMMIT names the commit where git is not there; $PYTHON and $BUILD_DIR as their names say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

model=1.5b
peer=1
sanitize=0
while (($# > 0)); do
  case $1 in
    --model)
      model=${2:-}
      if [[ $model != 1.5b && $model != 0.5b ]]; then
        echo "gpu.sh: expected --model 1.5b or 0.5b, received '$model'" >&2
        exit 2
      fi
      shift
      ;;
    --no-peer) peer=0 ;;
    --sanitize) sanitize=1 ;;
    *) echo "gpu.sh: expected --model 1.5b|0.5b, --no-peer or --sanitize, received $1" >&2; exit 2 ;;
  esac
  shift
done

build=${BUILD_DIR:-native/engine/build/cuda-gpu}
results=${OUT:-bench/results}
logs=${OUT:-$build}
python=${PYTHON:-python3}
whole=${GPU_SECONDS:-480}
PATH=$PATH:/usr/local/cuda/bin
mkdir -p "$build" "$results" "$logs"
failures=()

step() { printf '\n=== %s (%s s)\n' "$1" "$SECONDS"; }

# seconds_for MOST RESERVE: at most MOST, so that RESERVE are left for what comes after.
seconds_for() {
  local rest=$((whole - SECONDS - $2))
  echo $((rest > $1 ? $1 : rest > 1 ? rest : 1))
}

# limited MOST RESERVE COMMAND…: ends the command, and all that it has started, when its time is over.
limited() {
  local seconds
  seconds=$(seconds_for "$1" "$2")
  shift 2
  timeout -k 10 "$seconds" "$@"
}

for tool in nvidia-smi nvcc cmake c++ timeout; do
  if ! command -v "$tool" >/dev/null; then
    echo "gpu.sh: expected $tool on the PATH, received $PATH" >&2
    exit 2
  fi
done

step 'machine'
nvidia-smi --query-gpu=name,driver_version,memory.total,memory.used,clocks.max.sm --format=csv || nvidia-smi
nvcc --version | tail -n 2
printf '%s cores; %s; %s\n' "$(nproc)" "$(c++ --version | sed 1q)" "$(cmake --version | sed 1q)"

# Where pip put cuBLAS, if the loader does not find the toolkit's.
if [[ -z ${MASKSEARCH_CUBLASLT:-} ]] && ! ldconfig -p 2>/dev/null | grep 'libcublasLt\.so\.1[23]' >/dev/null; then
  MASKSEARCH_CUBLASLT=$("$python" - <<'PYTHON' || true
import glob, sys
folders = [folder for path in sys.path for folder in glob.glob(path + "/nvidia/*/lib")]
found = [file for folder in folders for file in sorted(glob.glob(folder + "/libcublasLt.so.1[23]"))]
print(found[-1] if found else "")
PYTHON
  )
  export MASKSEARCH_CUBLASLT
  echo "cuBLASLt: ${MASKSEARCH_CUBLASLT:-not found}"
fi

step 'build'
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | sed 1q | tr -d '. ')
if [[ $architecture == 90 ]]; then architecture=90a; fi
generator=()
if [[ ! -f $build/CMakeCache.txt ]] && command -v ninja >/dev/null; then generator=(-G Ninja); fi
if ! { cmake -S native/engine/cuda -B "$build" "${generator[@]}" -DMASKSEARCH_CUDA_EMULATOR=OFF \
         -DMASKSEARCH_CUDA_ARCHITECTURES="$architecture" &&
       limited 240 120 cmake --build "$build" -j "$(nproc)" \
         --target masksearch_cuda cuda_test cuda_bench; } >"$logs/build.log" 2>&1; then
  grep -E -A 3 'rror|FAILED' "$logs/build.log" | head -n 60
  echo "the build failed; $logs/build.log has all of it" >&2
  exit 1
fi

# each_test NAME COMMAND…: runs one test in a process of its own, as an error of the GPU ends all that
# its process does, and prints one line, and what it said where it failed.
each_test() {
  local name=$1 said status=0
  shift
  said=$(timeout -k 5 100 "$@" "$name" 2>&1) || status=$?
  if ((status == 0)); then
    printf 'ok      %s\n' "$name"
  else
    printf 'FAILED  %s (exit %s)\n%s\n' "$name" "$status" "$(tail -n 25 <<<"$said")"
  fi
}
export -f each_test

# tests RESERVE LEFT_OUT COMMAND…: by COMMAND every test whose name does not match LEFT_OUT, eight at a
# time. Prints what failed and counts; the rest goes to tests.log.
tests() {
  local reserve=$1 left_out=$2 log passed failed expected
  shift 2
  log=$(mktemp)
  "$build/device/cuda_test" --list | grep -Ev "$left_out" >"$log.names" || true
  limited 150 "$reserve" xargs -a "$log.names" -d '\n' -P 8 -I '{}' \
    bash -c 'each_test "$@"' each_test '{}' "$@" >"$log" || true
  cat "$log" >>"$logs/tests.log"
  grep -v '^ok ' "$log" | head -n 120 || true
  passed=$(grep -c '^ok ' "$log" || true)
  failed=$(grep -c '^FAILED ' "$log" || true)
  expected=$(wc -l <"$log.names")
  rm -f "$log" "$log.names"
  printf '%s of %s tests passed, %s failed\n' "$passed" "$expected" "$failed"
  if ((passed != expected || expected == 0)); then failures+=("tests by $*"); fi
}
: >"$logs/tests.log"

if ((sanitize)); then
  step 'tests under memcheck'
  tests 150 '^$' compute-sanitizer --tool memcheck --error-exitcode 1 "$build/device/cuda_test"
  for tool in racecheck synccheck; do
    step "tests of kernels under $tool"  # cuBLAS's own kernels would take all the time
    tests 10 '^(device|gemm|graph)' compute-sanitizer --tool "$tool" --error-exitcode 1 "$build/device/cuda_test"
  done
else
  step 'tests'
  tests 200 '^$' "$build/device/cuda_test"

  rows=$(mktemp)
  step 'bench'
  bench() {
    limited "$1" 60 "$build/device/cuda_bench" --model "$model" --cache "$build/products.txt" "${@:2}" \
      2> >(tee -a "$logs/bench.log" >&2) | tee -a "$rows"
  }
  : >"$logs/bench.log"
  if ! bench 200; then
    failures+=('bench')
    step 'training and decoding without graphs'
    for part in train decode; do bench 60 --graphs off --only "$part" || true; done
  fi

  if ((peer)); then
    step 'peer'
    limited 170 15 "$python" bench/peers/gpu_transformers.py --model "$model" \
      2> >(tail -n 20 >&2) | tee -a "$rows" || echo 'the peer failed or ran out of time; its rows above are whole'
  fi

  step 'table'
  "$python" bench/peers/gpu_table.py --rows "$rows" --model "$model" --out "$results/gpu.jsonl" ||
    failures+=('table')
  rm -f "$rows"
fi

printf '\n%s s; %s\n' "$SECONDS" "$( ((${#failures[@]} == 0)) && echo 'all passed' || printf 'FAILED: %s. ' "${failures[@]}")"
((${#failures[@]} == 0))
