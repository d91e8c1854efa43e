// Descriptors: closed once, duplicated and inherited by fcntl(2).
#include "coax/net/file_descriptor.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "coax/base/error.hpp"

namespace coax {

void FileDescriptor::reset(int native) noexcept {
  const int old = std::exchange(native_, native);
  if (old >= 0) ::close(old);  // on EINTR, too: Linux has closed it by then
}

bool FileDescriptor::inheritable() const {
  const int flags = ::fcntl(native_, F_GETFD);
  if (flags < 0) throw Error(errno, "read the flags of a descriptor");
  return (flags & FD_CLOEXEC) == 0;
}

void FileDescriptor::set_inheritable(bool inheritable) const {
  if (::fcntl(native_, F_SETFD, inheritable ? 0 : FD_CLOEXEC) < 0) throw Error(errno, "set the flags of a descriptor");
}

FileDescriptor FileDescriptor::dup() const {
  const int copy = ::fcntl(native_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw Error(errno, "copy a descriptor");
  return FileDescriptor(copy);
}

}  // namespace coax
