// raw_uring_echo PORT [HOST]: the limit of an echo server on io_uring: direct descriptors, one multishot receive for
// each connection into a ring of provided buffers, which are sent without a copy. There is no fairness: a peer that
// does not read holds buffers that others need.
#include <liburing.h>
#include <sys/mman.h>

#include <deque>
#include <utility>

#include "bench/raw.hpp"

namespace {

constexpr unsigned requests_max = 4096;
constexpr unsigned connections_max = 16384;
constexpr unsigned buffers = 512;  // a power of two
constexpr unsigned buffer_bytes = 64U << 10;
constexpr int buffer_group = 0;

class Echo {
 public:
  Echo() : connections_(connections_max) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    params.cq_entries = requests_max * 4;
    check(io_uring_queue_init_params(requests_max, &ring_, &params), "io_uring_queue_init");
    check(io_uring_register_files_sparse(&ring_, connections_max), "io_uring_register_files_sparse");
    provide_buffers();
  }

  void run(int listener) {
    listener_ = listener;
    accept();
    while (true) {
      const int failure = io_uring_submit_and_wait(&ring_, 1);
      if (failure < 0 && failure != -EINTR) check(failure, "io_uring_submit_and_wait");
      unsigned head = 0;
      unsigned count = 0;
      io_uring_cqe* completion = nullptr;
      io_uring_for_each_cqe(&ring_, head, completion) {
        take(*completion);
        ++count;
      }
      io_uring_cq_advance(&ring_, count);
      io_uring_buf_ring_advance(free_, std::exchange(returned_, 0));
      if (held_ < buffers) receive_again();
    }
  }

 private:
  enum class Kind : std::uint8_t { accept, receive, send, close };
  struct Piece {
    unsigned buffer;
    unsigned size;
    unsigned sent = 0;
  };
  struct Connection {
    std::deque<Piece> unsent;  // the first one is being sent
    bool receiving = false;
    bool starved = false;  // there was no buffer to receive into
    bool ended = false;
  };

  static void check(int result, const char* what) {
    if (result < 0) throw std::system_error(-result, std::generic_category(), what);
  }

  void provide_buffers() {
    memory_.resize(std::size_t{buffers} * buffer_bytes);
    constexpr std::size_t ring_bytes = buffers * sizeof(io_uring_buf);
    void* const ring =
        mmap(nullptr, ring_bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
    if (ring == MAP_FAILED) bench::fail_with_errno("mmap");
    free_ = static_cast<io_uring_buf_ring*>(ring);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(ring);
    registration.ring_entries = buffers;
    registration.bgid = buffer_group;
    check(io_uring_register_buf_ring(&ring_, &registration, 0), "io_uring_register_buf_ring");
    io_uring_buf_ring_init(free_);
    for (unsigned buffer = 0; buffer < buffers; ++buffer) give_back(buffer);
    io_uring_buf_ring_advance(free_, std::exchange(returned_, 0));
  }

  char* memory_of(unsigned buffer) { return memory_.data() + std::size_t{buffer} * buffer_bytes; }
  void give_back(unsigned buffer) {
    --held_;
    io_uring_buf_ring_add(free_, memory_of(buffer), buffer_bytes, static_cast<std::uint16_t>(buffer),
                          io_uring_buf_ring_mask(buffers), returned_++);
  }

  io_uring_sqe* request() {
    io_uring_sqe* request = io_uring_get_sqe(&ring_);
    if (request == nullptr) {
      io_uring_submit(&ring_);
      request = io_uring_get_sqe(&ring_);
    }
    return request;
  }
  static void tag(io_uring_sqe* request, Kind kind, unsigned slot) {
    io_uring_sqe_set_data64(request, std::uint64_t{slot} << 8 | static_cast<unsigned>(kind));
  }

  void accept() {
    io_uring_sqe* const accept = request();
    io_uring_prep_multishot_accept_direct(accept, listener_, nullptr, nullptr, 0);
    tag(accept, Kind::accept, 0);
  }
  void receive(unsigned slot) {
    io_uring_sqe* const receive = request();
    io_uring_prep_recv_multishot(receive, static_cast<int>(slot), nullptr, 0, 0);
    receive->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    receive->buf_group = buffer_group;
    tag(receive, Kind::receive, slot);
    connections_[slot].receiving = true;
  }
  void receive_again() {
    for (const unsigned slot : std::exchange(starved_, {})) {
      if (std::exchange(connections_[slot].starved, false)) receive(slot);
    }
  }
  void send(unsigned slot) {
    const Piece& piece = connections_[slot].unsent.front();
    io_uring_sqe* const send = request();
    io_uring_prep_send(send, static_cast<int>(slot), memory_of(piece.buffer) + piece.sent, piece.size - piece.sent,
                       MSG_NOSIGNAL | MSG_WAITALL);
    send->flags |= IOSQE_FIXED_FILE;
    tag(send, Kind::send, slot);
  }
  void close_if_done(unsigned slot) {
    const Connection& connection = connections_[slot];
    if (!connection.ended || connection.receiving || !connection.unsent.empty()) return;
    io_uring_sqe* const close = request();
    io_uring_prep_close_direct(close, slot);
    tag(close, Kind::close, slot);
  }

  void take(const io_uring_cqe& completion) {
    const auto slot = static_cast<unsigned>(completion.user_data >> 8);
    switch (static_cast<Kind>(completion.user_data & 255)) {
      case Kind::accept: {
        if (completion.res >= 0) {
          connections_[static_cast<unsigned>(completion.res)] = {};
          receive(static_cast<unsigned>(completion.res));
        }
        if ((completion.flags & IORING_CQE_F_MORE) == 0) accept();
        return;
      }
      case Kind::receive: return received(slot, completion);
      case Kind::send: return sent(slot, completion.res);
      case Kind::close: return;
    }
  }

  void received(unsigned slot, const io_uring_cqe& completion) {
    Connection& connection = connections_[slot];
    const bool has_buffer = (completion.flags & IORING_CQE_F_BUFFER) != 0;
    const unsigned buffer = completion.flags >> IORING_CQE_BUFFER_SHIFT;
    if (has_buffer) ++held_;
    connection.receiving = (completion.flags & IORING_CQE_F_MORE) != 0;
    if (completion.res > 0 && !connection.ended) {
      connection.unsent.push_back({.buffer = buffer, .size = static_cast<unsigned>(completion.res)});
      if (connection.unsent.size() == 1) send(slot);
      if (!connection.receiving) receive(slot);
      return;
    }
    if (has_buffer) give_back(buffer);
    if (completion.res == -ENOBUFS && !connection.ended) {
      connection.starved = true;
      starved_.push_back(slot);
    } else if (!connection.receiving) {
      connection.ended = true;
      close_if_done(slot);
    }
  }

  void sent(unsigned slot, int result) {
    Connection& connection = connections_[slot];
    Piece& piece = connection.unsent.front();
    piece.sent += result > 0 ? static_cast<unsigned>(result) : 0;
    if (result > 0 && piece.sent < piece.size) return send(slot);
    if (result <= 0) end(slot, connection);
    do {
      give_back(connection.unsent.front().buffer);
      connection.unsent.pop_front();
    } while (connection.ended && result <= 0 && !connection.unsent.empty());
    if (!connection.unsent.empty()) return send(slot);
    close_if_done(slot);
  }

  // The peer accepts no more: received bytes are dropped until receiving has ended, too.
  void end(unsigned slot, Connection& connection) {
    connection.ended = true;
    connection.starved = false;
    if (!connection.receiving) return;
    io_uring_sqe* const cancel = request();
    io_uring_prep_cancel64(cancel, std::uint64_t{slot} << 8 | static_cast<unsigned>(Kind::receive), 0);
    tag(cancel, Kind::close, slot);  // nothing is done when it is done
  }

  int listener_ = -1;
  io_uring ring_{};
  std::vector<Connection> connections_;  // by slot
  std::vector<char> memory_;
  io_uring_buf_ring* free_ = nullptr;
  int returned_ = 0;         // buffers that the kernel does not know of yet
  unsigned held_ = buffers;  // by us; the others are the kernel's
  std::vector<unsigned> starved_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::guarded("raw_uring_echo", [&] {
    Echo echo;  // its memory is there before a client can connect, else the first ones wait for it
    echo.run(bench::listen_on(bench::Arguments(argc, argv).address()));
    return 0;
  });
}
