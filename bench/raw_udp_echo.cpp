// raw_udp_echo PORT [HOST]: the limit of an echo server for datagrams: one thread, raw epoll, 32 messages for each
// system call, receive and segmentation offload (UDP_GRO, UDP_SEGMENT), and answers sent from the buffers that they
// were received into, without a copy.
#include <netinet/udp.h>

#include <memory>

#include "bench/raw.hpp"

namespace {

constexpr std::size_t batch = 32;
constexpr std::size_t slot_bytes = 64UL << 10;
constexpr std::size_t stride = slot_bytes + 4096 + 64;  // a power of two would use a few lines of the cache only
constexpr std::size_t joined_max = 64;
constexpr std::size_t joined_bytes_max = 65507;

class Echo {
 public:
  explicit Echo(const sockaddr_in& at)
      : fd_(bench::check(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")),
        bytes_(std::make_unique_for_overwrite<char[]>(batch * stride)) {
    const int on = 1;
    bench::check(setsockopt(fd_, IPPROTO_UDP, UDP_GRO, &on, sizeof on), "UDP_GRO");
    bench::check(bind(fd_, bench::generic(at), sizeof at), "bind");
    for (std::size_t index = 0; index < batch; ++index) {
      in_[index].msg_hdr.msg_name = &names_[index];
      in_[index].msg_hdr.msg_iov = &pieces_[index];
      in_[index].msg_hdr.msg_iovlen = 1;
      in_[index].msg_hdr.msg_control = controls_[index].data();
    }
  }
  [[nodiscard]] int fd() const { return fd_; }

  void drain() {
    std::size_t count = batch;
    while (count == batch) {
      count = receive();
      send(join(count));
    }
  }

 private:
  std::size_t receive() {
    for (std::size_t index = 0; index < used_; ++index) {
      in_[index].msg_hdr.msg_namelen = sizeof names_[index];
      in_[index].msg_hdr.msg_controllen = controls_[index].size();
      pieces_[index] = {.iov_base = bytes_.get() + index * stride, .iov_len = slot_bytes};
    }
    const int count = recvmmsg(fd_, in_.data(), batch, MSG_DONTWAIT, nullptr);
    if (count < 0 && errno != EAGAIN) bench::fail_with_errno("recvmmsg");
    return used_ = count < 0 ? 0 : static_cast<std::size_t>(count);
  }

  [[nodiscard]] std::size_t segment_of(std::size_t index) const {
    const auto* const control = static_cast<const cmsghdr*>(in_[index].msg_hdr.msg_control);
    if (in_[index].msg_hdr.msg_controllen < CMSG_LEN(sizeof(int))) return in_[index].msg_len;
    int segment = 0;
    std::memcpy(&segment, CMSG_DATA(control), sizeof segment);
    return static_cast<std::size_t>(segment);
  }

  // Turns the received messages into those to send. Returns: their count.
  std::size_t join(std::size_t count) {
    std::size_t out = 0;
    std::size_t segment = 0;
    std::size_t bytes = 0;
    for (std::size_t index = 0; index < count; ++index) {
      const std::size_t size = in_[index].msg_len;
      const std::size_t of_each = segment_of(index);
      pieces_[index].iov_len = size;
      const bool fits = out != 0 && of_each == segment && bytes % segment == 0 && bytes + size <= joined_bytes_max &&
                        bytes + size <= joined_max * segment &&
                        std::memcmp(&names_[index], out_[out - 1].msg_hdr.msg_name, sizeof names_[index]) == 0;
      if (fits) {
        ++out_[out - 1].msg_hdr.msg_iovlen;
        bytes += size;
      } else {
        out_[out] = {};
        out_[out].msg_hdr.msg_name = &names_[index];
        out_[out].msg_hdr.msg_namelen = sizeof names_[index];
        out_[out].msg_hdr.msg_iov = &pieces_[index];
        out_[out].msg_hdr.msg_iovlen = 1;
        ++out;
        segment = of_each;
        bytes = size;
      }
      if (bytes > segment) mark(out - 1, segment);
    }
    return out;
  }

  void mark(std::size_t out, std::size_t segment) {
    auto* const control = static_cast<cmsghdr*>(static_cast<void*>(out_controls_[out].data()));
    const auto size = static_cast<std::uint16_t>(segment);
    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof size);
    std::memcpy(CMSG_DATA(control), &size, sizeof size);
    out_[out].msg_hdr.msg_control = control;
    out_[out].msg_hdr.msg_controllen = out_controls_[out].size();
  }

  // Datagrams that the kernel does not accept now are lost.
  void send(std::size_t count) {
    for (std::size_t done = 0; done < count;) {
      const int sent = sendmmsg(fd_, out_.data() + done, static_cast<unsigned>(count - done), MSG_DONTWAIT);
      done += sent > 0 ? static_cast<std::size_t>(sent) : 1;
    }
  }

  using Control = std::array<char, CMSG_SPACE(sizeof(int))>;
  using OutControl = std::array<char, CMSG_SPACE(sizeof(std::uint16_t))>;
  int fd_;
  std::unique_ptr<char[]> bytes_;
  std::size_t used_ = batch;
  std::array<mmsghdr, batch> in_{};
  std::array<mmsghdr, batch> out_{};
  std::array<iovec, batch> pieces_{};
  std::array<sockaddr_in, batch> names_{};
  alignas(cmsghdr) std::array<Control, batch> controls_{};
  alignas(cmsghdr) std::array<OutControl, batch> out_controls_{};
};

}  // namespace

int main(int argc, char** argv) {
  return bench::guarded("raw_udp_echo", [&]() -> int {
    Echo echo(bench::Arguments(argc, argv).address());
    bench::Epoll epoll;
    epoll.add(echo.fd(), 0);
    while (true) {
      if (!epoll.wait(-1).empty()) echo.drain();
    }
  });
}
