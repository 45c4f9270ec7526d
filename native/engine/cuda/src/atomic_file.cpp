// Writes a file whole or not at all.
#include "atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace masksearch::cuda {

namespace {

[[noreturn]] void fail(const std::string& path) {
  throw std::runtime_error("write " + path + ": " + std::strerror(errno));
}

}  // namespace

void write_file_atomically(const std::string& path, const std::string& text) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;  // opening the file reports what is wrong
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  const std::string temporary = path + "." + std::to_string(getpid()) + ".tmp";
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) fail(temporary);
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = write(file, text.data() + written, text.size() - written);
    if (count <= 0) {
      close(file);
      unlink(temporary.c_str());
      fail(temporary);
    }
    written += size_t(count);
  }
  if (fsync(file) != 0 || close(file) != 0 || rename(temporary.c_str(), path.c_str()) != 0)
    fail(path);
}

}  // namespace masksearch::cuda
