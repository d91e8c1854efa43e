// Helpers of the socket tests: two ends over loopback TCP, and the error of a call that fails.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "coax/base/error.hpp"
#include "coax/socket/poll.hpp"
#include "coax/socket/socket.hpp"

namespace coax::test {

// Far above the duration of any call in a test, so that no test hangs.
inline constexpr Duration patience = std::chrono::seconds(30);

// The errno value of the Error that it throws; 0: none.
template <class Call>
int reason_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code().value();
  }
  return 0;
}

// The kind of the Error that it throws, and its text.
template <class Call>
ErrorKind kind_thrown(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::other;
}

template <class Call>
std::string said(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

inline Address loopback(std::uint16_t port = 0) { return *Endpoint::from_ip("127.0.0.1", port); }

inline Listener listener_on_loopback() {
  Listener listener(loopback());
  listener.set_timeout(patience);
  return listener;
}

struct ConnectedSockets {
  Socket near;
  Socket far;
};

// Connected; both ends give up after `patience`.
inline ConnectedSockets connected_sockets() {
  Listener listener = listener_on_loopback();
  ConnectedSockets pair{.near = Socket::connect_to(listener.local(), {.timeout = patience}), .far = listener.accept()};
  pair.far.set_timeout(patience);
  return pair;
}

// A port of 127.0.0.1 without a listener.
inline Address closed_port() {
  const Listener listener(loopback());
  return listener.local();
}

inline std::uint16_t port_of(const Socket& socket) { return socket.local().endpoint().port(); }

}  // namespace coax::test
