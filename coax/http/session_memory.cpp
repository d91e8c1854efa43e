// Sessions in memory: two lists, of visitors who have logged in and of others, each with the last used ones first.
#include <list>
#include <mutex>
#include <unordered_map>

#include "coax/base/error.hpp"
#include "coax/http/session.hpp"
#include "coax/http/session_private.hpp"
#include "coax/loop/loop.hpp"

namespace coax::http {

namespace {

Value changed(const Value& values, const std::vector<SessionChange>& changes) {
  Value result = values;
  for (const SessionChange& change : changes) {
    if (change.value) {
      result.set(change.name, *change.value);
      continue;
    }
    Value rest = Value::object();
    for (const Member& member : result.as_object()) {
      if (member.name != change.name) rest.set(member.name, member.value);
    }
    result = std::move(rest);
  }
  return result;
}

class MemorySessions final : public SessionStore {
 public:
  explicit MemorySessions(SessionLimits limits) : limits_(limits) {
    if (limits.sessions_max == 0 || limits.idle <= Duration() || limits.lifetime <= Duration())
      throw Error(ErrorKind::invalid, "keep sessions", "in memory", "a limit is zero");
  }

  Task<std::optional<Value>> load(std::string key) override {
    const std::scoped_lock lock(mutex_);
    const Entry* const entry = find(key);
    if (entry == nullptr) co_return std::nullopt;
    co_return entry->values;
  }

  Task<> insert(std::string key, Value values) override {
    const std::scoped_lock lock(mutex_);
    const TimePoint now = Loop::current().backend().now();
    for (Entries* const list : {&others_, &users_}) {
      while (!list->empty() && is_expired(list->back(), now)) remove(std::prev(list->end()));
    }
    while (by_key_.size() >= limits_.sessions_max) {
      Entries& list = others_.empty() ? users_ : others_;
      remove(std::prev(list.end()));
    }
    Entries& list = list_of(values);
    list.push_front({.key = std::move(key), .values = std::move(values), .made = now, .used = now});
    by_key_.insert_or_assign(list.front().key, list.begin());
    co_return;
  }

  Task<bool> update(std::string key, std::vector<SessionChange> changes) override {
    const std::scoped_lock lock(mutex_);
    Entry* const entry = find(key);
    if (entry == nullptr) co_return false;
    Entries& before = list_of(entry->values);
    entry->values = changed(entry->values, changes);
    Entries& after = list_of(entry->values);
    if (&after != &before) after.splice(after.begin(), before, by_key_.at(entry->key));
    co_return true;
  }

  Task<bool> rename(std::string key, std::string new_key) override {
    const std::scoped_lock lock(mutex_);
    Entry* const entry = find(key);
    if (entry == nullptr) co_return false;
    auto node = by_key_.extract(entry->key);
    entry->key = std::move(new_key);
    by_key_.insert_or_assign(entry->key, node.mapped());
    co_return true;
  }

  Task<> erase(std::string key) override {
    const std::scoped_lock lock(mutex_);
    if (find(key) != nullptr) remove(by_key_.at(key));
    co_return;
  }

 private:
  struct Entry {
    std::string key;
    Value values;
    TimePoint made;
    TimePoint used;
  };
  using Entries = std::list<Entry>;

  [[nodiscard]] bool is_expired(const Entry& entry, TimePoint now) const {
    return now - entry.used > limits_.idle || now - entry.made > limits_.lifetime;
  }
  Entries& list_of(const Value& values) noexcept { return detail::has_user(values) ? users_ : others_; }
  // Counts as a use. Returns: nullptr when there is none.
  Entry* find(const std::string& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    const auto entry = found->second;
    const TimePoint now = Loop::current().backend().now();
    if (is_expired(*entry, now)) {
      remove(entry);
      return nullptr;
    }
    entry->used = now;
    Entries& list = list_of(entry->values);
    list.splice(list.begin(), list, entry);
    return &*entry;
  }
  void remove(Entries::iterator entry) {
    by_key_.erase(entry->key);
    list_of(entry->values).erase(entry);
  }

  SessionLimits limits_;
  std::mutex mutex_;  // never held while a task waits
  Entries users_;
  Entries others_;
  std::unordered_map<std::string, Entries::iterator> by_key_;
};

}  // namespace

std::shared_ptr<SessionStore> memory_sessions(SessionLimits limits) { return std::make_shared<MemorySessions>(limits); }

}  // namespace coax::http
