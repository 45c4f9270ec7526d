// Writes a file whole or not at all.
#pragma once

#include <string>

namespace masksearch::cuda {

// Folders are made, the text goes to a file beside it, to the disk, and takes the name.
// @throws std::runtime_error naming the file and the system's reason.
void write_file_atomically(const std::string& path, const std::string& text);

}  // namespace masksearch::cuda
