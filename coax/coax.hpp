// The umbrella: what the README uses.
#pragma once

#include "coax/address/endpoint.hpp"
#include "coax/base/bytes.hpp"
#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/base/units.hpp"
#include "coax/bus/topic.hpp"
#include "coax/http/app.hpp"
#include "coax/server/outbox.hpp"
#include "coax/server/serve.hpp"
#include "coax/stream/lines.hpp"
#include "coax/stream/stream.hpp"
#include "coax/stream/tcp.hpp"
#include "coax/task/channel.hpp"
#include "coax/task/run.hpp"
#include "coax/task/scope.hpp"
