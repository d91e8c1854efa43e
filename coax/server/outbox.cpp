// The outbox and the task that empties it.
#include "coax/server/outbox.hpp"

#include "coax/base/error.hpp"
#include "coax/loop/loop.hpp"
#include "coax/task/scope.hpp"

namespace coax {

class Outbox::Wait : public Leaf<Wait>, public Completion {
 public:
  explicit Wait(Outbox& outbox) noexcept
      : Leaf([](Waiting& self) noexcept { static_cast<Wait&>(self).outbox_.wake(); }),
        Completion([](Completion& self) noexcept { static_cast<Wait&>(self).resume(); }),
        outbox_(outbox) {}
  bool start() noexcept {
    if (outbox_.first_ || outbox_.finished_) return true;
    outbox_.wait_ = this;
    return false;
  }
  void finish() const noexcept {}

 private:
  Outbox& outbox_;
};

void Outbox::wake() noexcept {
  if (wait_ != nullptr) Loop::current().finish_later(*std::exchange(wait_, nullptr));
}

void Outbox::push(const Shared& shared) {
  const std::size_t size = shared.bytes().size();
  if (size == 0 || finished_ || overflowed_) return;
  if (bytes_ + size > options_.bytes_max) return overflow();
  bytes_ += size;
  if (first_) {
    more_.push_back(shared);
  } else {
    first_ = shared;
  }
  wake();
}

void Outbox::drop() noexcept {
  first_ = {};
  more_.clear();
}

void Outbox::overflow() noexcept {
  overflowed_ = true;
  drop();
  if (drainer_ != nullptr) drainer_->cancel();
}

void Outbox::finish() noexcept {
  finished_ = true;
  wake();
}

void Outbox::abandon() noexcept {
  drop();
  finish();
}

Task<> drain(Outbox& outbox, Stream& stream) {
  outbox.drainer_ = &co_await this_context();
  std::vector<Shared> more;
  std::vector<Bytes> pieces;
  try {
    while (true) {
      co_await Outbox::Wait(outbox);
      if (!outbox.first_) {
        if (outbox.finished_) break;
        continue;  // woken to be cancelled: the next wait says so
      }
      const Shared first = std::move(outbox.first_);
      Bytes bytes = first.bytes();
      std::size_t total = bytes.size();
      std::span<const Bytes> all(&bytes, 1);
      if (!outbox.more_.empty()) {
        more.swap(outbox.more_);
        pieces.assign(1, bytes);
        for (const Shared& shared : more) {
          pieces.push_back(shared.bytes());
          total += pieces.back().size();
        }
        all = pieces;
      }
      co_await stream.send(all);
      outbox.bytes_ -= total;
      more.clear();
    }
  } catch (const Cancelled&) {
    outbox.drainer_ = nullptr;
    if (!outbox.overflowed_) throw;
    throw Error(ErrorKind::overloaded, "send to", stream.peer_name(),
                "it reads too slowly, " + format_size(outbox.options_.bytes_max) + " were waiting for it");
  }
  outbox.drainer_ = nullptr;
}

}  // namespace coax
