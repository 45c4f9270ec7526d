#include "options.h"

#include <algorithm>
#include <iterator>
#include <stdexcept>

namespace masksearch::cuda::bench {

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    std::string* to = name == "--model"    ? &o.model
                      : name == "--only"   ? &o.only
                      : name == "--cache"  ? &o.cache
                      : name == "--graphs" ? &o.graphs
                                           : nullptr;
    if (to == nullptr || i + 1 == argc)
      throw std::invalid_argument(
          "bench: expected --model, --only, --cache or --graphs and a value, received " + name);
    *to = argv[i + 1];
  }
  if (o.graphs != "on" && o.graphs != "off")
    throw std::invalid_argument("bench: expected --graphs on or off, received " + o.graphs);
  const char* parts[] = {"", "kernels", "head", "train", "decode", "lora", "qwen3"};
  if (std::find(std::begin(parts), std::end(parts), o.only) == std::end(parts))
    throw std::invalid_argument(
        "bench: expected --only kernels, head, train, decode, lora or qwen3, received " + o.only);
  if (o.model == "0.5b") {
    o.config = {151936, 896, 24, 14, 2, 64, 4864, 1e6, 1e-6, 32768, true, true};
  } else if (o.model == "tiny") {
    o.config = {97, 64, 2, 2, 1, 64, 96, 1e4, 1e-6, 256, true, true};
    o.qwen3 = {97, 64, 2, 2, 1, 64, 96, 1e4, 1e-6, 256, false, true, true};
    o.qwen3_name = "qwen3-tiny";
    o.rows = 128;
    o.ceiling = 32;
    o.runs = 1;
    o.decode_tokens = 2;
  } else if (o.model != "1.5b") {
    throw std::invalid_argument("bench: expected --model 1.5b, 0.5b or tiny, received " + o.model);
  }
  return o;
}

}  // namespace masksearch::cuda::bench
