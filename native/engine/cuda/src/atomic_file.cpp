// Writes a file whole or not at all.
#include "atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace masksearch::cuda {

namespace {

// What went wrong is still in errno.
[[noreturn]] void fail(const std::string& path) {
  throw std::runtime_error("write " + path + ": " + std::strerror(errno));
}
[[noreturn]] void fail_without(const std::string& temporary) {
  const int problem = errno;
  unlink(temporary.c_str());
  errno = problem;
  fail(temporary);
}

}  // namespace

void write_file_atomically(const std::string& path, const std::string& text) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;  // opening the file reports what is wrong
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  std::string temporary = path + ".XXXXXX";  // two writers, two files
  const int file = mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) fail(temporary);
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = write(file, text.data() + written, text.size() - written);
    if (count <= 0) {
      close(file);
      fail_without(temporary);
    }
    written += size_t(count);
  }
  const bool whole = fchmod(file, 0644) == 0 && fsync(file) == 0;
  if (close(file) != 0 || !whole || rename(temporary.c_str(), path.c_str()) != 0)
    fail_without(temporary);
}

}  // namespace masksearch::cuda
