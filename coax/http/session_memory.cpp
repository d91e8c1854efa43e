// Sessions in memory: the last used ones first.
#include <list>
#include <mutex>
#include <unordered_map>

#include "coax/base/error.hpp"
#include "coax/http/session.hpp"
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
    const auto entry = find(key);
    if (entry == entries_.end()) co_return std::nullopt;
    co_return entry->values;
  }

  Task<> insert(std::string key, Value values) override {
    const std::scoped_lock lock(mutex_);
    const TimePoint now = Loop::current().backend().now();
    while (!entries_.empty() && (entries_.size() >= limits_.sessions_max || is_expired(entries_.back(), now))) {
      remove(std::prev(entries_.end()));
    }
    entries_.push_front({.key = std::move(key), .values = std::move(values), .made = now, .used = now});
    by_key_.insert_or_assign(entries_.front().key, entries_.begin());
    co_return;
  }

  Task<bool> update(std::string key, std::vector<SessionChange> changes) override {
    const std::scoped_lock lock(mutex_);
    const auto entry = find(key);
    if (entry == entries_.end()) co_return false;
    entry->values = changed(entry->values, changes);
    co_return true;
  }

  Task<bool> rename(std::string key, std::string new_key) override {
    const std::scoped_lock lock(mutex_);
    const auto entry = find(key);
    if (entry == entries_.end()) co_return false;
    by_key_.erase(entry->key);
    entry->key = std::move(new_key);
    by_key_.insert_or_assign(entry->key, entry);
    co_return true;
  }

  Task<> erase(std::string key) override {
    const std::scoped_lock lock(mutex_);
    const auto entry = find(key);
    if (entry != entries_.end()) remove(entry);
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
  // Counts as a use.
  Entries::iterator find(const std::string& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return entries_.end();
    const auto entry = found->second;
    const TimePoint now = Loop::current().backend().now();
    if (is_expired(*entry, now)) {
      remove(entry);
      return entries_.end();
    }
    entry->used = now;
    entries_.splice(entries_.begin(), entries_, entry);
    return entry;
  }
  void remove(Entries::iterator entry) {
    by_key_.erase(entry->key);
    entries_.erase(entry);
  }

  SessionLimits limits_;
  std::mutex mutex_;  // never held while a task waits
  Entries entries_;
  std::unordered_map<std::string, Entries::iterator> by_key_;
};

}  // namespace

std::shared_ptr<SessionStore> memory_sessions(SessionLimits limits) { return std::make_shared<MemorySessions>(limits); }

}  // namespace coax::http
