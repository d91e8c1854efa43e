// All of TLS: #include "coax/tls/tls.hpp" and link Coax::tls.
#pragma once

#include "coax/tls/certificate.hpp"
#include "coax/tls/context.hpp"
#include "coax/tls/issue.hpp"
#include "coax/tls/serve.hpp"
#include "coax/tls/socket.hpp"
#include "coax/tls/stream.hpp"
