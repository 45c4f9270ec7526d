// The tests under the emulator, in place of test/main.cpp: `[NAME] [--orders [PART…]]` runs every test,
// or those whose name contains NAME; and those whose name contains one of PART, or all of them, also
// with threads, blocks and copies in other orders: what comes from the device must then be the same to
// the bit. `--list` prints the names instead. Exits with 1 on a failure.
#include <cstring>

#include "check.h"
#include "device_digest.h"
#include "emulator.h"

namespace {

struct NamedOrder {
  const char* name;
  emulator::Order order;
};
const NamedOrder kOtherOrders[] = {{"reversed", {emulator::Order::reversed}},
                                   {"shuffled", {emulator::Order::shuffled, 1}}};

struct Arguments {
  std::string name;
  bool orders = false;
  std::vector<std::string> parts;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; i++) {
    if (std::strcmp(argv[i], "--orders") == 0) {
      a.orders = true;
    } else if (a.orders) {
      a.parts.push_back(argv[i]);
    } else {
      a.name = argv[i];
    }
  }
  return a;
}

bool runs_in_orders(const Arguments& a, const std::string& name) {
  if (!a.orders || a.parts.empty()) return a.orders;
  for (const std::string& part : a.parts)
    if (name.find(part) != std::string::npos) return true;
  return false;
}

// Runs it; returns a digest of what came from the device.
uint64_t run(const test::Case& c, const emulator::Order& order) {
  masksearch::cuda::take_digest();
  emulator::order = order;
  test::run(c);
  emulator::order = {};
  return masksearch::cuda::take_digest();
}

}  // namespace

int main(int argc, char** argv) {
  if (test::listed(argc, argv)) return 0;
  const Arguments arguments = parse(argc, argv);
  int ran = 0;
  for (const test::Case& c : test::cases()) {
    if (c.name.find(arguments.name) == std::string::npos) continue;
    std::printf("  %s\n", c.name.c_str());
    std::fflush(stdout);
    const uint64_t digest = run(c, {});
    ran++;
    if (!runs_in_orders(arguments, c.name)) continue;
    for (const NamedOrder& other : kOtherOrders)
      if (run(c, other.order) != digest)
        test::fail(c.name.c_str(), 0, std::string("other bits, with threads ") + other.name);
  }
  return test::summary(ran);
}
