// What the bench is asked for, and the shapes and sizes that follow.
#pragma once

#include <string>

#include "engine.h"

namespace masksearch::cuda::bench {

struct Options {
  std::string model = "1.5b", only, cache, graphs = "on";
  DecoderConfig config{151936, 1536, 28, 12, 2, 128, 8960, 1e6, 1e-6, 32768, true, true};
  DecoderConfig qwen3{151936, 1024, 28, 16, 8, 128, 3072, 1e6, 1e-6, 40960, false, true, true};
  std::string qwen3_name = "qwen3-0.6b";
  int rows = 16384;       // of a training pass and of the row kernels
  int ceiling = 8192;     // side of the large product
  int runs = 10;
  int decode_tokens = 64;
};

// @throws std::invalid_argument an argument is not known or lacks its value.
Options parse(int argc, char** argv);

}  // namespace masksearch::cuda::bench
