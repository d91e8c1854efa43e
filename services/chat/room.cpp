// The room. Its mutex makes a step of each event: decision, state and publication together, so that a welcome and the
// events after it never contradict each other. It is not held while the bus is called.
#include "services/chat/room.hpp"

#include "coax/base/error.hpp"
#include "services/chat/event_record.hpp"
#include "services/chat/identity.hpp"

namespace coax::chat {

namespace {

// The name of a message within the subject: each person has ids of its own.
std::string record_id(const Speech& speech) {
  if (speech.id.empty()) return {};
  return std::to_string(speech.person) + "/" + (speech.person == 0 ? speech.nick + "/" : "") + speech.id;
}

// The record of an edit that is kept: it has no text, so that an older one does not outlive the next edit.
bool is_edit_without_text(const Event& event) noexcept { return event.kind == EventKind::edited && event.text.empty(); }

}  // namespace

// A client that waits for its `joined` to come back from the bus.
struct Room::Joining {
  std::size_t form;
  std::optional<Refusal> refusal = {};
  std::string bytes = {};  // the welcome, and the events since; empty: `joined` has not come
  bool is_in = false;
};

// --- Member ---

Member::Member(Room& room, std::string nick, std::uint64_t id, Outbox& outbox)
    : room_(room), nick_(std::move(nick)), id_(id) {
  subscription_.emplace(room_.topic_, outbox);
}

Member::~Member() { room_.leave(nick_, id_, subscription_, retired_); }

void Member::say(std::string_view text) { room_.say({.nick = nick_, .text = std::string(text)}); }

void Member::retire() {
  if (!std::exchange(retired_, true)) room_.retire_one();
}

Task<std::expected<void, Refusal>> Member::rename(std::string nick) {
  const NickKeys keys = nick_keys(nick);
  {
    const std::scoped_lock lock(room_.mutex_);
    if (auto refusal = room_.state_.refuse_join(nick, keys, nick_)) co_return std::unexpected(*std::move(refusal));
  }
  Event event{.kind = EventKind::renamed, .nick = nick_, .text = nick, .member = id_};
  co_await room_.subject_->publish({.body = body_of(event), .transient = true});
  const std::scoped_lock lock(room_.mutex_);
  const auto found = room_.state_.members().find(nick);
  if (found == room_.state_.members().end() || found->second != id_) {
    co_return std::unexpected(Refusal{"nick_taken", "the nickname was taken at the same time"});
  }
  nick_ = std::move(nick);
  co_return {};
}

// --- Room ---

Room::Room(std::string name, std::shared_ptr<Subject> subject, std::uint64_t sequence)
    : name_(std::move(name)), subject_(std::move(subject)), state_(sequence) {
  consumption_ = subject_->listen([this](const Record& record) { consume(record); });
}

void Room::consume(const Record& record) {
  const std::optional<Event> event = event_of(record);
  if (!event) return;
  const std::scoped_lock lock(mutex_);
  apply_locked(*event);
}

void Room::apply_locked(const Event& event) {
  Joining* const joining =
      event.kind == EventKind::joined && joining_.contains(event.member) ? joining_.at(event.member) : nullptr;
  std::string welcome;
  if (joining != nullptr) {
    joining->refusal = state_.refuse_join(event.nick, nick_keys(event.nick));
    wires[joining->form].append_welcome(welcome, {.room = name_, .nick = event.nick, .before = state_});
  }
  if (!state_.apply(event) || is_edit_without_text(event)) return;
  is_used_ = is_used_ || event.kind == EventKind::said || event.kind == EventKind::topic;
  if (joining != nullptr) {
    joining->bytes = std::move(welcome);
    joining->is_in = true;
    ++active_;
  }
  std::array<BytesView, forms> messages;
  for (std::size_t form = 0; form < forms; ++form) {
    encoded_[form].clear();
    wires[form].append_event(encoded_[form], name_, event);
    messages[form] = encoded_[form];
  }
  for (const auto& [id, each] : joining_) {
    if (each->is_in) each->bytes.append(encoded_[each->form]);
  }
  topic_.publish_now(messages);
}

Task<std::expected<void, Refusal>> Room::join(std::string nick, Outbox& outbox, std::optional<Member>& member,
                                              bool is_replacement) {
  const NickKeys keys = nick_keys(nick);
  const std::uint64_t id = new_id();
  Joining joining{.form = outbox.form()};
  {
    const std::scoped_lock lock(mutex_);
    if (draining_) co_return std::unexpected(Refusal{"shutting_down", "the hub shuts down"});
    auto refusal = is_replacement ? std::nullopt : state_.refuse_join(nick, keys);
    if (refusal) co_return std::unexpected(*std::move(refusal));
    joining_.emplace(id, &joining);
  }
  // When it is cancelled, or the bus has failed.
  struct Withdrawal {
    Room& room;
    std::uint64_t id;
    const std::string& nick;
    Joining& joining;
    bool is_needed = true;
    ~Withdrawal() {
      if (!is_needed) return;
      {
        const std::scoped_lock lock(room.mutex_);
        room.joining_.erase(id);
        if (joining.is_in) --room.active_;
      }
      room.subject_->post({.body = body_of({.kind = EventKind::left, .nick = nick, .member = id}), .transient = true});
    }
  } withdrawal{*this, id, nick, joining};
  co_await subject_->publish(
      {.body = body_of({.kind = EventKind::joined, .nick = nick, .member = id}), .transient = true});
  const std::scoped_lock lock(mutex_);
  withdrawal.is_needed = false;
  joining_.erase(id);
  if (joining.refusal) co_return std::unexpected(*std::move(joining.refusal));
  outbox.push(std::move(joining.bytes));
  member.emplace(*this, std::move(nick), id, outbox);
  co_return {};
}

void Room::say(Speech speech, Subject::Done done) {
  std::string id = record_id(speech);
  Event event{.kind = EventKind::said,
              .nick = std::move(speech.nick),
              .text = std::move(speech.text),
              .id = std::move(speech.id),
              .person = speech.person};
  std::string body = body_of(event);
  subject_->post({.id = std::move(id), .body = std::move(body), .text = std::move(event.text)}, std::move(done));
}

Task<std::expected<void, Refusal>> Room::edit(Speech speech, std::uint64_t sequence) {
  const auto refuse = [](std::string_view code, std::string_view text) {
    return std::unexpected(Refusal{code, std::string(text)});
  };
  auto original = co_await find_message(sequence);
  if (!original) {
    co_return refuse("no_message", "there is no such message, or it is not kept any more");
  }
  if (original->person == 0 || original->person != speech.person) {
    co_return refuse("not_yours", "only its author may change a message");
  }
  const bool deletes = speech.text.empty();
  Revision revision{.sequence = sequence, .body = {}, .text = speech.text};
  if (!deletes) {
    original->text = speech.text;
    original->is_edited = true;
    revision.body = body_of(*original);
  }
  Event event{.kind = deletes ? EventKind::deleted : EventKind::edited,
              .nick = std::move(speech.nick),
              .text = {},
              .target = sequence};
  if (!deletes) {
    co_await subject_->publish({.body = body_of(event)});
    event.text = std::move(speech.text);
  }
  co_await subject_->publish({.body = body_of(event), .transient = !deletes, .revision = std::move(revision)});
  co_return {};
}

// Returns: a message that is kept and not deleted, or nothing.
Task<std::optional<Event>> Room::find_message(std::uint64_t sequence) {
  const auto found = co_await subject_->read({.after = sequence - 1, .before = sequence + 1, .count_max = 1});
  auto event = found.empty() ? std::nullopt : event_of(found.front());
  if (event && event->kind != EventKind::said) event.reset();
  co_return event;
}

Task<Receipt> Room::set_topic(Speech speech) {
  const Event event{.kind = EventKind::topic, .nick = std::move(speech.nick), .text = std::move(speech.text)};
  return subject_->publish({.body = body_of(event)});
}

// Edits get the text that their message has now.
Task<Room::Page> Room::page_of(std::vector<Record> records, std::size_t count_max) {
  Page page{.events = {}, .is_full = records.size() == count_max};
  if (records.empty()) co_return page;
  page.from = records.front().sequence;
  page.until = records.back().sequence;
  page.events.reserve(records.size());
  std::map<std::uint64_t, std::string> edited;  // the texts by the messages
  for (const Record& record : records) {
    auto event = event_of(record);
    if (!event) continue;
    if (is_edit_without_text(*event)) {
      if (!edited.contains(event->target)) {
        const auto message = co_await find_message(event->target);
        edited.emplace(event->target, message ? message->text : std::string());
      }
      event->text = edited.at(event->target);
      if (event->text.empty()) continue;  // deleted since
    }
    page.events.push_back(*std::move(event));
  }
  co_return page;
}

Task<Room::Page> Room::read(ReadRange range) {
  co_return co_await page_of(co_await subject_->read(range), range.count_max);
}

Task<Room::Page> Room::search(std::string words, ReadRange range) {
  co_return co_await page_of(co_await subject_->search(std::move(words), range), range.count_max);
}

// The member's own `left` is not for it, and everything before is.
void Room::leave(const std::string& nick, std::uint64_t id, std::optional<Subscription>& subscription,
                 bool was_retired) {
  subscription.reset();
  subject_->post({.body = body_of({.kind = EventKind::left, .nick = nick, .member = id}), .transient = true});
  const std::scoped_lock lock(mutex_);
  if (!was_retired) --active_;
  close_if_drained();
}

void Room::retire_one() {
  const std::scoped_lock lock(mutex_);
  --active_;
  close_if_drained();
}

void Room::drain() {
  const std::scoped_lock lock(mutex_);
  draining_ = true;
  close_if_drained();
}

void Room::close() { topic_.close(); }

void Room::close_if_drained() {
  if (draining_ && active_ == 0) topic_.close();
}

std::size_t Room::size() const {
  const std::scoped_lock lock(mutex_);
  return state_.members().size();
}

bool Room::is_unused() const {
  const std::scoped_lock lock(mutex_);
  return state_.members().empty() && joining_.empty() && !is_used_;
}

std::optional<std::string> Room::find(const std::string& nick) const {
  const NickKeys keys = nick_keys(nick);
  const std::scoped_lock lock(mutex_);
  return state_.find(keys);
}

RoomState Room::state() const {
  const std::scoped_lock lock(mutex_);
  return state_;
}

}  // namespace coax::chat
