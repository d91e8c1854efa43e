// The system calls for the files of a form. They block: for offload().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax::http {

// A file without a name in that folder (empty: $TMPDIR, or /tmp). All throw Error of the system.
FileDescriptor make_temporary_file(std::string_view folder);
void write_all(const FileDescriptor& file, BytesView bytes);
// From its start. Throws: Error(truncated) too, when the file has become shorter.
std::string read_all(const FileDescriptor& file, std::uint64_t size);
// Under this name, where no file must be.
void save_bytes(BytesView bytes, const std::string& path);
void save_file(const FileDescriptor& file, std::uint64_t size, const std::string& path);

}  // namespace coax::http
