// Speed on the GPU against the floors that its own ceilings set, as JSON lines:
// {"case", "floor", "measured", "ratio", "unit"}; ratio 1 is the floor reached. Ceilings (a large
// product, a copy) are measured in the same run. Arguments: [--model 1.5b|0.5b|tiny] [--only part]
// [--cache file] [--graphs on|off], parts: kernels, head (the loss head), train, decode, lora (an adapter of rank 16 on
// all matrices of the model), qwen3 (training Qwen3-0.6B, whose heads are normalised). A part that
// fails is reported and leaves the others; the exit code is 1 then.
#include <cstdio>
#include <exception>

#include "bench.h"

int main(int argc, char** argv) {
  using namespace masksearch::cuda::bench;
  try {
    return Bench(parse(argc, argv)).run() ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
