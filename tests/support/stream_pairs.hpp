// Pairs of connected streams, one row for each kind: the parameters of the contract.
#pragma once

#include <functional>
#include <memory>

#include "coax/sim/sim.hpp"
#include "coax/stream/limited_stream.hpp"
#include "coax/stream/memory.hpp"
#include "coax/stream/recording_stream.hpp"
#include "coax/stream/socket_stream.hpp"
#include "coax/test/stream_pair.hpp"
#include "examples/tests/end_marked_stream.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/run.hpp"
#include "tests/support/sockets.hpp"

namespace coax::test {

inline Task<> reset_tcp(StreamPair& pair) {
  pair.far->abort();
  co_return;
}
inline StreamPair tcp_pair_of(std::unique_ptr<SocketStream> near, int far) {
  return {.near = std::move(near), .far = SocketStream::adopt(far), .reset_far = reset_tcp};
}

// As a server and its client use it.
inline Task<StreamPair> tcp_pair() {
  SocketListener listener(*Endpoint::parse("127.0.0.1:0"));
  auto near = co_await connect(std::vector{listener.local()});
  const auto accepted = co_await listener.accept();
  co_return tcp_pair_of(std::move(near), accepted.native);
}

// Small socket buffers: many partial sends.
inline Task<StreamPair> narrow_tcp_pair() {
  if (SimNetwork* const network = SimNetwork::of(Loop::current().backend())) {
    network->set_conditions("127.0.0.1", "127.0.0.2", {.window_bytes = 16 * 1024});
    network->connect_from("127.0.0.2");
    co_return co_await tcp_pair();
  }
  NativePair pair = native_tcp_pair(16 * 1024);
  auto near = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
  co_return tcp_pair_of(std::move(near), set_nonblocking(std::move(pair.far)));
}

// A Unix socket is broken only by a close with unread bytes.
inline Task<> break_unix(StreamPair& pair) {
  if (pair.near->send_stalled() == Duration::zero()) {
    co_await pair.near->send("unread");
    co_await pair.near->flush();
  }
  pair.far->close();
}
inline Task<StreamPair> unix_pair_at(Address at) {
  SocketListener listener(at);
  auto near = co_await connect(listener.address());
  const auto accepted = co_await listener.accept();
  co_return StreamPair{.near = std::move(near), .far = SocketStream::adopt(accepted.native), .reset_far = break_unix};
}
inline Task<StreamPair> unix_path_pair() {
  const Folder folder;
  co_return co_await unix_pair_at(folder.name());
}
inline Task<StreamPair> unix_abstract_pair() { co_return co_await unix_pair_at(UnixName("")); }
// Small socket buffers: many partial sends.
inline Task<StreamPair> narrow_unix_pair() {
  if (SimNetwork* const network = SimNetwork::of(Loop::current().backend())) {
    network->set_conditions({.window_bytes = 16 * 1024});
    co_return co_await unix_pair_at(UnixName(""));
  }
  NativePair pair = native_unix_pair(16 * 1024);
  auto near = SocketStream::adopt(set_nonblocking(std::move(pair.near)));
  co_return StreamPair{.near = std::move(near),
                       .far = SocketStream::adopt(set_nonblocking(std::move(pair.far))),
                       .reset_far = break_unix};
}

inline StreamPair memory_pair_of(std::size_t capacity, std::size_t recv_bytes_max) {
  auto [near, far] = memory_stream_pair(capacity);
  near->set_recv_bytes_max(recv_bytes_max);
  far->set_recv_bytes_max(recv_bytes_max);
  return {.near = std::move(near), .far = std::move(far), .reset_far = [](StreamPair& self) -> Task<> {
            self.far->abort();
            co_return;
          }};
}
inline Task<StreamPair> memory_pair() { co_return memory_pair_of(64_KiB, SIZE_MAX); }
inline Task<StreamPair> narrow_memory_pair() { co_return memory_pair_of(4000, 999); }

// Layers: limited to more than the tests need in a second, so that each large send is split into many pieces.
inline std::unique_ptr<Stream> with_rates(std::unique_ptr<Stream> below) {
  const StreamRates rates{.recv_bytes_per_second = 1024_MiB, .send_bytes_per_second = 1024_MiB};
  return std::make_unique<LimitedStream>(std::move(below), rates);
}
inline std::unique_ptr<Stream> recorded(std::unique_ptr<Stream> below) {
  return std::make_unique<RecordingStream>(std::move(below), [](RecordingStream::Direction, BytesView) noexcept {});
}
// Its sink pauses at each record of 100 bytes or more, until the next turn of the loop.
inline std::unique_ptr<Stream> recorded_slowly(std::unique_ptr<Stream> below) {
  struct Resume : Completion {
    Resume() noexcept : Completion([](Completion& self) noexcept { static_cast<Resume&>(self).stream->resume(); }) {}
    RecordingStream* stream = nullptr;
  };
  auto owned = std::make_unique<Resume>();
  Resume& resume = *owned;
  auto stream = std::make_unique<RecordingStream>(
      std::move(below), [owned = std::move(owned)](RecordingStream::Direction, BytesView bytes) noexcept {
        if (bytes.size() < 100) return;
        owned->stream->pause();
        owned->stream->loop().run_next_turn(*owned);
      });
  resume.stream = stream.get();
  return stream;
}
inline Task<StreamPair> limited_tcp_pair() {
  StreamPair pair = co_await tcp_pair();
  pair.near = with_rates(std::move(pair.near));
  pair.far = with_rates(std::move(pair.far));
  co_return pair;
}
inline Task<StreamPair> recorded_memory_pair() {
  StreamPair pair = co_await memory_pair();
  pair.near = recorded(std::move(pair.near));
  pair.far = recorded(std::move(pair.far));
  co_return pair;
}
inline Task<StreamPair> narrow_recorded_pair() {
  StreamPair pair = co_await narrow_tcp_pair();
  pair.near = recorded_slowly(std::move(pair.near));
  pair.far = recorded_slowly(std::move(pair.far));
  co_return pair;
}
inline Task<StreamPair> layered_unix_pair() {
  StreamPair pair = co_await unix_abstract_pair();
  pair.near = recorded(with_rates(std::move(pair.near)));
  pair.far = with_rates(recorded(std::move(pair.far)));
  co_return pair;
}

inline constexpr StreamKind stream_kinds[] = {{"tcp", tcp_pair},
                                              {"narrow_tcp", narrow_tcp_pair},
                                              {"unix_path", unix_path_pair},
                                              {"unix_abstract", unix_abstract_pair},
                                              {"narrow_unix", narrow_unix_pair},
                                              {"memory", memory_pair},
                                              {"narrow_memory", narrow_memory_pair},
                                              {"limited_tcp", limited_tcp_pair},
                                              {"recorded_memory", recorded_memory_pair},
                                              {"narrow_recorded", narrow_recorded_pair},
                                              {"layered_unix", layered_unix_pair},
                                              {"end_marked", end_marked_pair, false, true}};

}  // namespace coax::test
