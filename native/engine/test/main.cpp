// Runs every test, or those whose name contains the first argument; exits with 1 on a failure. `--list`
// prints the names instead.
#include "check.h"

int main(int argc, char** argv) {
  if (test::listed(argc, argv)) return 0;
  std::setvbuf(stdout, nullptr, _IOLBF, 4096);  // what a crash or a time limit leaves is whole
  int ran = 0;
  for (const test::Case& c : test::cases()) {
    if (argc > 1 && c.name.find(argv[1]) == std::string::npos) continue;
    std::printf("  %s\n", c.name.c_str());
    test::run(c);
    ran++;
  }
  return test::summary(ran);
}
