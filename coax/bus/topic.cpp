// A part of the topic stands on each loop. Publishing appends the encoded bytes to the inbox of each part, under one
// lock, which makes the order; the loop then takes its inbox as one block and shares it among its seats. However many
// messages came since, that is one push per seat, and one send.
#include "coax/bus/topic.hpp"

#include <algorithm>

#include "coax/base/error.hpp"

namespace coax {

struct Seat::Part : std::enable_shared_from_this<Part> {
  Part(Loop& of, std::size_t forms) : loop(of), inbox(forms), seats_of_form(forms) {}

  struct Taken {
    std::vector<std::string> inbox;
    bool closed = false;
    [[nodiscard]] bool empty() const {
      return !closed && std::ranges::all_of(inbox, [](const std::string& bytes) { return bytes.empty(); });
    }
  };

  // Under the topic's mutex.
  void append(std::span<const Bytes> message) {
    for (std::size_t form = 0; form < inbox.size(); ++form) {
      if (seats_of_form[form] != 0) inbox[form].append(message[form].text());
    }
    notify();
  }
  void notify() {
    if (std::exchange(notified, true)) return;
    loop.post([self = shared_from_this()] { self->deliver(); });
  }
  Taken take() {
    Taken taken{.inbox = std::vector<std::string>(inbox.size()), .closed = closed};
    taken.inbox.swap(inbox);
    notified = false;
    return taken;
  }

  // On the loop.
  void deliver() {
    Taken taken;
    {
      const std::scoped_lock lock(*mutex);
      taken = take();
    }
    deliver(std::move(taken));
  }
  void deliver(Taken taken) {
    if (taken.empty()) return;
    std::vector<Shared> shared;
    for (std::string& bytes : taken.inbox) shared.emplace_back(std::move(bytes));
    seats.for_each([&](Seat& seat) {
      seat.outbox_.push(shared[seat.outbox_.form()]);
      if (taken.closed) seat.outbox_.finish();
    });
  }

  Loop& loop;
  List<Seat> seats;
  std::shared_ptr<std::mutex> mutex;  // the topic's, which guards the following
  std::vector<std::string> inbox;
  std::vector<std::size_t> seats_of_form;
  bool notified = false;
  bool closed = false;
};

Seat::Seat(Topic& topic, Outbox& outbox) : outbox_(outbox) {
  if (outbox.form() >= topic.forms_) {
    throw Error(ErrorKind::invalid, "join", "a topic", "the outbox names a wire form that the topic does not have");
  }
  Part::Taken before;
  {
    const std::scoped_lock lock(*topic.mutex_);
    part_ = topic.part_of(Loop::current());
    before = part_->take();
    ++part_->seats_of_form[outbox.form()];
  }
  part_->deliver(std::move(before));  // to those who were here before
  part_->seats.push_back(*this);
}

void Seat::catch_up() { part_->deliver(); }

void Seat::leave() {
  catch_up();
  unlink();
  const std::scoped_lock lock(*part_->mutex);
  --part_->seats_of_form[outbox_.form()];
}

std::shared_ptr<Seat::Part> Topic::part_of(Loop& loop) {
  for (const auto& part : parts_) {
    if (&part->loop == &loop) return part;
  }
  auto part = std::make_shared<Seat::Part>(loop, forms_);
  part->mutex = mutex_;
  part->closed = closed_;
  if (closed_) part->notify();
  parts_.push_back(part);
  return part;
}

void Topic::publish(std::span<const Bytes> forms) {
  const std::scoped_lock lock(*mutex_);
  if (closed_) return;
  for (const auto& part : parts_) part->append(forms);
}

void Topic::close() {
  const std::scoped_lock lock(*mutex_);
  closed_ = true;
  for (const auto& part : parts_) {
    part->closed = true;
    part->notify();
  }
}

}  // namespace coax
