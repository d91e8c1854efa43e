// The room. Its mutex makes the order: whoever joins, speaks or leaves does it in one step, number, roster and
// publication together, so that a welcome and the events after it never contradict each other.
#include "services/chat/room.hpp"

#include <fmt/core.h>

#include <boost/json.hpp>
#include <chrono>

#include "coax/base/text.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/websocket.hpp"

namespace coax::chat {

namespace {

std::string json(std::string_view text) {
  return boost::json::serialize(boost::json::value(boost::json::string_view(text.data(), text.size())));
}

std::string text_frame(std::string_view payload) {
  std::string frame;
  ws::append_frame(frame, ws::Opcode::text, payload);
  return frame;
}

}  // namespace

std::optional<Refusal> check_text(Bytes text) {
  if (text.empty()) return Refusal{"text_invalid", "a message must not be empty"};
  if (text.size() > text_bytes_max) {
    return Refusal{"text_too_long", fmt::format("a message has at most {} bytes", text_bytes_max)};
  }
  if (!is_utf8(text)) return Refusal{"text_invalid", "a message must be UTF-8"};
  if (has_control(text)) return Refusal{"text_invalid", "a message must not have control characters"};
  return std::nullopt;
}

// --- Member ---

Member::Member(Room& room, std::string nick, Outbox& outbox) : room_(room), nick_(std::move(nick)), outbox_(outbox) {
  subscription_.emplace(room_.topic_, outbox);
}

Member::~Member() { room_.leave(*this); }

// A token bucket of 4 KiB that refills in two seconds, kept as the time at which it was last empty.
bool Member::may_say_now(std::size_t bytes) noexcept {
  constexpr Duration refill = std::chrono::seconds(2);
  constexpr Duration of_byte = refill / 4096;
  const TimePoint now = Loop::current().now();
  allowance_from_ = std::max(allowance_from_, now - refill) + of_byte * static_cast<Duration::rep>(bytes);
  const bool enough = allowance_from_ <= now;
  if (!enough) allowance_from_ = now;
  return enough;
}

Topic::Publish Member::ready() noexcept { return room_.topic_.ready(); }

void Member::say(std::string_view text) { room_.say(*this, text); }

void Member::tell(std::string encoded) {
  subscription_->catch_up();
  outbox_.push(std::move(encoded));
}

void Member::retire() { room_.retire(*this); }

// --- Room ---

std::expected<void, Refusal> Room::join(std::string nick, Outbox& outbox, std::optional<Member>& member) {
  auto keys = nick_keys(nick);
  const std::scoped_lock lock(mutex_);
  if (draining_) return std::unexpected(Refusal{"shutting_down", "the hub shuts down"});
  for (const std::string& key : keys) {
    const auto same = looks_.find(key);
    if (same == looks_.end()) continue;
    const std::string how = same->second == nick ? "" : fmt::format(": it looks like {}", same->second);
    return std::unexpected(Refusal{"nick_taken", fmt::format("the nickname {} is taken{}", nick, how)});
  }
  for (std::string& key : keys) looks_.emplace(std::move(key), nick);
  present_.insert(nick);
  ++talking_;
  if (outbox.form() == websocket) outbox.push(text_frame(welcome(nick)));
  member.emplace(*this, nick, outbox);
  publish("joined", fmt::format("{} joined the chat!\n", nick), fmt::format(R"("nick":{})", json(nick)));
  return {};
}

std::string Room::welcome(std::string_view nick) const {
  boost::json::array users;
  for (const std::string& name : present_) users.emplace_back(name);
  return boost::json::serialize(boost::json::object{
      {"type", "welcome"}, {"room", name_}, {"nick", nick}, {"seq", sequence_}, {"users", std::move(users)}});
}

void Room::publish(std::string_view type, std::string_view line, std::string_view json_members) {
  ++sequence_;
  const std::string frame = text_frame(fmt::format(R"({{"type":"{}","seq":{},"time":"{}",{}}})", type, sequence_,
                                                   format_time(std::chrono::system_clock::now()), json_members));
  const std::array<Bytes, forms> encoded{line, frame};
  topic_.publish_now(encoded);
}

void Room::say(const Member& member, std::string_view text) {
  const std::string line = fmt::format("{}: {}\n", member.nick_, text);
  const std::string members = fmt::format(R"("nick":{},"text":{})", json(member.nick_), json(text));
  const std::scoped_lock lock(mutex_);
  publish("message", line, members);
}

void Room::leave(Member& member) {
  const std::scoped_lock lock(mutex_);
  member.subscription_.reset();
  for (const std::string& key : nick_keys(member.nick_)) looks_.erase(key);
  present_.erase(member.nick_);
  publish("left", fmt::format("{} left the chat!\n", member.nick_), fmt::format(R"("nick":{})", json(member.nick_)));
  if (!std::exchange(member.retired_, true)) --talking_;
  close_when_quiet();
}

void Room::retire(Member& member) {
  const std::scoped_lock lock(mutex_);
  if (!std::exchange(member.retired_, true)) --talking_;
  close_when_quiet();
}

void Room::drain() {
  const std::scoped_lock lock(mutex_);
  draining_ = true;
  close_when_quiet();
}

void Room::close() { topic_.close(); }

void Room::close_when_quiet() {
  if (draining_ && talking_ == 0) topic_.close();
}

std::size_t Room::size() const {
  const std::scoped_lock lock(mutex_);
  return present_.size();
}

}  // namespace coax::chat
