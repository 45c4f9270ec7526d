// What of a model's shape the kernels take.
#include "device_config.h"

#include "validate.h"

namespace masksearch::cuda {

void check_device_config(const DecoderConfig& c, const LoraConfig& lora) {
  check_config(c, 1);
  check_lora(lora);
  const auto require = [](bool valid, const std::string& what) {
    if (!valid) reject("cuda: expected " + what + "; use device 'cpu' for this model");
  };
  const auto multiple = [&](int value, int of, const char* name) {
    require(value % of == 0, std::string(name) + " to be a multiple of " + std::to_string(of) +
                                 ", received " + std::to_string(value));
  };
  multiple(c.width, 8, "width");
  multiple(c.feed_forward_width, 8, "feed_forward_width");
  multiple(c.head_width, 16, "head_width");
  require(c.width <= 8192, "width <= 8192, received " + std::to_string(c.width));
  require(c.head_width <= 256, "head_width <= 256, received " + std::to_string(c.head_width));
}

}  // namespace masksearch::cuda
