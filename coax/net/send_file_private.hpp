// sendfile(2) without SIGPIPE, for which it has no flag.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace coax::detail {

// As sendfile(2); EPIPE comes without the signal.
ssize_t send_file(int socket, int file, off_t* offset, std::size_t count) noexcept;

}  // namespace coax::detail
