// Certificates of a server that are replaced while it runs.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "coax/task/task.hpp"
#include "coax/tls/context.hpp"

namespace coax::app {

// Reads the files again for new connections: at once after SIGHUP, otherwise within some seconds of their change, and
// logs that. A file that is of no use is logged as an error, and the old certificates stay in use. Once a day it calls
// `renew`, on a thread of offload(), and logs the warnings of the first context again. Runs until it is cancelled.
Task<> keep_certificates_fresh(std::vector<std::shared_ptr<tls::ServerContext>> contexts, std::function<void()> renew);

}  // namespace coax::app
