// Runs every test, or those whose name contains the first argument; exits with 1 on a failure.
#include "check.h"

int main(int argc, char** argv) {
  int ran = 0;
  for (const test::Case& c : test::cases()) {
    if (argc > 1 && c.name.find(argv[1]) == std::string::npos) continue;
    std::printf("  %s\n", c.name.c_str());
    try {
      c.body();
    } catch (const std::exception& error) {
      test::fail("uncaught", 0, error.what());
    }
    ran++;
  }
  std::printf("%d tests, %d failures\n", ran, test::failures());
  return ran == 0 || test::failures() > 0 ? 1 : 0;
}
